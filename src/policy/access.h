/* May this principal have that? Decisions, and nothing else.
 * Thread: any; pure functions.
 *
 * Whoever may not see an owner is not told whether it exists: a job about a foreign owner's connection goes
 * on as one about an owner that nobody has, so that the answer, its way and its time are those of a
 * connection that is not there. */
#ifndef POLICY_ACCESS_H
#define POLICY_ACCESS_H

#include <stdbool.h>

#include "base/text.h"
#include "policy/principal.h"

enum access {
    ACCESS_OK,
    ACCESS_UNSEEN, /* a foreign owner's: as if it were not there */
    ACCESS_NO_ROLE,
    ACCESS_NO_EXPORT,
    ACCESS_NO_OWNER,
    ACCESS_NO_PROVIDER,
    ACCESS_NO_REF,
    ACCESS_NO_SCOPE,
    ACCESS_NAME_OWNER,    /* it may act for some owners only, and has to name one */
    ACCESS_NAME_PROVIDER, /* the same of providers */
    ACCESS_END
};
/* For people, what is wrong and what to do; NULL for OK and UNSEEN, which have no words of their own. */
const char *access_why(enum access access);

/* What a job is about; absent texts: it names none. */
struct access_ask {
    unsigned roles;    /* one of these is needed; 0: none */
    bool wants_export; /* refresh tokens are to leave */
    bool wants_secret; /* a secret is to be given: the role vend is needed too */
    bool is_about_one; /* one connection, by owner and name */
    bool makes_one;    /* it would come into being if it is not there */
    bool is_about_all; /* what is not named is meant wholly: lists, sweeps, the event log */
    struct text owner, provider, ref;
    struct text guard; /* the operator scope that the provider asks for; absent: none */
};
enum access access_check(const struct principal *principal, const struct access_ask *ask);

/* Whether a principal that was so and is so now may hear less of events, or is recognised by less. */
bool access_hears_less(const struct principal *before, const struct principal *now);

/* Whether all that a subscription's prefix can match may be seen. `alive` is open to everybody. Topics are
 * `<type>/<owner>/<provider>/<connection>`, each part percent-encoded; `-` stands for no owner. */
bool access_subscription(const struct principal *principal, struct text prefix);

#endif
