/* A credential's parts as they are sealed: two MessagePack maps, the secret and the grant.
 * Thread: the document's owner.
 *
 * The secret map is what a vend gives out, byte for byte the `secret` of the reply: `kind` and the
 * fields of that kind, `fields`, `apply`, `scopes`. The grant map is what stays: `refresh_token`,
 * `grant`, a map of texts that a connector makes new secrets from, and from the first refresh on `parts`, the names
 * of what the secret has: where a reply brings all of them the secret before it need not be opened. */
#ifndef WIRE_DOC_H
#define WIRE_DOC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/text.h"
#include "wire/tree.h"

/* Reads the `secret` of a credential.put. Appends the two maps to secret buffers; grant stays empty
 * where there is nothing to keep. 0, or BURSAR_E_BAD_REQUEST with the reason in `error`. */
struct doc_put {
    struct buf secret, grant;
    char kind[16];
    bool has_grant; /* there is something to refresh with */
    bool has_apply; /* the put says itself how it is used */
    bool has_refresh_token;
    bool has_refresh_expires_at;
    int64_t refresh_expires_at; /* seconds since 1970 UTC */
};
int doc_read_put(const struct node *secret, struct doc_put *out, struct buf *error);
void doc_put_free(struct doc_put *put);

/* The part by which a secret of a kind is known to a peer ("access_token" of oauth2, "token" of
 * bearer …), or NULL for an unknown kind. */
const char *doc_main_part(struct text kind);

/* Of the grant map. */
#define DOC_PARTS "parts"

/* A text part of a parsed map: of the map itself, or else of its `fields`. */
struct text doc_part(const struct node *map, const char *name);

/* One part that a refresh replaces. */
struct doc_change {
    const char *name;
    struct text value;
    bool is_field;  /* goes into `fields` */
    bool is_list;   /* written as a list: the value split at spaces */
    bool is_packed; /* the value is MessagePack already */
};
/* Appends `before` (NULL: an empty map) with the changes made: parts that are not named stay. */
void doc_merge(const struct node *before, const struct doc_change *changes, size_t count,
               struct buf *out);

#endif
