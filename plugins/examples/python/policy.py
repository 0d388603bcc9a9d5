"""Alerts when clients queue, and asks for as many servers as they need."""

import math

from poolwarden_policy import Alert, Policy, Recommendation, Resize, Severity, plugin


class QueueWatch(Policy):
    NAME = "queue-watch"
    VERSION = "0.1.0"
    PURPOSE = "Alerts when clients queue, and asks for as many servers as they need."
    SETTINGS = {
        "waiting_min": {
            "type": "integer", "minimum": 1, "default": 5,
            "description": "Alerts from this many waiting clients.",
        },
        "waiting_ms": {
            "type": "integer", "minimum": 0, "default": 1000,
            "description": "Alerts after clients have waited for this long without a break,"
            " milliseconds.",
        },
        "headroom": {
            "type": "number", "minimum": 1, "maximum": 4, "default": 1.1,
            "description": "Asks for this many times the servers that clients need.",
        },
    }
    MEMORY = {"rounds": 0, "since_ms": 0}

    @staticmethod
    def evaluate(settings, window, memory):
        queueing = [
            pool
            for pool in window.pools
            if pool.cl_waiting >= settings.waiting_min
            and pool.waiting_for_ms >= settings.waiting_ms
        ]
        if not queueing:
            memory["rounds"] = 0
            memory["since_ms"] = 0
            return []
        if memory["rounds"] == 0:
            memory["since_ms"] = window.at_ms
        memory["rounds"] += 1
        proposals = [alert(pool, memory) for pool in queueing]
        for scope in window.scopes:
            demands = [pool.demand for pool in queueing if pool.scope is scope]
            if demands:
                proposals += size(scope, max(demands), settings)
        return proposals


def alert(pool, memory):
    waited_ms = pool.maxwait_us // 1000
    waited = f"{waited_ms // 1000}.{waited_ms % 1000:03}"
    return (
        Alert("queue", pool.subject())
        .severity(Severity.CRITICAL if pool.sv_idle > 0 else Severity.WARNING)
        .summary(f"{pool.cl_waiting} clients wait for {pool.name()}, the first for {waited} s.")
        .hold_ms(2_000)
        .cooldown_ms(60_000)
        .label("pool_mode", pool.mode.value)
        .runbook("https://example.com/runbooks/queue")
        .evidence("waiting", pool.cl_waiting)
        .evidence("waiting_share", pool.cl_waiting / (pool.cl_waiting + pool.cl_active))
        .evidence("wait_mean_us", pool.wait_mean_us)
        .evidence("rounds", memory["rounds"])
    )


def size(scope, demand, settings):
    servers = demand * settings.headroom
    wanted = scope.ceiling if servers >= scope.ceiling else max(1, math.ceil(servers))
    if wanted <= scope.size:
        return []
    because = f"Clients that queue need {wanted} servers instead of {scope.size}."
    if scope.is_actionable:
        proposal = Resize(scope, wanted).reason(because)
    else:
        advice = Recommendation("pool-size", scope.subject())
        proposal = advice.summary(because).action(f"pool_size={wanted}")
    return [proposal.evidence("demand", demand).evidence("headroom", settings.headroom)]


WitWorld = plugin(QueueWatch)
