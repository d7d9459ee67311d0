/* When a secret expires, when it is due for a refresh, and what a reply says about it.
 * Thread: any; pure functions. Times are seconds since 1970 UTC. */
#ifndef POLICY_EXPIRY_H
#define POLICY_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

#define EXPIRY_NEVER INT64_MAX /* no expiry is known: good until it is invalidated */
#define EXPIRY_MAX_LIFE_S ((int64_t)10 * 365 * 86400) /* more than this is not believed */

struct expiry_rule {
    int64_t refresh_lead_s; /* at most so long before the end */
    double expiry_ratio;    /* and not before this share of the life has passed; in (0, 1] */
};

/* A hint that comes earlier than this share of the life would only make refreshes of refreshes. */
#define EXPIRY_HINT_RATIO 0.1

/* Whether a token that may have been spent at `since` is not taken again any more by an issuer that allows for it for
 * grace_s. One that was spent in the future is not: the clock was set back since, and how long ago it was is not
 * known. */
bool expiry_is_past_grace(int64_t since, int64_t grace_s, int64_t now);

enum expiry_unit { EXPIRY_S, EXPIRY_MS, EXPIRY_EPOCH_S, EXPIRY_EPOCH_MS, EXPIRY_ISO8601 };

/* min(refresh_lead, (1 - expiry_ratio) * life), at least 0. */
int64_t expiry_lead_s(const struct expiry_rule *rule, int64_t life_s);

/* When a secret that was issued and expires so is due. jitter is in [-1, 1] and moves it by up to
 * a tenth of the lead. EXPIRY_NEVER for one that does not expire. */
int64_t expiry_due_at(const struct expiry_rule *rule, int64_t issued_at, int64_t expires_at,
                      double jitter);

/* When a secret is due of which its issuer said that it wants to be asked again at hinted_at. due_at is when it
 * would be due without that. The hint is followed where it lies behind a tenth of the life and before the end,
 * and moves the time forward alone, unless may_delay; else due_at stays. jitter in [-1, 1] puts it off by up to a
 * tenth of what there is until then, never past due_at where it is earlier. */
int64_t expiry_hinted_at(int64_t due_at, int64_t issued_at, int64_t expires_at, int64_t hinted_at,
                         bool may_delay, double jitter);

/* Reads what a reply gave (a number, also as text, or a date). False, with nothing written, for what
 * counts as absent: empty, not a number, zero, negative, not finite, or more than ten years away. */
bool expiry_read(struct text text, enum expiry_unit unit, int64_t now, int64_t *out_expires_at);

/* `s`, `ms`, `epoch_s`, `epoch_ms`, `iso8601`; false for another word. */
bool expiry_unit_of(struct text word, enum expiry_unit *out_unit);

#endif
