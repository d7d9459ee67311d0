/* Who has subscribed to what: counted for each principal, so that it can be bounded.
 * Thread: the publisher's.
 *
 * ZeroMQ names the peer of a subscription and of its end, but not where a connection breaks: then it is known
 * which subscription has ended, and one of those who have it is taken for the one. */
#ifndef BROKER_SUBSCRIPTIONS_H
#define BROKER_SUBSCRIPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "broker/principals.h"

struct subscriptions;

struct subscriptions *subscriptions_new(void);
void subscriptions_free(struct subscriptions *subscriptions);
void subscriptions_clear(struct subscriptions *subscriptions);

/* Copies both. principal: whose the peer is. */
void subscriptions_add(struct subscriptions *subscriptions, const char *peer,
                       const struct principal *principal, struct text topic);
/* peer NULL: one of those who have it. Nothing where nobody has. */
void subscriptions_remove(struct subscriptions *subscriptions, const char *peer, struct text topic);
/* How many a principal has. */
size_t subscriptions_count(const struct subscriptions *subscriptions,
                           const struct principal *principal);

#endif
