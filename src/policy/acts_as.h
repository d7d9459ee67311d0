/* On whose behalf a provider's secrets act, and so who may bring one.
 * Thread: any; pure functions.
 *
 * Where a job names an owner it gets what that owner has, where it names a `ref` the shared one: neither
 * ever stands in for the other. */
#ifndef POLICY_ACTS_AS_H
#define POLICY_ACTS_AS_H

#include <stdbool.h>

#include "base/text.h"

/* `acts_as` of an entry. */
enum acts_as {
    ACTS_AS_EITHER, /* also where the entry does not say */
    ACTS_AS_USER,
    ACTS_AS_SERVICE,
};

/* Where a secret comes from. */
enum actor {
    ACTOR_PERSON,  /* somebody consents to what is done in their name */
    ACTOR_SERVICE, /* the configuration: a credential that all share */
};

/* An absent or unknown word says nothing. */
enum acts_as acts_as_of(struct text word);
bool acts_as_allows(enum acts_as acts_as, enum actor actor);

#endif
