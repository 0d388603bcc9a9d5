/**
 * Writes a Poolwarden policy plugin in JavaScript: a class for its settings and one function.
 *
 * The names are those of the Rust SDK, in camel case. Numbers keep the unit in their name
 * (`waitingForMs`), as in the contract. Settings keep the operator's spelling, as in the TOML file.
 */

import { host } from "./host.js";
import { Alert, EndSession, Knob, LookAtSessions, Recommendation, Resize, Severity, Subject } from "./proposal.js";
import { ChangeOutcome, Condition, PoolMode, ScopeKind, Window } from "./window.js";

export { Alert, EndSession, Knob, LookAtSessions, Recommendation, Resize, Severity, Subject };
export { ChangeOutcome, Condition, PoolMode, ScopeKind };

/** What a policy extends; every member but `evaluate` is a constant. */
export class Policy {
  static NAME = "";
  static VERSION = "0.1.0";
  static PURPOSE = "";
  static EVERY_MS = 0;
  static PAST = null;
  static SETTINGS = {};
  static MEMORY = {};

  static evaluate(_settings, _window, _memory) {
    throw new Error("the policy has no evaluate(settings, window, memory)");
  }
}

/** Writes to the sidecar's log, the only thing that a policy can do besides answering. */
export const log = {
  debug: (message) => host.log("debug", String(message)),
  info: (message) => host.log("info", String(message)),
  warn: (message) => host.log("warn", String(message)),
};

/** Makes a policy the plugin of its module: `export const { describe, evaluate } = plugin(P);` */
export function plugin(policy) {
  const schema = settingsSchema(policy.SETTINGS);
  return {
    describe: () => ({
      name: policy.NAME,
      version: policy.VERSION,
      purpose: policy.PURPOSE,
      everyMs: policy.EVERY_MS,
      past: policy.PAST,
      settingsSchema: JSON.stringify(schema),
    }),
    evaluate: (window, settings, memory) => {
      try {
        return decide(policy, schema, window, settings, memory);
      } catch (error) {
        // A string that is thrown is the contract's error.
        throw explain(error);
      }
    },
  };
}

function decide(policy, schema, columns, settings, bytes) {
  const memory = remembered(bytes, policy.MEMORY);
  const chosen = withDefaults(schema, JSON.parse(settings));
  const proposals = policy.evaluate(chosen, new Window(columns), memory);
  if (!Array.isArray(proposals)) {
    throw new TypeError("evaluate() must return an array of proposals");
  }
  return {
    proposals: proposals.map((one) => toContract(one)),
    memory: utf8(JSON.stringify(memory)),
  };
}

function toContract(proposal) {
  if (typeof proposal?.toContract !== "function") {
    throw new TypeError(`evaluate() returned ${typeof proposal}, which is no proposal`);
  }
  return proposal.toContract();
}

/** Properties alone become the schema of an object that has these and no others. */
function settingsSchema(settings) {
  if (typeof settings.type === "string") return settings;
  return { type: "object", properties: settings, additionalProperties: false };
}

function withDefaults(schema, value) {
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (value[name] === undefined) {
      const initial = property.type === "object" ? {} : undefined;
      const filled = property.default ?? initial;
      if (filled === undefined) continue;
      value[name] = copy(filled);
    }
    if (property.type === "object") withDefaults(property, value[name]);
  }
  return value;
}

/** Memory that cannot be read, or of another shape, becomes the default. */
function remembered(bytes, initial) {
  let read;
  try {
    read = JSON.parse(text(bytes));
  } catch {
    return copy(initial);
  }
  const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject(initial)) return typeof read === typeof initial ? read : copy(initial);
  if (!isObject(read)) return copy(initial);
  return { ...copy(initial), ...read };
}

function copy(value) {
  return JSON.parse(JSON.stringify(value));
}

/** The message with the place in the author's own file. */
function explain(error) {
  if (!(error instanceof Error)) return String(error);
  const frames = (error.stack ?? "").split("\n").map((line) => /\(?([^()\s]+):(\d+)(?::\d+)?\)?$/.exec(line.trim()));
  const sdk = /(^|\/)(index|window|proposal|host)\.js$/;
  const place = frames.find((frame) => frame && !sdk.test(frame[1])) ?? frames.find((frame) => frame);
  const at = place ? ` (${place[1]}, line ${place[2]})` : "";
  return `${error.name}: ${error.message}${at}`;
}

/** The engine has no TextEncoder. */
function utf8(string) {
  const bytes = [];
  for (const character of string) {
    const code = character.codePointAt(0);
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
  }
  return new Uint8Array(bytes);
}

function text(bytes) {
  let escaped = "";
  for (const byte of bytes) escaped += byte < 0x80 && byte !== 0x25 ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, "0")}`;
  return decodeURIComponent(escaped);
}
