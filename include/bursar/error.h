/* Error codes shared by the wire, the client library, connector modules and the daemon.
 * Thread: any; the functions are pure and their results are constant strings.
 *
 * A function that can fail returns 0 or one of these negative numbers. Numbers are part of the
 * ABI: they are never given another meaning, new ones are added before BURSAR_E_END. */
#ifndef BURSAR_ERROR_H
#define BURSAR_ERROR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum bursar_error {
    BURSAR_OK = 0,

    /* What a reply's `error.code` can say. */
    BURSAR_E_BAD_REQUEST = -1,
    BURSAR_E_UNSUPPORTED_OP = -2,
    BURSAR_E_FORBIDDEN = -3,
    BURSAR_E_NOT_FOUND = -4,
    BURSAR_E_UNKNOWN_PROVIDER = -5,
    BURSAR_E_NOT_CONNECTED = -6,
    BURSAR_E_KIND_MISMATCH = -7,
    BURSAR_E_NEEDS_REAUTH = -8,
    BURSAR_E_REVOKED = -9,
    BURSAR_E_FROZEN = -10,
    BURSAR_E_IN_DOUBT = -11,
    BURSAR_E_CLIENT_REJECTED = -12,
    BURSAR_E_PROVIDER_UNAVAILABLE = -13,
    BURSAR_E_RATE_LIMITED = -14,
    BURSAR_E_INVALID_CREDENTIAL = -15,
    BURSAR_E_CONFLICT = -16,
    BURSAR_E_DEADLINE_EXCEEDED = -17,
    BURSAR_E_OVERLOADED = -18,
    BURSAR_E_SHUTTING_DOWN = -19,
    BURSAR_E_STORE_UNAVAILABLE = -20,
    BURSAR_E_INTERNAL = -21,

    /* What never crosses the wire. */
    BURSAR_E_NOMEM = -22,       /* memory or another resource ran out */
    BURSAR_E_IO = -23,          /* a file, socket or system call failed; errno may tell more */
    BURSAR_E_NO_DAEMON = -24,   /* nobody listens at the endpoint */
    BURSAR_E_BAD_REPLY = -25,   /* a reply or event that is not of the protocol */
    BURSAR_E_BAD_SEAL = -26,    /* a sealed blob that does not open: wrong row, key, or damaged */
    BURSAR_E_UNKNOWN_KEY = -27, /* a sealed blob under a key that the keyring does not have */
    BURSAR_E_CONFIG = -28,      /* a configuration that cannot be used; the errors were given */
    BURSAR_E_TOO_BIG = -29,     /* more than the stated maximum */
    BURSAR_E_END = -30
};

/* The word used on the wire and in texts (`needs_reauth`); `internal` for an unknown number. */
const char *bursar_error_code(int error);

/* One English sentence without a full stop; never NULL. */
const char *bursar_error_text(int error);

/* The number for a word of the wire; BURSAR_E_BAD_REPLY where there is none. */
int bursar_error_from_code(const char *code);

/* Whether the same job may be sent again later and succeed without anybody doing anything. */
bool bursar_error_is_retryable(int error);

#ifdef __cplusplus
}
#endif
#endif
