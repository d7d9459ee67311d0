/* The end of a hand-over: one refresh proves that the grant is ours, and at a provider that rotates ends the
 * copy that the old system has. */
#include "cmd/cmd_import.h"

#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

enum { FRESH_DEADLINE_MS = 120000 };

static enum import_result fail(const struct bursar_failure *failure, enum import_result result,
                               char *words, size_t size)
{
    snprintf(words, size, "%s: %s%s%s%s", bursar_error_code(failure->error), failure->message,
             failure->provider_error[0] ? " (provider: " : "", failure->provider_error,
             failure->provider_error[0] ? ")" : "");
    return result;
}

/* generation: of a refresh, the one that is to be refreshed; the planner may have done it already. */
static int do_op(struct import *import, const char *op, const json_t *put, json_int_t generation,
                 struct bursar_failure *failure)
{
    json_t *root = NULL, *request = import_named(put);
    if (strcmp(op, "refresh") == 0) {
        json_object_set_new(request, "force", json_true());
        json_object_set_new(request, "generation", json_integer(generation));
        json_object_set_new(request, "deadline_ms", json_integer(FRESH_DEADLINE_MS));
    }
    if (strcmp(op, "connection.freeze") == 0)
        json_object_set_new(request, "reason", json_string("hand_over"));
    int error = import_ask(import, op, request, &root, failure);
    json_decref(root);
    return error;
}

/* What was let go and could not be refreshed for a passing reason is held again. */
static enum import_result hold_again(struct import *import, const json_t *put,
                                     const struct bursar_failure *failure, char *words, size_t size)
{
    struct bursar_failure other;
    fail(failure, IMPORT_LATER, words, size);
    if (do_op(import, "connection.freeze", put, 0, &other) < 0)
        return fail(&other, IMPORT_FAILED, words, size);
    return IMPORT_LATER;
}

enum import_result import_take(struct import *import, const json_t *put, char *words, size_t size)
{
    struct bursar_failure failure;
    json_t *record = import_record(import, put, &failure);
    if (!record)
        return fail(&failure, IMPORT_FAILED, words, size);
    bool is_held = import_is(record, "FROZEN", "hand_over");
    json_int_t generation = json_integer_value(json_object_get(record, "generation"));
    snprintf(words, size, "it is %s", json_string_value(json_object_get(record, "state")));
    json_decref(record);
    if (!is_held)
        return IMPORT_THERE;
    if (do_op(import, "connection.thaw", put, 0, &failure) < 0)
        return fail(&failure, IMPORT_FAILED, words, size);
    switch (do_op(import, "refresh", put, generation, &failure)) {
    case BURSAR_OK: snprintf(words, size, "refreshed here"); return IMPORT_TAKEN;
    case BURSAR_E_UNSUPPORTED_OP:
        snprintf(words, size, "there is nothing to refresh");
        return IMPORT_TAKEN;
    case BURSAR_E_NEEDS_REAUTH: return fail(&failure, IMPORT_SPENT, words, size);
    case BURSAR_E_IN_DOUBT: return fail(&failure, IMPORT_IN_DOUBT, words, size);
    default: return hold_again(import, put, &failure, words, size);
    }
}
