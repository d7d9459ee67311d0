/* Signs that somebody else refreshes a grant that is ours: a second spender.
 * Thread: any; pure functions. Times are seconds since 1970 UTC.
 *
 * A grant that two systems refresh works for neither for long: each rotation ends the other's token. No
 * sign is a proof, so they change nothing but what is told: `suspect` in the record and in the reason of
 * a `reauth` event. */
#ifndef POLICY_SPENDER_H
#define POLICY_SPENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/verdict.h"

/* Numbers are stored: never renumber. */
enum spender_sign {
    SPENDER_NONE = 0,
    SPENDER_REFUSED = 1,   /* a token that nobody but us should have spent is refused as spent */
    SPENDER_FOREIGN = 2,   /* a caller uses an access token that was never given out here */
    SPENDER_CUT_SHORT = 3, /* one fresh secret after the other is refused early in its life */
    SPENDER_SIGN_END
};

#define SPENDER_CUT_SHORT_MAX 3 /* so many in a row are a sign */

/* A refusal of the current generation's grant. */
struct spender_refusal {
    enum rotation_rule rotation;
    enum verdict_class verdict;
    bool is_after_loss;         /* a reply of ours was lost: we may have spent it ourselves */
    bool has_nothing;           /* nothing was sent: there was nothing to send */
    int64_t refresh_expires_at; /* EXPIRY_NEVER: no end is known */
    int64_t now;
};
enum spender_sign spender_of_refusal(const struct spender_refusal *refusal);

/* An access token that was said to be refused, by which of our generations it is. */
enum spender_sign spender_of_token(bool is_current, bool is_prior, bool is_prior_known);

/* A generation that a caller had refused. */
struct spender_cut {
    unsigned before;               /* what this gave for the last one */
    bool is_next;                  /* the generation before it was refused, too */
    int64_t issued_at, expires_at; /* EXPIRY_NEVER: no end is known */
    int64_t now;
};
/* How many in a row, this one with them, were refused in the first half of their life. */
unsigned spender_count_cut(const struct spender_cut *cut);

/* The words of the wire: "refused", …; NULL for SPENDER_NONE and a number outside. */
const char *spender_sign_name(enum spender_sign sign);

#endif
