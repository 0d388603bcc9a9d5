/**
 * Shows the columns of a window as pools, scopes and sessions.
 *
 * A view is an index and a reference to the columns; reading a number reads one cell, and nothing
 * is copied per pool.
 */

import { host } from "./host.js";
import { KNOBS, Knob, Subject } from "./proposal.js";

export const Condition = Object.freeze({
  IDLE: "idle",
  SERVING: "serving",
  QUEUEING: "queueing",
  LOGIN_QUEUE: "login_queue",
  PAUSED: "paused",
  WEDGED: "wedged",
  STALE: "stale",
});
const CONDITIONS = Object.values(Condition);

export const PoolMode = Object.freeze({ SESSION: "session", TRANSACTION: "transaction", STATEMENT: "statement" });
const MODES = Object.values(PoolMode);

export const ScopeKind = Object.freeze({ DEFAULT: "default", DATABASE: "database", USER: "user" });
const KINDS = Object.values(ScopeKind);

export const ChangeOutcome = Object.freeze({
  NONE: "none",
  MEASURING: "measuring",
  VERIFIED: "verified",
  ROLLED_BACK: "rolled_back",
  INCONCLUSIVE: "inconclusive",
});
const OUTCOMES = Object.values(ChangeOutcome);

const STATES = ["unknown", "active", "idle_in_transaction", "idle"];

const POOL_COLUMNS = [
  "clActive", "clWaiting", "svActive", "svIdle", "svLogin", "size", "reserve", "maxwaitUs",
  "waitingForMs", "fullForMs", "unservedForMs", "observedForMs", "utilization", "utilizationP50",
  "utilizationP95", "waitP95Us", "busyMean", "busyFinished", "demand", "demandMaxShort",
  "demandMaxLong", "demandTrendPerMin", "clientsTrendPerMin", "transactionsPerS", "queriesPerS",
  "transactionMeanUs", "queryMeanUs", "waitMeanUs", "idleInTransaction", "idleInTransactionMaxMs",
  "running", "waitingOnLock", "waitingOnIo",
];
const SCOPE_COLUMNS = [
  "size", "minSize", "reserve", "floor", "ceiling", "changeAgeMs", "changeFrom", "changeTo",
];
const HOLDER_COLUMNS = [
  "client", "application", "address", "backendPid", "connectedMs", "requestAgeMs", "stateAgeMs",
  "transactionAgeMs", "statementAgeMs",
];
const GROUP_COLUMNS = ["application", "address", "clients", "holding", "oldestMs"];
const PAST_COLUMNS = [
  "samples", "clientsMax", "waitingMax", "waitingMean", "busyMax", "busyMean", "serversMax", "size",
  "waitMaxUs", "transactions", "transactionMeanUs", "waitMeanUs",
];

/** A row of a table: an index and the columns. */
class Row {
  _window;
  _columns;

  constructor(window, columns, index) {
    this._window = window;
    this._columns = columns;
    this.index = index;
  }
}

function cells(view, columns) {
  for (const column of columns) {
    const get = function () {
      return this._columns[column][this.index];
    };
    Object.defineProperty(view.prototype, column, { get, enumerable: true });
  }
}

function rows(View, window, columns, count) {
  const views = new Array(count);
  for (let index = 0; index < count; index++) views[index] = new View(window, columns, index);
  return views;
}

/** A pool's identity within its target. */
class PoolName {
  constructor(database, user) {
    this.database = database;
    this.user = user;
  }

  toString() {
    return `${this.database}/${this.user}`;
  }
}

class Pool extends Row {
  subject() {
    return Subject.pool(this.index);
  }

  /** Asks the sidecar; worth doing only for a pool that is written about. */
  name() {
    const name = host.getPoolName(this.index);
    return new PoolName(name.database, name.user);
  }

  get scope() {
    return this._window.scopes[this._columns.scope[this.index]];
  }

  get condition() {
    return CONDITIONS[this._columns.condition[this.index]] ?? Condition.STALE;
  }

  get mode() {
    return MODES[this._columns.mode[this.index]] ?? PoolMode.SESSION;
  }
}
cells(Pool, POOL_COLUMNS);

class Scope extends Row {
  subject() {
    return Subject.scope(this.index);
  }

  /** The database or user; empty for the default scope. */
  name() {
    return host.getScopeName(this.index);
  }

  get kind() {
    return KINDS[this._columns.kind[this.index]] ?? ScopeKind.DEFAULT;
  }

  /** Whether the sidecar is able to change the size. */
  get isActionable() {
    return this.canChange(Knob.POOL_SIZE);
  }

  /** Whether the sidecar is able to change one of the scope's numbers. */
  canChange(knob) {
    return (this._columns.actionable[this.index] & (1 << KNOBS.indexOf(knob))) !== 0;
  }

  /** What came of the sidecar's last change of the size. */
  get change() {
    return OUTCOMES[this._columns.change[this.index]] ?? ChangeOutcome.NONE;
  }

  get poolCount() {
    return this._columns.pools[this.index];
  }
}
cells(Scope, SCOPE_COLUMNS);

class OfPool extends Row {
  get pool() {
    return this._window.pools[this._columns.pool[this.index]];
  }
}

class Holder extends OfPool {
  get state() {
    return STATES[this._columns.state[this.index]] ?? "unknown";
  }

  get isEndable() {
    return this._columns.endable[this.index] !== 0;
  }
}
cells(Holder, HOLDER_COLUMNS);

class ClientGroup extends OfPool {}
cells(ClientGroup, GROUP_COLUMNS);

class Sessions {
  constructor(window, columns) {
    this.ageMs = columns.ageMs;
    this.truncated = columns.truncated;
    this.holders = rows(Holder, window, columns.holders, columns.holders.pool.length);
    this.groups = rows(ClientGroup, window, columns.groups, columns.groups.pool.length);
  }
}

class Past {
  #columns;

  constructor(columns) {
    this.#columns = columns;
    this.fromMs = columns.fromMs;
    this.stepMs = columns.stepMs;
    this.steps = columns.steps;
  }

  /** The steps of one pool: an array per column, the oldest step first. */
  of(pool) {
    const first = pool.index * this.steps;
    const cut = (column) => [column, this.#columns[column].slice(first, first + this.steps)];
    return Object.fromEntries(PAST_COLUMNS.map(cut));
  }
}

/** What the sidecar knows of one target at one moment. */
export class Window {
  #pools;
  #scopes;
  #sessions;

  constructor(columns) {
    this.columns = columns;
    this.atMs = columns.atMs;
    this.shortSpanMs = columns.shortSpanMs;
    this.longSpanMs = columns.longSpanMs;
    this.target = columns.target;
    this.databaseServer = columns.database ?? null;
  }

  get pools() {
    const columns = this.columns.pools;
    return (this.#pools ??= rows(Pool, this, columns, columns.scope.length));
  }

  get scopes() {
    const columns = this.columns.scopes;
    return (this.#scopes ??= rows(Scope, this, columns, columns.kind.length));
  }

  /** There only when `PAST` asks for it and the sidecar has read it. */
  get past() {
    return this.columns.past ? new Past(this.columns.past) : null;
  }

  /** There for a short while after a `LookAtSessions`. */
  get sessions() {
    if (!this.columns.sessions) return null;
    return (this.#sessions ??= new Sessions(this, this.columns.sessions));
  }

  /** One of the operator's labels. */
  label(name) {
    return this.columns.target.labels.find(([key]) => key === name)?.[1] ?? null;
  }

  /** A setting of the PgBouncer as `SHOW CONFIG` gives it, if it is known. */
  setting(name) {
    return host.getSetting(name) ?? null;
  }
}
