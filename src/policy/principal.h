/* A principal: who asks, and what it may ask for.
 * Thread: its builder; a finished one is not changed and may be read by any.
 *
 * No principal, no access. It is recognised by the uid or gid of its process on ipc, or by its CURVE public
 * key on tcp; what it may do is decided in policy/access.h. */
#ifndef POLICY_PRINCIPAL_H
#define POLICY_PRINCIPAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* No role implies another. */
enum role {
    ROLE_VEND = 1 << 0,    /* vend, connection.get */
    ROLE_REFRESH = 1 << 1, /* refresh, invalidate */
    ROLE_CONNECT = 1 << 2, /* what brings a grant or a key */
    ROLE_MANAGE = 1 << 3,  /* all of connection.* */
    ROLE_EVENTS = 1 << 4,  /* subscriptions, events.since */
    ROLE_EXPORT = 1 << 5,  /* refresh tokens */
    ROLE_ADMIN = 1 << 6,   /* principals, keys, providers, the audit log */
    ROLE_ALL = (1 << 7) - 1,
};
enum { ROLE_COUNT = 7 };

/* Names in the order of their bits. */
const char *role_name(size_t index);
/* The bit of a name; 0 for none. */
unsigned role_of(struct text name);
void role_names(const char *out_names[static ROLE_COUNT]);

/* Which of something a principal may name: all, or those that are listed. */
struct name_list {
    bool is_all;
    char **names;
    size_t count;
};
bool name_list_has(const struct name_list *list, struct text name);

#define PRINCIPAL_KEY_LEN 40 /* characters of a CURVE public key in Z85 */
struct principal_key {
    char z85[PRINCIPAL_KEY_LEN + 1];
};

/* What bounds one principal, so that it harms nobody but itself. */
struct principal_limits {
    uint32_t in_flight;     /* jobs that wait for an answer */
    uint32_t per_second;    /* jobs in a second; 0: no bound */
    uint32_t subscriptions; /* of all its subscribers together */
    uint32_t job_bytes;     /* of a body; 0: max_job_bytes alone */
    uint64_t unread_bytes;  /* of answers that its clients have not taken */
};
extern const struct principal_limits principal_default_limits;
/* The name of a limit as it is configured, its place, and its bounds; a NULL name behind the last. */
struct principal_limit_rule {
    const char *name;
    size_t at; /* offset in struct principal_limits */
    bool is_64;
    uint64_t min, max;
};
const struct principal_limit_rule *principal_limit_rules(void);
uint64_t principal_limit_get(const struct principal_limits *limits,
                             const struct principal_limit_rule *rule);
void principal_limit_set(struct principal_limits *limits, const struct principal_limit_rule *rule,
                         uint64_t value);

struct principal {
    char *name;
    char *email; /* NULL: none */
    unsigned roles;
    struct name_list owners, providers, refs;
    struct name_list scopes; /* operator_scopes; is_all is never set */
    struct principal_limits limits;
    uint32_t *uids, *gids;
    size_t uid_count, gid_count;
    struct principal_key *keys;
    size_t key_count;
};

/* A principal that may do nothing for nobody, with the default limits. */
void principal_init(struct principal *principal);
/* Ends what it holds; NULL and all-zero are fine. */
void principal_fini(struct principal *principal);
/* Adding to the lists: false without memory. The text `*` makes a list all. */
bool principal_set_text(char **to, struct text text);
bool principal_add_name(struct name_list *list, struct text name);
bool principal_add_id(uint32_t **ids, size_t *count, uint32_t id);
bool principal_add_key(struct principal *principal, struct text z85);
/* The keys of a principal that are lists, in the configuration and on the wire; a NULL key behind the last.
 * take adds one value as it is written and gives what is wrong with it, or NULL; has_memory becomes false
 * where there is none. */
struct principal_rule {
    const char *key;
    bool is_number; /* of a user or group */
    const char *(*take)(struct principal *principal, struct text value, bool *has_memory);
};
const struct principal_rule *principal_rules(void);
/* Lists that were not given: all providers; all shared credentials to whom all owners are open. */
void principal_fill(struct principal *principal, bool has_providers, bool has_refs);
/* What is wrong with it as a whole, or NULL. */
const char *principal_problem(const struct principal *principal);
/* What both are recognised by ("uid", "gid", "CURVE key"), or NULL: a peer is one principal, never two. */
const char *principal_shared(const struct principal *a, const struct principal *b);

/* A copy of all; false without memory, and nothing is to be ended then. */
bool principal_copy(const struct principal *from, struct principal *out);

/* A name as it is written: [A-Za-z0-9][A-Za-z0-9._@-]{0,63}. */
bool principal_is_name(struct text name);

#endif
