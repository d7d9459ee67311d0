#include "cmd/cmd_import_read.h"

#include <stdio.h>
#include <string.h>

#include "cmd/cmd_put_read.h"

/* What a line may have. Those that are not copied say how it was where it comes from. */
static const struct {
    const char *name;
    bool is_required, is_copied;
} members[] = {
    {"owner", true, true},
    {"provider", true, true},
    {"account", false, true},
    {"secret", true, false},
    {"expires_at", false, true},
    {"scopes", false, true},
    {"metadata", false, true},
    {"tags", false, true},
    {"state", false, false},
    {"generation", false, false},
    {"expect_generation", false, true},
};
enum { MEMBER_COUNT = sizeof members / sizeof members[0] };

static bool is_known(const char *name)
{
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        if (strcmp(members[i].name, name) == 0)
            return true;
    }
    return false;
}

static bool check_members(const json_t *line, char *out_problem, size_t size)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)line, key, value) {
        if (!is_known(key)) {
            snprintf(
                out_problem, size,
                "a key that is not known: owner, provider, account, secret, expires_at, scopes,"
                " metadata, tags and expect_generation are");
            return false;
        }
    }
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        if (members[i].is_required && !json_object_get(line, members[i].name)) {
            snprintf(out_problem, size, "%s is required", members[i].name);
            return false;
        }
    }
    return true;
}

/* A secret with its kind, or a token endpoint's reply. */
static bool add_secret(const json_t *line, int64_t now, json_t *request, char *out_problem,
                       size_t size)
{
    json_t *secret = json_object_get(line, "secret"), *left_out = NULL;
    const char *problem = NULL;
    if (!json_is_object(secret)) {
        snprintf(out_problem, size, "secret must be an object");
        return false;
    }
    if (json_is_string(json_object_get(secret, "kind")))
        return json_object_set(request, "secret", secret) == 0;
    bool is_read = cmd_put_read(secret, now, request, &left_out, &problem);
    json_decref(left_out);
    if (!is_read)
        snprintf(out_problem, size, "secret: %s", problem);
    return is_read;
}

json_t *cmd_import_read(struct text text, int64_t now, char *out_problem, size_t size)
{
    json_error_t where;
    json_t *line = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &where);
    json_t *request = NULL;
    if (!json_is_object(line)) {
        if (line)
            snprintf(out_problem, size, "not a JSON object");
        else
            snprintf(out_problem, size, "not JSON, at its column %d", where.column);
    } else if (check_members(line, out_problem, size)) {
        request = json_object();
        if (add_secret(line, now, request, out_problem, size)) {
            for (size_t i = 0; i < MEMBER_COUNT; i++) {
                json_t *value = json_object_get(line, members[i].name);
                if (value && members[i].is_copied)
                    json_object_set(request, members[i].name, value);
            }
        } else {
            json_decref(request);
            request = NULL;
        }
    }
    json_decref(line);
    return request;
}
