#include "client/grant.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "client/texts.h"
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
    texts_free(grant->scopes);
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

/* ---- reading a reply ------------------------------------------------------------------------ */

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
    const struct node *scopes = node_get(secret, "scopes");
    if (node_type(secret) != NODE_MAP)
        return true;
    if (node_type(fields) != NODE_MAP)
        fields = NULL;
    const char *main_part = doc_main_part(node_text(node_get(secret, "kind")));
    grant->parts = calloc(node_count(secret) + node_count(fields) + 1, sizeof *grant->parts);
    grant->scopes = node_type(scopes) == NODE_ARRAY ? texts_read(scopes) : NULL;
    if (node_type(scopes) == NODE_ARRAY && !grant->scopes)
        return false;
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

/* ---- grants of the caller's own ------------------------------------------------------------- */

static bool duplicate(const char *text, char **out_copy)
{
    *out_copy = text ? strdup(text) : NULL;
    return !text || *out_copy;
}

static bool copy_parts(const struct bursar_part *parts, size_t count, struct bursar_grant *grant)
{
    grant->parts = calloc(count + 1, sizeof *grant->parts);
    for (size_t i = 0; grant->parts && i < count; i++) {
        char *name = strdup(parts[i].name);
        char *value = strdup(parts[i].value);
        grant->parts[grant->part_count++] = (struct bursar_part){name, value};
        if (!name || !value)
            return false;
    }
    return grant->parts != NULL;
}

int bursar_grant_copy(const struct bursar_grant *grant, struct bursar_grant *out_grant)
{
    struct bursar_grant made = {.generation = grant->generation,
                                .expires_at = grant->expires_at,
                                .is_stale = grant->is_stale};
    bool is_ok = duplicate(grant->connection, &made.connection) &&
                 duplicate(grant->provider, &made.provider) &&
                 duplicate(grant->account, &made.account) &&
                 duplicate(grant->refresh_state, &made.refresh_state) &&
                 duplicate(grant->refresh_error, &made.refresh_error) &&
                 duplicate(grant->kind, &made.kind) && duplicate(grant->token, &made.token) &&
                 copy_parts(grant->parts, grant->part_count, &made);
    if (is_ok && grant->scopes) {
        made.scopes = texts_copy((const char *const *)grant->scopes);
        is_ok = made.scopes != NULL;
    }
    if (!is_ok) {
        bursar_grant_free(&made);
        return BURSAR_E_NOMEM;
    }
    *out_grant = made;
    return BURSAR_OK;
}

int bursar_grant_make(const char *kind, const struct bursar_part *parts, size_t part_count,
                      struct bursar_grant *out_grant)
{
    struct bursar_grant made = {0};
    const char *main_part = doc_main_part(text_of(kind));
    if (!main_part)
        return BURSAR_E_BAD_REQUEST;
    for (size_t i = 0; i < part_count; i++) {
        if (!parts[i].name || !parts[i].value)
            return BURSAR_E_BAD_REQUEST;
    }
    bool is_ok = duplicate(kind, &made.kind) && copy_parts(parts, part_count, &made);
    const char *token = is_ok ? bursar_grant_part(&made, main_part) : NULL;
    if (is_ok && token)
        is_ok = duplicate(token, &made.token);
    if (is_ok && token) {
        *out_grant = made;
        return BURSAR_OK;
    }
    bursar_grant_free(&made);
    return is_ok ? BURSAR_E_BAD_REQUEST : BURSAR_E_NOMEM;
}
