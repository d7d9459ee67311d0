/* What the end of an attempt means: whose fault a failure is, and what may be done next.
 * Thread: any; pure functions. */
#ifndef POLICY_VERDICT_H
#define POLICY_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* How far an exchange with the provider came. */
enum exchange_end {
    EXCHANGE_REPLY,  /* status, headers and the whole body are there */
    EXCHANGE_UNSENT, /* nothing of the request left this machine, or the peer was never reached */
    EXCHANGE_LOST,   /* something was sent and no whole reply came back */
};

/* What the module read in a whole reply. */
enum reply_shape { REPLY_SECRET, REPLY_ERROR, REPLY_MALFORMED };

enum rotation_rule { ROTATION_NONE, ROTATION_REUSE_GRACE, ROTATION_STRICT, ROTATION_UNKNOWN };

/* Numbers are stored (last_outcome): never renumber. */
enum verdict_class {
    VERDICT_OK = 0,
    VERDICT_GRANT = 1,     /* the grant is dead */
    VERDICT_CLIENT = 2,    /* our client or our configuration is refused */
    VERDICT_PROVIDER = 3,  /* outage; try again */
    VERDICT_THROTTLED = 4, /* the provider asks to wait; try again */
    VERDICT_UNCERTAIN = 5, /* the token may have been spent: never simply try again */
    VERDICT_END
};

/* Lists that a connector adds to the standard ones; NULL-ended, NULL for none. A word is `code`,
 * `code/subcode`, `/subcode` for any code, `HTTP 404` for a status whatever the code is, or
 * `HTTP 403 code`; a code or subcode that ends with `*` means all that begin so. Of several the one that
 * means a reply most closely decides: by its subcode, by status and code, by the code, by the status. */
struct verdict_words {
    const char *const *reauth;    /* error codes that mean a dead grant */
    const char *const *transient; /* error codes that pass by themselves */
    const char *const *client;    /* error codes that mean our configuration */
    const char *const *throttle;  /* error codes that ask to wait */
};

struct verdict_input {
    enum exchange_end end;
    enum reply_shape shape;
    enum rotation_rule rotation;
    int status;        /* HTTP */
    struct text error; /* the OAuth code or its like; absent where there is none */
    struct text subcode;
    bool has_retry_after;
};

/* Whether a word of a connector's lists means this reply. */
bool verdict_word_is(const char *word, int status, struct text error, struct text subcode);

enum verdict_class verdict_of(const struct verdict_input *input, const struct verdict_words *words);

/* Whether a reply of VERDICT_CLIENT may mean our secret, and not what was asked for: then another secret
 * of the same client may be tried with the same request. */
bool verdict_may_mean_secret(int status, struct text error);

/* Whether a lost reply may have cost the refresh token: strict rotators and unknown ones. */
bool rotation_is_strict(enum rotation_rule rotation);
bool rotation_rule_of(struct text word, enum rotation_rule *out_rule);

/* `grant`, `client`, `provider` as events and errors name it; throttled and uncertain are the
 * provider's. "ok" for VERDICT_OK. */
const char *verdict_class_name(enum verdict_class verdict);
/* The error that a caller gets who has to be told. */
int verdict_error(enum verdict_class verdict);

/* What is done with an intent that a crash left open. */
enum recovery {
    RECOVERY_READ_REPLY, /* a raw reply is kept: read and commit it */
    RECOVERY_SEND_AGAIN, /* the token may be sent again: as if nothing had happened */
    RECOVERY_PROBE,      /* IN_DOUBT, then one probe with the old token */
};
/* is_in_grace: a spent token may still be sent again (ROTATION_REUSE_GRACE). */
enum recovery recovery_of(bool has_reply, enum rotation_rule rotation, bool is_in_grace);

#endif
