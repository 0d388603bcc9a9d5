/*
 * Writes a Poolwarden policy plugin in C: one struct and one function.
 *
 * The names are those of the Rust SDK. Numbers keep the unit in their name, as in the contract.
 * There is no C library: memory comes from malloc and is never freed, because every evaluation has
 * an instance of its own; text is made with pw_format.
 */
#ifndef POOLWARDEN_POLICY_H
#define POOLWARDEN_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/policy.h"

/* ---- Text: UTF-8 with its length; it may hold zero bytes. ---- */

typedef policy_string_t pw_text;

/* Makes a text of a C string, which has to outlive the evaluation. */
pw_text pw_str(const char *string);

/*
 * Formats: %s (const char *), %T (pw_text), %u (uint32_t), %U (uint64_t), %d (int32_t), %.Nf
 * (double, N digits, rounded to nearest even), %%. A number may be padded with zeros: %03u.
 */
pw_text pw_format(const char *format, ...);

/* ---- JSON: settings and memory. ---- */

typedef struct pw_json pw_json;

/* The members of an object; NULL, 0, false or an empty text when there is none of that kind. */
pw_json *pw_get(const pw_json *object, const char *name);
uint32_t pw_get_u32(const pw_json *object, const char *name);
uint64_t pw_get_u64(const pw_json *object, const char *name);
double pw_get_f64(const pw_json *object, const char *name);
bool pw_get_bool(const pw_json *object, const char *name);
pw_text pw_get_text(const pw_json *object, const char *name);

/* Elements of an array. */
uint32_t pw_length(const pw_json *array);
pw_json *pw_at(const pw_json *array, uint32_t index);

/* Sets a member of an object, or adds it. */
void pw_set_u64(pw_json *object, const char *name, uint64_t value);
void pw_set_f64(pw_json *object, const char *name, double value);
void pw_set_bool(pw_json *object, const char *name, bool value);
void pw_set_text(pw_json *object, const char *name, pw_text value);
pw_json *pw_set_object(pw_json *object, const char *name);

/* ---- The window. ---- */

typedef policy_window_t pw_window;
typedef poolwarden_policy_types_subject_t pw_subject;
typedef poolwarden_policy_host_pool_name_t pw_pool_name_t;

/* A pool, a scope and a session are an index and the window. */
typedef struct { const pw_window *window; uint32_t index; } pw_pool;
typedef struct { const pw_window *window; uint32_t index; } pw_scope;
typedef struct { const pw_window *window; uint32_t index; } pw_holder;

typedef enum {
    PW_IDLE, PW_SERVING, PW_QUEUEING, PW_LOGIN_QUEUE, PW_PAUSED, PW_WEDGED, PW_STALE
} pw_condition_t;
typedef enum { PW_SESSION, PW_TRANSACTION, PW_STATEMENT } pw_pool_mode_t;
typedef enum { PW_SCOPE_DEFAULT, PW_SCOPE_DATABASE, PW_SCOPE_USER } pw_scope_kind_t;
typedef enum { PW_POOL_SIZE, PW_MIN_POOL_SIZE, PW_RESERVE_POOL_SIZE } pw_knob;
typedef enum {
    PW_UNCHANGED, PW_MEASURING, PW_VERIFIED, PW_ROLLED_BACK, PW_INCONCLUSIVE
} pw_change_t;

static inline uint32_t pw_pool_count(const pw_window *w) { return (uint32_t)w->pools.scope.len; }
static inline uint32_t pw_scope_count(const pw_window *w) { return (uint32_t)w->scopes.kind.len; }
static inline pw_pool pw_pool_at(const pw_window *w, uint32_t at) { return (pw_pool){w, at}; }
static inline pw_scope pw_scope_at(const pw_window *w, uint32_t at) { return (pw_scope){w, at}; }

/* Asks the sidecar; worth doing only for what is written about. */
pw_pool_name_t pw_pool_name(pw_pool pool);
pw_text pw_scope_name(pw_scope scope);
/* A setting of the PgBouncer as SHOW CONFIG gives it; false when it is not known. */
bool pw_setting(const char *name, pw_text *value);
/* One of the operator's labels; empty when there is none. */
pw_text pw_label(const pw_window *window, const char *name);

pw_condition_t pw_pool_condition(pw_pool pool);
pw_pool_mode_t pw_pool_mode(pw_pool pool);
/* The mode in PgBouncer's words: session, transaction or statement. */
const char *pw_pool_mode_name(pw_pool pool);
static inline pw_scope pw_pool_scope(pw_pool p) {
    return (pw_scope){p.window, p.window->pools.scope.ptr[p.index]};
}

#define PW_CELL(view, table, type, column)                          \
    static inline type pw_##view##_##column(pw_##view row) {        \
        return row.window->table.column.ptr[row.index];             \
    }
PW_CELL(pool, pools, uint32_t, cl_active)
PW_CELL(pool, pools, uint32_t, cl_waiting)
PW_CELL(pool, pools, uint32_t, sv_active)
PW_CELL(pool, pools, uint32_t, sv_idle)
PW_CELL(pool, pools, uint32_t, sv_login)
PW_CELL(pool, pools, uint32_t, size)
PW_CELL(pool, pools, uint32_t, reserve)
PW_CELL(pool, pools, uint64_t, maxwait_us)
PW_CELL(pool, pools, uint64_t, waiting_for_ms)
PW_CELL(pool, pools, uint64_t, full_for_ms)
PW_CELL(pool, pools, uint64_t, unserved_for_ms)
PW_CELL(pool, pools, uint64_t, observed_for_ms)
PW_CELL(pool, pools, double, utilization)
PW_CELL(pool, pools, double, utilization_p50)
PW_CELL(pool, pools, double, utilization_p95)
PW_CELL(pool, pools, double, wait_p95_us)
PW_CELL(pool, pools, double, busy_mean)
PW_CELL(pool, pools, double, busy_finished)
PW_CELL(pool, pools, double, demand)
PW_CELL(pool, pools, double, demand_max_short)
PW_CELL(pool, pools, double, demand_max_long)
PW_CELL(pool, pools, double, demand_trend_per_min)
PW_CELL(pool, pools, double, clients_trend_per_min)
PW_CELL(pool, pools, double, transactions_per_s)
PW_CELL(pool, pools, double, queries_per_s)
PW_CELL(pool, pools, double, transaction_mean_us)
PW_CELL(pool, pools, double, query_mean_us)
PW_CELL(pool, pools, double, wait_mean_us)
PW_CELL(pool, pools, uint32_t, idle_in_transaction)
PW_CELL(pool, pools, uint64_t, idle_in_transaction_max_ms)
PW_CELL(pool, pools, uint32_t, running)
PW_CELL(pool, pools, uint32_t, waiting_on_lock)
PW_CELL(pool, pools, uint32_t, waiting_on_io)
PW_CELL(scope, scopes, uint32_t, size)
PW_CELL(scope, scopes, uint32_t, min_size)
PW_CELL(scope, scopes, uint32_t, reserve)
PW_CELL(scope, scopes, uint32_t, floor)
PW_CELL(scope, scopes, uint32_t, ceiling)
PW_CELL(scope, scopes, uint64_t, change_age_ms)
PW_CELL(scope, scopes, uint32_t, change_from)
PW_CELL(scope, scopes, uint32_t, change_to)
#undef PW_CELL
static inline pw_scope_kind_t pw_scope_kind(pw_scope s) {
    return (pw_scope_kind_t)s.window->scopes.kind.ptr[s.index];
}
/* Whether the sidecar is able to change one of the scope's numbers, and its size. */
static inline bool pw_scope_can_change(pw_scope s, pw_knob knob) {
    return (s.window->scopes.actionable.ptr[s.index] >> knob & 1) != 0;
}
static inline bool pw_scope_is_actionable(pw_scope s) { return pw_scope_can_change(s, PW_POOL_SIZE); }
/* What came of the sidecar's last change of the size. */
pw_change_t pw_scope_change(pw_scope scope);
static inline uint32_t pw_scope_pool_count(pw_scope s) {
    return s.window->scopes.pools.ptr[s.index];
}

/* Sessions are there for a short while after pw_look_at_sessions; see window->sessions. */
uint32_t pw_holder_count(const pw_window *window);
pw_holder pw_holder_at(const pw_window *window, uint32_t index);
static inline pw_pool pw_holder_pool(pw_holder h) {
    return pw_pool_at(h.window, h.window->sessions.val.holders.pool.ptr[h.index]);
}
/* 0 unknown, 1 runs a statement, 2 idle inside a transaction, 3 idle outside of one. */
static inline uint8_t pw_holder_state(pw_holder h) {
    return h.window->sessions.val.holders.state.ptr[h.index];
}
static inline bool pw_holder_is_endable(pw_holder h) {
    return h.window->sessions.val.holders.endable.ptr[h.index] != 0;
}
#define PW_CELL(type, column)                                              \
    static inline type pw_holder_##column(pw_holder row) {                 \
        return row.window->sessions.val.holders.column.ptr[row.index];     \
    }
PW_CELL(pw_text, client)
PW_CELL(pw_text, application)
PW_CELL(pw_text, address)
PW_CELL(uint32_t, backend_pid)
PW_CELL(uint64_t, connected_ms)
PW_CELL(uint64_t, request_age_ms)
PW_CELL(uint64_t, state_age_ms)
PW_CELL(uint64_t, transaction_age_ms)
PW_CELL(uint64_t, statement_age_ms)
#undef PW_CELL
/* Client groups and the past are columns: window->sessions.val.groups, window->past.val. */

/* ---- The answer. ---- */

typedef enum { PW_INFO, PW_WARNING, PW_CRITICAL } pw_severity;
typedef struct pw_answer pw_answer;
typedef struct pw_proposal pw_proposal;

pw_subject pw_target_subject(void);
pw_subject pw_database_server_subject(void);
pw_subject pw_pool_subject(pw_pool pool);
pw_subject pw_scope_subject(pw_scope scope);

/* Each adds a proposal to the answer; what is not said afterwards is empty or zero. */
pw_proposal *pw_alert(pw_answer *answer, const char *name, pw_subject subject);
pw_proposal *pw_recommendation(pw_answer *answer, const char *name, pw_subject subject);
pw_proposal *pw_resize(pw_answer *answer, pw_scope scope, uint32_t size);
pw_proposal *pw_end_session(pw_answer *answer, pw_holder holder);
void pw_look_at_sessions(pw_answer *answer, pw_text reason);

/* For resizes: another number of the scope than its pool_size. */
void pw_set_knob(pw_proposal *resize, pw_knob knob);
/* For alerts; their severity is PW_WARNING unless this says otherwise. */
void pw_set_severity(pw_proposal *alert, pw_severity severity);
void pw_set_hold_ms(pw_proposal *alert, uint64_t hold_ms);
void pw_set_cooldown_ms(pw_proposal *alert, uint64_t cooldown_ms);
void pw_add_label(pw_proposal *alert, const char *name, pw_text value);
void pw_set_runbook(pw_proposal *alert, const char *runbook);
/* For alerts and recommendations: the one sentence that a person reads. */
void pw_set_summary(pw_proposal *proposal, pw_text summary);
/* For recommendations: the exact lines or commands. */
void pw_set_action(pw_proposal *recommendation, pw_text action);
/* For resizes and the end of a session. */
void pw_set_reason(pw_proposal *proposal, pw_text reason);
/* A number that it rests on. */
void pw_add_evidence(pw_proposal *proposal, const char *name, double value);

/* ---- The log. ---- */

void pw_log_debug(pw_text message);
void pw_log_info(pw_text message);
void pw_log_warn(pw_text message);

/* ---- The policy. ---- */

/* What evaluate() returns when it cannot decide: PW_FAIL("no pools"); the line is added. */
pw_text *pw_fail_at(const char *file, uint32_t line, pw_text message);
#define PW_FAIL(...) pw_fail_at(__FILE__, __LINE__, pw_format(__VA_ARGS__))

typedef struct {
    /* Stable name, for example queue-watch. */
    const char *name;
    const char *version;
    /* One line that says what it is for. */
    const char *purpose;
    /* JSON Schema of the settings; its defaults are filled in. */
    const char *settings;
    /* What it remembers at first, a JSON object; unreadable memory becomes this again. */
    const char *memory;
    /* Least time between two evaluations; 0: whenever there is news. */
    uint64_t every_ms;
    /* How much of the past it wants to see; 0 steps: none. */
    uint64_t past_step_ms;
    uint32_t past_steps;
    /* Decides. Returns NULL, or what PW_FAIL made. */
    pw_text *(*evaluate)(const pw_json *settings, const pw_window *window, pw_json *memory,
                         pw_answer *answer);
} pw_policy;

/* The author defines it; it makes the policy the plugin of the module. */
extern const pw_policy pw_plugin;

#endif
