/* The exports of the contract, and what is between them and the author's function. */
#include "json.h"

typedef poolwarden_policy_types_proposal_t wire_proposal;

struct pw_proposal {
    wire_proposal wire;
    uint32_t evidence_room, label_room;
    pw_proposal *next;
};

struct pw_answer {
    pw_proposal *first, **last;
    uint32_t count;
};

/* ---- The window. ---- */

pw_pool_name_t pw_pool_name(pw_pool pool) {
    pw_pool_name_t name;
    poolwarden_policy_host_get_pool_name(pool.index, &name);
    return name;
}

pw_text pw_scope_name(pw_scope scope) {
    pw_text name;
    poolwarden_policy_host_get_scope_name(scope.index, &name);
    return name;
}

bool pw_setting(const char *name, pw_text *value) {
    pw_text asked = pw_str(name);
    return poolwarden_policy_host_get_setting(&asked, value);
}

pw_text pw_label(const pw_window *window, const char *name) {
    pw_text asked = pw_str(name);
    for (size_t at = 0; at < window->target.labels.len; at++) {
        policy_tuple2_string_string_t *label = &window->target.labels.ptr[at];
        if (label->f0.len == asked.len && memcmp(label->f0.ptr, asked.ptr, asked.len) == 0) return label->f1;
    }
    return (pw_text){0};
}

pw_condition_t pw_pool_condition(pw_pool pool) {
    uint8_t code = pool.window->pools.condition.ptr[pool.index];
    return code < PW_STALE ? (pw_condition_t)code : PW_STALE;
}

pw_pool_mode_t pw_pool_mode(pw_pool pool) {
    uint8_t code = pool.window->pools.mode.ptr[pool.index];
    return code <= PW_STATEMENT ? (pw_pool_mode_t)code : PW_SESSION;
}

pw_change_t pw_scope_change(pw_scope scope) {
    uint8_t code = scope.window->scopes.change.ptr[scope.index];
    return code <= PW_INCONCLUSIVE ? (pw_change_t)code : PW_UNCHANGED;
}

const char *pw_pool_mode_name(pw_pool pool) {
    static const char *const names[] = {"session", "transaction", "statement"};
    return names[pw_pool_mode(pool)];
}

uint32_t pw_holder_count(const pw_window *window) {
    return window->sessions.is_some ? (uint32_t)window->sessions.val.holders.pool.len : 0;
}

pw_holder pw_holder_at(const pw_window *window, uint32_t index) { return (pw_holder){window, index}; }

/* ---- The answer. ---- */

pw_subject pw_target_subject(void) {
    return (pw_subject){.tag = POOLWARDEN_POLICY_TYPES_SUBJECT_TARGET};
}
pw_subject pw_database_server_subject(void) {
    return (pw_subject){.tag = POOLWARDEN_POLICY_TYPES_SUBJECT_DATABASE_SERVER};
}
pw_subject pw_pool_subject(pw_pool pool) {
    return (pw_subject){.tag = POOLWARDEN_POLICY_TYPES_SUBJECT_POOL, .val.pool = pool.index};
}
pw_subject pw_scope_subject(pw_scope scope) {
    return (pw_subject){.tag = POOLWARDEN_POLICY_TYPES_SUBJECT_SCOPE, .val.scope = scope.index};
}

static pw_proposal *propose(pw_answer *answer, uint8_t tag) {
    pw_proposal *proposal = malloc(sizeof *proposal);
    memset(proposal, 0, sizeof *proposal);
    proposal->wire.tag = tag;
    *answer->last = proposal;
    answer->last = &proposal->next;
    answer->count++;
    return proposal;
}

pw_proposal *pw_alert(pw_answer *answer, const char *name, pw_subject subject) {
    pw_proposal *proposal = propose(answer, POOLWARDEN_POLICY_TYPES_PROPOSAL_ALERT);
    proposal->wire.val.alert.name = pw_str(name);
    proposal->wire.val.alert.subject = subject;
    proposal->wire.val.alert.severity = PW_WARNING;
    return proposal;
}

pw_proposal *pw_recommendation(pw_answer *answer, const char *name, pw_subject subject) {
    pw_proposal *proposal = propose(answer, POOLWARDEN_POLICY_TYPES_PROPOSAL_RECOMMENDATION);
    proposal->wire.val.recommendation.name = pw_str(name);
    proposal->wire.val.recommendation.subject = subject;
    return proposal;
}

pw_proposal *pw_resize(pw_answer *answer, pw_scope scope, uint32_t size) {
    pw_proposal *proposal = propose(answer, POOLWARDEN_POLICY_TYPES_PROPOSAL_RESIZE);
    proposal->wire.val.resize.scope = scope.index;
    proposal->wire.val.resize.size = size;
    return proposal;
}

pw_proposal *pw_end_session(pw_answer *answer, pw_holder holder) {
    pw_proposal *proposal = propose(answer, POOLWARDEN_POLICY_TYPES_PROPOSAL_END_SESSION);
    proposal->wire.val.end_session.holder = holder.index;
    return proposal;
}

void pw_look_at_sessions(pw_answer *answer, pw_text reason) {
    pw_proposal *proposal = propose(answer, POOLWARDEN_POLICY_TYPES_PROPOSAL_LOOK_AT_SESSIONS);
    proposal->wire.val.look_at_sessions = reason;
}

void pw_set_knob(pw_proposal *resize, pw_knob knob) {
    if (resize->wire.tag != POOLWARDEN_POLICY_TYPES_PROPOSAL_RESIZE) abort();
    resize->wire.val.resize.knob = (uint8_t)knob;
}

/* An alert, or the end: a setter that does not belong to a proposal is the author's mistake. */
static poolwarden_policy_types_alert_t *alert_of(pw_proposal *proposal) {
    if (proposal->wire.tag != POOLWARDEN_POLICY_TYPES_PROPOSAL_ALERT) abort();
    return &proposal->wire.val.alert;
}

void pw_set_severity(pw_proposal *alert, pw_severity severity) {
    alert_of(alert)->severity = (uint8_t)severity;
}
void pw_set_hold_ms(pw_proposal *alert, uint64_t hold_ms) { alert_of(alert)->hold_ms = hold_ms; }
void pw_set_cooldown_ms(pw_proposal *alert, uint64_t cooldown_ms) {
    alert_of(alert)->cooldown_ms = cooldown_ms;
}
void pw_set_runbook(pw_proposal *alert, const char *runbook) {
    alert_of(alert)->runbook = pw_str(runbook);
}

/* Makes room for one more element. */
static void *grow(void *list, size_t length, uint32_t *room, size_t size) {
    if (length < *room) return list;
    *room = *room * 2 + 4;
    return realloc(list, *room * size);
}

void pw_add_label(pw_proposal *alert, const char *name, pw_text value) {
    policy_list_tuple2_string_string_t *labels = &alert_of(alert)->labels;
    labels->ptr = grow(labels->ptr, labels->len, &alert->label_room, sizeof *labels->ptr);
    labels->ptr[labels->len++] = (policy_tuple2_string_string_t){pw_str(name), value};
}

void pw_set_summary(pw_proposal *proposal, pw_text summary) {
    if (proposal->wire.tag == POOLWARDEN_POLICY_TYPES_PROPOSAL_RECOMMENDATION) {
        proposal->wire.val.recommendation.summary = summary;
    } else {
        alert_of(proposal)->summary = summary;
    }
}

void pw_set_action(pw_proposal *recommendation, pw_text action) {
    if (recommendation->wire.tag != POOLWARDEN_POLICY_TYPES_PROPOSAL_RECOMMENDATION) abort();
    recommendation->wire.val.recommendation.action = action;
}

void pw_set_reason(pw_proposal *proposal, pw_text reason) {
    switch (proposal->wire.tag) {
    case POOLWARDEN_POLICY_TYPES_PROPOSAL_RESIZE: proposal->wire.val.resize.reason = reason; break;
    case POOLWARDEN_POLICY_TYPES_PROPOSAL_END_SESSION:
        proposal->wire.val.end_session.reason = reason;
        break;
    default: abort();
    }
}

void pw_add_evidence(pw_proposal *proposal, const char *name, double value) {
    poolwarden_policy_types_list_evidence_t *list;
    switch (proposal->wire.tag) {
    case POOLWARDEN_POLICY_TYPES_PROPOSAL_ALERT: list = &proposal->wire.val.alert.evidence; break;
    case POOLWARDEN_POLICY_TYPES_PROPOSAL_RECOMMENDATION:
        list = &proposal->wire.val.recommendation.evidence;
        break;
    case POOLWARDEN_POLICY_TYPES_PROPOSAL_RESIZE: list = &proposal->wire.val.resize.evidence; break;
    case POOLWARDEN_POLICY_TYPES_PROPOSAL_END_SESSION:
        list = &proposal->wire.val.end_session.evidence;
        break;
    default: abort();
    }
    list->ptr = grow(list->ptr, list->len, &proposal->evidence_room, sizeof *list->ptr);
    list->ptr[list->len++] = (poolwarden_policy_types_evidence_t){pw_str(name), value};
}

/* ---- The log. ---- */

void pw_log_debug(pw_text message) { poolwarden_policy_host_log(POOLWARDEN_POLICY_HOST_LEVEL_DEBUG, &message); }
void pw_log_info(pw_text message) { poolwarden_policy_host_log(POOLWARDEN_POLICY_HOST_LEVEL_INFO, &message); }
void pw_log_warn(pw_text message) { poolwarden_policy_host_log(POOLWARDEN_POLICY_HOST_LEVEL_WARN, &message); }

/* ---- The exports. ---- */

pw_text *pw_fail_at(const char *file, uint32_t line, pw_text message) {
    const char *name = file;
    for (const char *at = file; *at != 0; at++) {
        if (*at == '/') name = at + 1;
    }
    pw_text *error = malloc(sizeof *error);
    *error = pw_format("%T (%s, line %u)", message, name, line);
    return error;
}

void exports_policy_describe(policy_description_t *ret) {
    *ret = (policy_description_t){
        .name = pw_str(pw_plugin.name),
        .version = pw_str(pw_plugin.version),
        .purpose = pw_str(pw_plugin.purpose),
        .every_ms = pw_plugin.every_ms,
        .settings_schema = pw_str(pw_plugin.settings == NULL ? "{}" : pw_plugin.settings),
    };
    if (pw_plugin.past_steps > 0) {
        ret->past.is_some = true;
        ret->past.val.step_ms = pw_plugin.past_step_ms;
        ret->past.val.steps = pw_plugin.past_steps;
    }
}

static pw_json *parse_text(const char *text) {
    pw_text json = pw_str(text);
    return pw_json_parse(json.ptr, json.len);
}

bool exports_policy_evaluate(policy_window_t *window, policy_string_t *settings,
                             policy_list_u8_t *memory, policy_answer_t *ret, policy_string_t *err) {
    pw_json *chosen = pw_json_parse(settings->ptr, settings->len);
    if (!pw_json_is_object(chosen)) {
        *err = pw_str("settings do not fit: not a JSON object");
        return false;
    }
    pw_json_fill_defaults(chosen, parse_text(pw_plugin.settings));
    pw_json *remembered = pw_json_parse(memory->ptr, memory->len);
    if (!pw_json_is_object(remembered)) remembered = pw_json_object();
    pw_json_merge(remembered, parse_text(pw_plugin.memory));

    pw_answer answer = {.first = NULL};
    answer.last = &answer.first;
    pw_text *error = pw_plugin.evaluate(chosen, window, remembered, &answer);
    if (error != NULL) {
        *err = *error;
        return false;
    }
    pw_text blob = pw_json_write(remembered);
    ret->memory.ptr = blob.ptr;
    ret->memory.len = blob.len;
    ret->proposals.ptr = malloc((answer.count + 1) * sizeof(wire_proposal));
    ret->proposals.len = 0;
    for (pw_proposal *one = answer.first; one != NULL; one = one->next) {
        ret->proposals.ptr[ret->proposals.len++] = one->wire;
    }
    return true;
}
