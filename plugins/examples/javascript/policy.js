/** Alerts when clients queue, and asks for as many servers as they need. */

import { Alert, Policy, Recommendation, Resize, Severity, plugin } from "@poolwarden/policy";

class QueueWatch extends Policy {
  static NAME = "queue-watch";
  static VERSION = "0.1.0";
  static PURPOSE = "Alerts when clients queue, and asks for as many servers as they need.";
  static SETTINGS = {
    waiting_min: {
      type: "integer", minimum: 1, default: 5,
      description: "Alerts from this many waiting clients.",
    },
    waiting_ms: {
      type: "integer", minimum: 0, default: 1000,
      description: "Alerts after clients have waited for this long without a break, milliseconds.",
    },
    headroom: {
      type: "number", minimum: 1, maximum: 4, default: 1.1,
      description: "Asks for this many times the servers that clients need.",
    },
  };
  static MEMORY = { rounds: 0, since_ms: 0 };

  static evaluate(settings, window, memory) {
    const queueing = window.pools.filter(
      (pool) => pool.clWaiting >= settings.waiting_min && pool.waitingForMs >= settings.waiting_ms,
    );
    if (queueing.length === 0) {
      memory.rounds = 0;
      memory.since_ms = 0;
      return [];
    }
    if (memory.rounds === 0) memory.since_ms = window.atMs;
    memory.rounds += 1;
    const proposals = queueing.map((pool) => alert(pool, memory));
    for (const scope of window.scopes) {
      const demands = queueing.filter((pool) => pool.scope === scope).map((pool) => pool.demand);
      if (demands.length === 0) continue;
      const most = demands.reduce((most, one) => (one > most ? one : most));
      proposals.push(...size(scope, most, settings));
    }
    return proposals;
  }
}

function alert(pool, memory) {
  const waitedMs = Math.floor(pool.maxwaitUs / 1000);
  const seconds = Math.floor(waitedMs / 1000);
  const millis = String(waitedMs % 1000).padStart(3, "0");
  return new Alert("queue", pool.subject())
    .severity(pool.svIdle > 0 ? Severity.CRITICAL : Severity.WARNING)
    .summary(`${pool.clWaiting} clients wait for ${pool.name()}, the first for ${seconds}.${millis} s.`)
    .holdMs(2_000)
    .cooldownMs(60_000)
    .label("pool_mode", pool.mode)
    .runbook("https://example.com/runbooks/queue")
    .evidence("waiting", pool.clWaiting)
    .evidence("waiting_share", pool.clWaiting / (pool.clWaiting + pool.clActive))
    .evidence("wait_mean_us", pool.waitMeanUs)
    .evidence("rounds", memory.rounds);
}

function size(scope, demand, settings) {
  const wanted = Math.max(1, Math.min(Math.ceil(demand * settings.headroom), scope.ceiling));
  if (wanted <= scope.size) return [];
  const because = `Clients that queue need ${wanted} servers instead of ${scope.size}.`;
  const proposal = scope.isActionable
    ? new Resize(scope, wanted).reason(because)
    : new Recommendation("pool-size", scope.subject()).summary(because).action(`pool_size=${wanted}`);
  return [proposal.evidence("demand", demand).evidence("headroom", settings.headroom)];
}

export const { describe, evaluate } = plugin(QueueWatch);
