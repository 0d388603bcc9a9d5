/* Alerts when clients queue, and asks for as many servers as they need. */

#include "poolwarden_policy.h"

static const char SETTINGS[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
    "\"waiting_min\": {\"type\": \"integer\", \"minimum\": 1, \"default\": 5,"
    " \"description\": \"Alerts from this many waiting clients.\"},"
    "\"waiting_ms\": {\"type\": \"integer\", \"minimum\": 0, \"default\": 1000,"
    " \"description\": \"Alerts after clients have waited for this long without a break,"
    " milliseconds.\"},"
    "\"headroom\": {\"type\": \"number\", \"minimum\": 1, \"maximum\": 4, \"default\": 1.1,"
    " \"description\": \"Asks for this many times the servers that clients need.\"}}}";

static bool is_queueing(const pw_json *settings, pw_pool pool) {
    return pw_pool_cl_waiting(pool) >= pw_get_u32(settings, "waiting_min") &&
           pw_pool_waiting_for_ms(pool) >= pw_get_u64(settings, "waiting_ms");
}

static void alert(pw_answer *answer, pw_pool pool, const pw_json *memory) {
    uint32_t waiting = pw_pool_cl_waiting(pool);
    uint64_t waited_ms = pw_pool_maxwait_us(pool) / 1000;
    pw_pool_name_t name = pw_pool_name(pool);
    pw_proposal *alert = pw_alert(answer, "queue", pw_pool_subject(pool));
    pw_set_severity(alert, pw_pool_sv_idle(pool) > 0 ? PW_CRITICAL : PW_WARNING);
    pw_set_summary(alert, pw_format("%u clients wait for %T/%T, the first for %U.%03U s.", waiting,
                                    name.database, name.user, waited_ms / 1000, waited_ms % 1000));
    pw_set_hold_ms(alert, 2000);
    pw_set_cooldown_ms(alert, 60000);
    pw_add_label(alert, "pool_mode", pw_str(pw_pool_mode_name(pool)));
    pw_set_runbook(alert, "https://example.com/runbooks/queue");
    pw_add_evidence(alert, "waiting", waiting);
    pw_add_evidence(alert, "waiting_share", waiting / ((double)waiting + pw_pool_cl_active(pool)));
    pw_add_evidence(alert, "wait_mean_us", pw_pool_wait_mean_us(pool));
    pw_add_evidence(alert, "rounds", pw_get_f64(memory, "rounds"));
}

static void size(pw_answer *answer, pw_scope scope, double demand, double headroom) {
    double servers = demand * headroom;
    uint32_t wanted = 1;
    while (wanted < pw_scope_ceiling(scope) && wanted < servers) wanted++;
    if (wanted <= pw_scope_size(scope)) return;
    pw_text because = pw_format("Clients that queue need %u servers instead of %u.", wanted,
                                pw_scope_size(scope));
    pw_proposal *proposal;
    if (pw_scope_is_actionable(scope)) {
        proposal = pw_resize(answer, scope, wanted);
        pw_set_reason(proposal, because);
    } else {
        proposal = pw_recommendation(answer, "pool-size", pw_scope_subject(scope));
        pw_set_summary(proposal, because);
        pw_set_action(proposal, pw_format("pool_size=%u", wanted));
    }
    pw_add_evidence(proposal, "demand", demand);
    pw_add_evidence(proposal, "headroom", headroom);
}

static pw_text *evaluate(const pw_json *settings, const pw_window *window, pw_json *memory,
                         pw_answer *answer) {
    uint32_t pools = pw_pool_count(window), scopes = pw_scope_count(window), queueing = 0;
    double *demand = malloc(scopes * sizeof *demand);
    bool *is_short = malloc(scopes * sizeof *is_short);
    memset(is_short, 0, scopes * sizeof *is_short);
    for (uint32_t at = 0; at < pools; at++) queueing += is_queueing(settings, pw_pool_at(window, at));
    uint64_t rounds = queueing == 0 ? 0 : pw_get_u64(memory, "rounds") + 1;
    if (rounds <= 1) pw_set_u64(memory, "since_ms", rounds == 0 ? 0 : window->at_ms);
    pw_set_u64(memory, "rounds", rounds);
    for (uint32_t at = 0; at < pools; at++) {
        pw_pool pool = pw_pool_at(window, at);
        if (!is_queueing(settings, pool)) continue;
        alert(answer, pool, memory);
        uint32_t scope = pw_pool_scope(pool).index;
        if (!is_short[scope] || pw_pool_demand(pool) > demand[scope]) demand[scope] = pw_pool_demand(pool);
        is_short[scope] = true;
    }
    double headroom = pw_get_f64(settings, "headroom");
    for (uint32_t at = 0; at < scopes; at++) {
        if (is_short[at]) size(answer, pw_scope_at(window, at), demand[at], headroom);
    }
    return NULL;
}

const pw_policy pw_plugin = {
    .name = "queue-watch",
    .version = "0.1.0",
    .purpose = "Alerts when clients queue, and asks for as many servers as they need.",
    .settings = SETTINGS,
    .memory = "{\"rounds\": 0, \"since_ms\": 0}",
    .evaluate = evaluate,
};
