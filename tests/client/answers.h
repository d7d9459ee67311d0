/* What the fake daemon answers to the ops that are not about secrets or events, and to owners that
 * ask for an error.
 * Thread: the map's owner. */
#ifndef TESTS_CLIENT_ANSWERS_H
#define TESTS_CLIENT_ANSWERS_H

#include <stdbool.h>

#include "wire/pack.h"
#include "wire/tree.h"

/* Packs the answer's keys from `ok` on, where the job is one of
 *     an owner `code:WORD`      that error
 *     whoami                    uid:7, who@example.com, roles vend and refresh, owner acme
 *     principal.is_operator     yes for op@example.com and the scope billing
 *     connector.get             account_type "email"; none for the provider bare
 *     connection.get            scopes read and write; none for the owner unscoped
 * and else gives false. */
bool answers_pack(struct pack *map, const struct node *job);

#endif
