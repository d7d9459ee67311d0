/* What a service says of its authorization: from its documents to an entry of the configuration.
 * Thread: any; pure functions. Whoever fetches the documents is elsewhere (src/cmd/cmd_discover.c).
 *
 *     RFC 9728  a protected resource names its authorization servers
 *     RFC 8414  such a server says where its endpoints are; OpenID Connect Discovery 1.0 too
 *     RFC 7591  a client is registered there
 *
 * A document counts only where it is about what was asked for: `resource` and `issuer` must be the very
 * identifiers that its address was made of. URLs in it obey the rules of the configuration. */
#ifndef CONNECTOR_DISCOVERY_H
#define CONNECTOR_DISCOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/text.h"
#include "wire/tree.h"

/* ---- where documents are -------------------------------------------------------------------------- */

enum discovery_place {
    DISCOVERY_RESOURCE,        /* RFC 9728 section 3.1 */
    DISCOVERY_OAUTH,           /* RFC 8414 section 3.1: between host and path */
    DISCOVERY_OPENID_INSERTED, /* RFC 8414 section 5: the same for OpenID's name */
    DISCOVERY_OPENID_APPENDED, /* OpenID Connect Discovery 1.0 section 4.1: behind the path */
    DISCOVERY_PLACE_COUNT
};
/* Appends the address of the document about an identifier. 0, or BURSAR_E_BAD_REQUEST for one that is
 * no URL, or has a query. */
int discovery_url(enum discovery_place place, struct text identifier, struct buf *out);

/* `resource_metadata` of a WWW-Authenticate header (RFC 9728 section 5.1); false where there is none. */
bool discovery_challenge(struct text header, struct buf *out_url);

/* ---- documents ------------------------------------------------------------------------------------ */

/* A JSON object; what is read of it borrows until it ends. */
struct discovery_document {
    struct buf packed; /* secret: a registration has a client's secret */
    struct tree *tree;
};
/* 0, or BURSAR_E_BAD_REQUEST with one line in error. */
int discovery_parse(struct text json, struct discovery_document *out_document, struct buf *error);
void discovery_document_free(struct discovery_document *document);

#define DISCOVERY_LIST_MAX 64
struct discovery_list {
    struct text items[DISCOVERY_LIST_MAX];
    size_t count;
};

struct discovery_resource {
    struct text resource;
    struct discovery_list servers, scopes;
};
/* resource absent: whatever the document says is one. */
int discovery_read_resource(const struct discovery_document *document, struct text resource,
                            bool allow_http, struct discovery_resource *out, struct buf *error);

struct discovery_server {
    struct text issuer, authorize_url, token_url, registration_url;
    struct text device_url, revoke_url, identity_url, introspection_url; /* absent: there is none */
    struct discovery_list scopes;
    struct text client_auth;  /* the best of what the server takes and bursar can: a constant */
    struct text pkce;         /* s256, plain or none: a constant */
    struct text id_token_alg; /* where the server does not do what is the default; else absent */
    bool has_iss;             /* RFC 9207 */
};
int discovery_read_server(const struct discovery_document *document, struct text issuer,
                          bool allow_http, struct discovery_server *out, struct buf *error);

/* ---- registration --------------------------------------------------------------------------------- */

struct discovery_client {
    struct text client_id, client_secret;         /* secret absent: a public client */
    struct text client_auth;                      /* absent: as the server's */
    int64_t secret_expires_at;                    /* seconds since 1970; 0: never */
    struct text management_url, management_token; /* RFC 7592; absent: none */
};
/* The body of a registration (RFC 7591 section 3.1). */
void discovery_write_registration(const struct discovery_server *server, struct text redirect_uri,
                                  struct text name, struct text scopes, struct buf *out);
/* The reply: 0, or BURSAR_E_BAD_REQUEST with what the server said in error. */
int discovery_read_registration(const struct discovery_document *document,
                                struct discovery_client *out, struct buf *error);

/* ---- the entry ------------------------------------------------------------------------------------ */

struct discovery_entry {
    const struct discovery_server *server;
    const struct discovery_resource *resource; /* NULL: the server alone was asked */
    const struct discovery_client *client;     /* NULL: none is registered */
    struct text redirect_uri;                  /* absent: to be filled in */
    struct text scopes; /* space-delimited; absent: those of the resource, or else of the server */
};
/* A provider's id of a URL's host: `api-example-com`. */
void discovery_id(struct text url, struct buf *out);
/* Appends the entry as YAML, under its id. With the client's secret in it, where there is one. */
void discovery_write_entry(const struct discovery_entry *entry, struct text id, struct buf *out);

#endif
