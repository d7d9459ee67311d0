/* Everybody who may speak, as of one moment: an unchanging set that threads share by counting who holds it.
 * Thread: any, once made.
 *
 * A change of principals is a new set. The query thread makes it and it goes from thread to thread
 * (query_principal.c): whoever decides by it has it as its own. */
#ifndef BROKER_PRINCIPALS_H
#define BROKER_PRINCIPALS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/text.h"
#include "policy/principal.h"

struct principals;

/* A user id as ZAP gives it to a connection, and the connection to each message: `uid:U:gid:G:pid:P` of a
 * process on this machine, `curve:KEY` of a key's owner. */
#define PEER_MAX 80
void peer_of_process(uid_t uid, gid_t gid, pid_t pid, char out[static PEER_MAX]);
void peer_of_key(const char *z85, char out[static PEER_MAX]);

/* Copies the principals, and adds root and the daemon's own user where none is recognised by their uid: with
 * all roles for everybody as long as there is no principal, else with the role admin alone. Held once. */
struct principals *principals_new(const struct principal *items, size_t count, uid_t own_uid);
struct principals *principals_hold(struct principals *principals);
void principals_release(struct principals *principals); /* NULL is fine */

/* Who that is, or NULL: nobody. A uid comes before a gid. Borrowed while the set is held. */
const struct principal *principals_of_peer(const struct principals *principals, const char *peer);
const struct principal *principals_find(const struct principals *principals, struct text name);
/* Whether some are recognised by a uid or gid that is neither root's nor the daemon's own. */
bool principals_have_others(const struct principals *principals);
size_t principals_count(const struct principals *principals);
const struct principal *principals_at(const struct principals *principals, size_t index);
/* Its place in the set. */
size_t principals_index(const struct principals *principals, const struct principal *principal);

struct broker;
struct store_reader;
/* query_principal.c: the principals of a configuration and those that the store keeps. 0, or what the store
 * says. */
int principals_read(const struct broker *broker, struct store_reader *reader,
                    const struct principal *configured, size_t count,
                    struct principals **out_principals);

#endif
