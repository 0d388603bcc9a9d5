/** Writes a Poolwarden policy plugin in JavaScript: a class for its settings and one function. */

export type Severity = "info" | "warning" | "critical";
export const Severity: { readonly INFO: "info"; readonly WARNING: "warning"; readonly CRITICAL: "critical" };

export type Condition = "idle" | "serving" | "queueing" | "login_queue" | "paused" | "wedged" | "stale";
export const Condition: Readonly<Record<"IDLE" | "SERVING" | "QUEUEING" | "LOGIN_QUEUE" | "PAUSED" | "WEDGED" | "STALE", Condition>>;

export type PoolMode = "session" | "transaction" | "statement";
export const PoolMode: Readonly<Record<"SESSION" | "TRANSACTION" | "STATEMENT", PoolMode>>;

export type ScopeKind = "default" | "database" | "user";
export const ScopeKind: Readonly<Record<"DEFAULT" | "DATABASE" | "USER", ScopeKind>>;

/** Which number of a scope a resize is about. */
export type Knob = "pool-size" | "min-pool-size" | "reserve-pool-size";
export const Knob: Readonly<Record<"POOL_SIZE" | "MIN_POOL_SIZE" | "RESERVE_POOL_SIZE", Knob>>;

/** What came of a change of a size, as far as the sidecar could measure it. */
export type ChangeOutcome = "none" | "measuring" | "verified" | "rolled_back" | "inconclusive";
export const ChangeOutcome: Readonly<Record<"NONE" | "MEASURING" | "VERIFIED" | "ROLLED_BACK" | "INCONCLUSIVE", ChangeOutcome>>;

/** What a proposal is about. */
export interface Subject { readonly tag: string; readonly val?: number }
export const Subject: {
  readonly TARGET: Subject;
  readonly DATABASE_SERVER: Subject;
  scope(index: number): Subject;
  pool(index: number): Subject;
};

/** What a policy extends; every member but `evaluate` is a constant. */
export class Policy {
  /** Stable name, for example `queue-watch`. */
  static NAME: string;
  static VERSION: string;
  /** One line that says what it is for. */
  static PURPOSE: string;
  /** Least time between two evaluations; 0: whenever there is news. */
  static EVERY_MS: number;
  /** How much of the past it wants to see. */
  static PAST: { stepMs: number; steps: number } | null;
  /** JSON Schema of each setting by its name, or of the whole object; its defaults are filled in. */
  static SETTINGS: Record<string, unknown>;
  /** What it remembers at first. JSON; unreadable memory becomes this again. */
  static MEMORY: unknown;
  /** Decides. `memory` is changed in place; an error is recorded as a fault of the policy. */
  static evaluate(settings: any, window: Window, memory: any): Proposal[];
}

/** Makes a policy the plugin of its module: `export const { describe, evaluate } = plugin(P);` */
export function plugin(policy: typeof Policy): { describe: () => unknown; evaluate: (...args: any[]) => unknown };

/** Writes to the sidecar's log. */
export const log: { debug(message: unknown): void; info(message: unknown): void; warn(message: unknown): void };

interface Proposal { toContract(): unknown }

/** Says that a condition holds now; the sidecar keeps its life cycle. */
export class Alert implements Proposal {
  constructor(name: string, subject: Subject);
  severity(severity: Severity): this;
  /** The one sentence that a person reads. */
  summary(summary: string): this;
  /** How long the condition must hold without a break before it fires. */
  holdMs(holdMs: number): this;
  /** How long it stays silent after it resolved. */
  cooldownMs(cooldownMs: number): this;
  /** A label of the author's own, for routing. */
  label(name: string, value: string): this;
  /** Where to read what to do: a path in the documentation or a URL. */
  runbook(runbook: string): this;
  /** A number that it rests on. */
  evidence(name: string, value: number): this;
  toContract(): unknown;
}

/** Tells a person what to change; stands until it is no longer proposed. */
export class Recommendation implements Proposal {
  constructor(name: string, subject: Subject);
  summary(summary: string): this;
  /** The exact lines or commands. */
  action(action: string): this;
  evidence(name: string, value: number): this;
  toContract(): unknown;
}

/** Asks for another size of one scope. */
export class Resize implements Proposal {
  constructor(scope: Scope, size: number);
  /** Asks for another number of the scope than its `pool_size`. */
  knob(knob: Knob): this;
  reason(reason: string): this;
  evidence(name: string, value: number): this;
  toContract(): unknown;
}

/** Asks to end one session that holds a server and does nothing. */
export class EndSession implements Proposal {
  constructor(holder: Holder);
  reason(reason: string): this;
  evidence(name: string, value: number): this;
  toContract(): unknown;
}

/** Asks for a look at single sessions, and says why. */
export class LookAtSessions implements Proposal {
  constructor(reason: string);
  toContract(): unknown;
}

/** What the sidecar knows of one target at one moment. */
export interface Window {
  /** The columns as they crossed the border. */
  readonly columns: any;
  readonly atMs: number;
  readonly shortSpanMs: number;
  readonly longSpanMs: number;
  readonly target: Target;
  readonly databaseServer: DatabaseServer | null;
  readonly pools: Pool[];
  readonly scopes: Scope[];
  readonly past: Past | null;
  readonly sessions: Sessions | null;
  label(name: string): string | null;
  /** A setting of the PgBouncer as `SHOW CONFIG` gives it. */
  setting(name: string): string | null;
}

export interface Target {
  readonly name: string;
  readonly status: "up" | "paused" | "down";
  readonly statusForMs: number;
  readonly dataAgeMs: number;
  readonly labels: [string, string][];
  readonly version: number;
  readonly defaultPoolSize: number;
  readonly minPoolSize: number;
  readonly reservePoolSize: number;
  readonly clients: number;
  readonly clientsMax: number;
  readonly queryWaitTimeoutMs: number;
}

export interface DatabaseServer {
  readonly reachable: boolean;
  readonly dataAgeMs: number;
  readonly maxConnections: number;
  readonly reservedConnections: number;
  readonly connections: number;
  readonly active: number;
  readonly idleInTransaction: number;
  readonly running: number;
  readonly waitingOnLock: number;
  readonly waitingOnIo: number;
  readonly waitingOnOther: number;
  readonly others: number;
  readonly budget: number;
}

/** A pool of the window; `vendor/wit/v1/policy.wit` says what each number means. */
export interface Pool {
  readonly index: number;
  subject(): Subject;
  /** Asks the sidecar; worth doing only for a pool that is written about. */
  name(): { readonly database: string; readonly user: string; toString(): string };
  readonly scope: Scope;
  readonly condition: Condition;
  readonly mode: PoolMode;
  readonly clActive: number;
  readonly clWaiting: number;
  readonly svActive: number;
  readonly svIdle: number;
  readonly svLogin: number;
  readonly size: number;
  readonly reserve: number;
  readonly maxwaitUs: number;
  readonly waitingForMs: number;
  readonly fullForMs: number;
  readonly unservedForMs: number;
  readonly observedForMs: number;
  readonly utilization: number;
  readonly utilizationP50: number;
  readonly utilizationP95: number;
  readonly waitP95Us: number;
  readonly busyMean: number;
  readonly busyFinished: number;
  readonly demand: number;
  readonly demandMaxShort: number;
  readonly demandMaxLong: number;
  readonly demandTrendPerMin: number;
  readonly clientsTrendPerMin: number;
  readonly transactionsPerS: number;
  readonly queriesPerS: number;
  readonly transactionMeanUs: number;
  readonly queryMeanUs: number;
  readonly waitMeanUs: number;
  readonly idleInTransaction: number;
  readonly idleInTransactionMaxMs: number;
  readonly running: number;
  readonly waitingOnLock: number;
  readonly waitingOnIo: number;
}

/** A size scope of the window: the setting that sizes a set of pools. */
export interface Scope {
  readonly index: number;
  subject(): Subject;
  /** The database or user; empty for the default scope. */
  name(): string;
  readonly kind: ScopeKind;
  /** Whether the sidecar is able to change the size. */
  readonly isActionable: boolean;
  /** Whether the sidecar is able to change one of the scope's numbers. */
  canChange(knob: Knob): boolean;
  readonly size: number;
  readonly minSize: number;
  readonly reserve: number;
  readonly floor: number;
  readonly ceiling: number;
  readonly poolCount: number;
  /** What came of the sidecar's last change of the size, and how long ago it was. */
  readonly change: ChangeOutcome;
  readonly changeAgeMs: number;
  readonly changeFrom: number;
  readonly changeTo: number;
}

export interface Past {
  readonly fromMs: number;
  readonly stepMs: number;
  readonly steps: number;
  /** An array per column of the contract, the oldest step first. */
  of(pool: Pool): Record<
    | "samples" | "clientsMax" | "waitingMax" | "waitingMean" | "busyMax" | "busyMean" | "serversMax"
    | "size" | "waitMaxUs" | "transactions" | "transactionMeanUs" | "waitMeanUs",
    number[]
  >;
}

export interface Sessions {
  readonly ageMs: number;
  readonly truncated: boolean;
  readonly holders: Holder[];
  readonly groups: ClientGroup[];
}

/** A client that holds a server connection. */
export interface Holder {
  readonly index: number;
  readonly pool: Pool;
  readonly state: "unknown" | "active" | "idle_in_transaction" | "idle";
  readonly isEndable: boolean;
  readonly client: string;
  readonly application: string;
  readonly address: string;
  readonly backendPid: number;
  readonly connectedMs: number;
  readonly requestAgeMs: number;
  readonly stateAgeMs: number;
  readonly transactionAgeMs: number;
  readonly statementAgeMs: number;
}

/** All clients of a pool that share application and address. */
export interface ClientGroup {
  readonly index: number;
  readonly pool: Pool;
  readonly application: string;
  readonly address: string;
  readonly clients: number;
  readonly holding: number;
  readonly oldestMs: number;
}
