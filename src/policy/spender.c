#include "policy/spender.h"

#include <stddef.h>

#include "policy/expiry.h"

enum spender_sign spender_of_refusal(const struct spender_refusal *refusal)
{
    bool rotates =
        refusal->rotation == ROTATION_STRICT || refusal->rotation == ROTATION_REUSE_GRACE;
    bool has_ended =
        refusal->refresh_expires_at != EXPIRY_NEVER && refusal->now >= refusal->refresh_expires_at;
    bool is_ours = refusal->is_after_loss || refusal->has_nothing || has_ended;
    return refusal->verdict == VERDICT_GRANT && rotates && !is_ours ? SPENDER_REFUSED
                                                                    : SPENDER_NONE;
}

enum spender_sign spender_of_token(bool is_current, bool is_prior, bool is_prior_known)
{
    return is_current || is_prior || !is_prior_known ? SPENDER_NONE : SPENDER_FOREIGN;
}

unsigned spender_count_cut(const struct spender_cut *cut)
{
    if (cut->expires_at == EXPIRY_NEVER || cut->issued_at == EXPIRY_NEVER)
        return 0;
    if (cut->now >= cut->issued_at + (cut->expires_at - cut->issued_at) / 2)
        return 0;
    return cut->is_next ? cut->before + 1 : 1;
}

const char *spender_sign_name(enum spender_sign sign)
{
    static const char *const names[SPENDER_SIGN_END] = {
        [SPENDER_REFUSED] = "refused",
        [SPENDER_FOREIGN] = "foreign_token",
        [SPENDER_CUT_SHORT] = "cut_short",
    };
    return sign < SPENDER_SIGN_END ? names[sign] : NULL;
}
