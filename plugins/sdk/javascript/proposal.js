/**
 * Builds what a policy answers with.
 *
 * Each builder asks for what identifies a proposal and lets the rest be said by name.
 */

export const Severity = Object.freeze({ INFO: "info", WARNING: "warning", CRITICAL: "critical" });

/** Which number of a scope a resize is about. */
export const Knob = Object.freeze({
  POOL_SIZE: "pool-size",
  MIN_POOL_SIZE: "min-pool-size",
  RESERVE_POOL_SIZE: "reserve-pool-size",
});
export const KNOBS = Object.values(Knob);

/** What a proposal is about. */
export const Subject = Object.freeze({
  TARGET: Object.freeze({ tag: "target" }),
  DATABASE_SERVER: Object.freeze({ tag: "database-server" }),
  scope: (index) => ({ tag: "scope", val: index }),
  pool: (index) => ({ tag: "pool", val: index }),
});

class Proposal {
  #tag;
  _value;

  constructor(tag, value) {
    this.#tag = tag;
    this._value = value;
  }

  /** Adds a number that it rests on. */
  evidence(name, value) {
    if (typeof value !== "number") throw new TypeError(`evidence ${name} is ${typeof value}, not a number`);
    this._value.evidence.push({ name, value });
    return this;
  }

  toContract() {
    return { tag: this.#tag, val: this._value };
  }
}

/** Says that a condition holds now; the sidecar keeps its life cycle. */
export class Alert extends Proposal {
  constructor(name, subject) {
    super("alert", {
      name,
      subject,
      severity: Severity.WARNING,
      summary: "",
      holdMs: 0,
      cooldownMs: 0,
      labels: [],
      runbook: "",
      evidence: [],
    });
  }

  severity(severity) {
    this._value.severity = severity;
    return this;
  }

  summary(summary) {
    this._value.summary = summary;
    return this;
  }

  holdMs(holdMs) {
    this._value.holdMs = holdMs;
    return this;
  }

  cooldownMs(cooldownMs) {
    this._value.cooldownMs = cooldownMs;
    return this;
  }

  label(name, value) {
    this._value.labels.push([name, value]);
    return this;
  }

  runbook(runbook) {
    this._value.runbook = runbook;
    return this;
  }
}

/** Tells a person what to change; stands until it is no longer proposed. */
export class Recommendation extends Proposal {
  constructor(name, subject) {
    super("recommendation", { name, subject, summary: "", action: "", evidence: [] });
  }

  summary(summary) {
    this._value.summary = summary;
    return this;
  }

  action(action) {
    this._value.action = action;
    return this;
  }
}

/** Asks for another size of one scope. */
export class Resize extends Proposal {
  constructor(scope, size) {
    super("resize", { scope: scope.index, knob: Knob.POOL_SIZE, size, reason: "", evidence: [] });
  }

  /** Asks for another number of the scope than its `pool_size`. */
  knob(knob) {
    if (!KNOBS.includes(knob)) throw new TypeError(`${knob} is none of ${KNOBS.join(", ")}`);
    this._value.knob = knob;
    return this;
  }

  reason(reason) {
    this._value.reason = reason;
    return this;
  }
}

/** Asks to end one session that holds a server and does nothing. */
export class EndSession extends Proposal {
  constructor(holder) {
    super("end-session", { holder: holder.index, reason: "", evidence: [] });
  }

  reason(reason) {
    this._value.reason = reason;
    return this;
  }
}

/** Asks for a look at single sessions, and says why. */
export class LookAtSessions {
  #reason;

  constructor(reason) {
    this.#reason = reason;
  }

  toContract() {
    return { tag: "look-at-sessions", val: this.#reason };
  }
}
