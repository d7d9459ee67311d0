#include "client/grant.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "wire/doc.h"

void bursar_text_free(char *text)
{
    if (text)
        secret_wipe(text, strlen(text));
    free(text);
}

void bursar_grant_free(struct bursar_grant *grant)
{
    if (!grant)
        return;
    for (size_t i = 0; i < grant->part_count; i++) {
        free((void *)(uintptr_t)grant->parts[i].name);
        bursar_text_free((char *)(uintptr_t)grant->parts[i].value);
    }
    free(grant->parts);
    free(grant->connection);
    free(grant->provider);
    free(grant->account);
    free(grant->refresh_state);
    free(grant->refresh_error);
    free(grant->kind);
    bursar_text_free(grant->token);
    *grant = (struct bursar_grant){0};
}

const char *bursar_grant_part(const struct bursar_grant *grant, const char *name)
{
    for (size_t i = 0; i < grant->part_count; i++) {
        if (strcmp(grant->parts[i].name, name) == 0)
            return grant->parts[i].value;
    }
    return NULL;
}

/* Absent and other than text stay NULL. false without memory. */
static bool copy(const struct node *node, char **out_copy)
{
    if (node_type(node) != NODE_TEXT)
        return true;
    *out_copy = text_copy(node_text(node));
    return *out_copy != NULL;
}

static bool add_part(struct bursar_grant *grant, const struct node *name, const struct node *value)
{
    char *name_copy = NULL;
    char *value_copy = NULL;
    if (node_type(name) != NODE_TEXT || node_type(value) != NODE_TEXT)
        return true;
    if (!copy(name, &name_copy) || !copy(value, &value_copy)) {
        free(name_copy);
        return false;
    }
    grant->parts[grant->part_count++] = (struct bursar_part){name_copy, value_copy};
    return true;
}

static bool add_parts(struct bursar_grant *grant, const struct node *map, bool has_kind)
{
    for (size_t i = 0; i < node_count(map); i++) {
        const struct node *name = NULL;
        const struct node *value = NULL;
        node_pair(map, i, &name, &value);
        if (has_kind && text_is(node_text(name), "kind"))
            continue;
        if (!add_part(grant, name, value))
            return false;
    }
    return true;
}

static bool read_secret(const struct node *secret, struct bursar_grant *grant)
{
    const struct node *fields = node_get(secret, "fields");
    if (node_type(secret) != NODE_MAP)
        return true;
    if (node_type(fields) != NODE_MAP)
        fields = NULL;
    const char *main_part = doc_main_part(node_text(node_get(secret, "kind")));
    grant->parts = calloc(node_count(secret) + node_count(fields) + 1, sizeof *grant->parts);
    return grant->parts && copy(node_get(secret, "kind"), &grant->kind) &&
           (!main_part || copy(node_get(secret, main_part), &grant->token)) &&
           add_parts(grant, secret, true) && add_parts(grant, fields, false);
}

/* `last_error` is a code, or a map with one. */
static bool read_refresh(const struct node *refresh, struct bursar_grant *grant)
{
    const struct node *error = node_get(refresh, "last_error");
    if (node_type(error) == NODE_MAP)
        error = node_get(error, "code");
    return copy(node_get(refresh, "state"), &grant->refresh_state) &&
           copy(error, &grant->refresh_error);
}

bool grant_read(const struct node *reply, struct bursar_grant *out_grant)
{
    out_grant->generation = node_uint(node_get(reply, "generation"));
    out_grant->expires_at = node_int(node_get(reply, "expires_at"));
    out_grant->is_stale = node_bool(node_get(reply, "stale"));
    return copy(node_get(reply, "connection"), &out_grant->connection) &&
           copy(node_get(reply, "provider"), &out_grant->provider) &&
           copy(node_get(reply, "account"), &out_grant->account) &&
           read_refresh(node_get(reply, "refresh"), out_grant) &&
           read_secret(node_get(reply, "secret"), out_grant);
}
