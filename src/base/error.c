#include <bursar/error.h>

#include <assert.h>
#include <string.h>

struct row {
    const char *code;
    const char *text;
    bool retryable;
};

/* Index is the negated number. */
static const struct row rows[] = {
    [0] = {"ok", "success", false},
    [-BURSAR_E_BAD_REQUEST] = {"bad_request", "not a valid job", false},
    [-BURSAR_E_UNSUPPORTED_OP] = {"unsupported_op", "no such operation", false},
    [-BURSAR_E_FORBIDDEN] = {"forbidden", "this principal may not do that", false},
    [-BURSAR_E_NOT_FOUND] = {"not_found", "no such connection", false},
    [-BURSAR_E_UNKNOWN_PROVIDER] = {"unknown_provider", "no such provider", false},
    [-BURSAR_E_NOT_CONNECTED] = {"not_connected", "the owner has not connected this account",
                                 false},
    [-BURSAR_E_KIND_MISMATCH] = {"kind_mismatch", "the secret is of another kind", false},
    [-BURSAR_E_NEEDS_REAUTH] = {"needs_reauth", "the grant is dead: the owner must connect again",
                                false},
    [-BURSAR_E_REVOKED] = {"revoked", "the connection was revoked here", false},
    [-BURSAR_E_FROZEN] = {"frozen", "the connection is frozen by an operator", false},
    [-BURSAR_E_IN_DOUBT] = {"in_doubt", "a provider's reply was lost and is being resolved", true},
    [-BURSAR_E_CLIENT_REJECTED] = {"client_rejected", "the provider rejects the configured client",
                                   false},
    [-BURSAR_E_PROVIDER_UNAVAILABLE] = {"provider_unavailable", "the provider does not answer",
                                        true},
    [-BURSAR_E_RATE_LIMITED] = {"rate_limited", "the provider's rate limit is reached", true},
    [-BURSAR_E_INVALID_CREDENTIAL] = {"invalid_credential", "the credential is not usable", false},
    [-BURSAR_E_CONFLICT] = {"conflict", "the generation is not the current one", false},
    [-BURSAR_E_DEADLINE_EXCEEDED] = {"deadline_exceeded", "the job's deadline passed", true},
    [-BURSAR_E_OVERLOADED] = {"overloaded", "too much work is waiting", true},
    [-BURSAR_E_SHUTTING_DOWN] = {"shutting_down", "the daemon is ending", true},
    [-BURSAR_E_STORE_UNAVAILABLE] = {"store_unavailable", "the store cannot be read or written",
                                     true},
    [-BURSAR_E_INTERNAL] = {"internal", "an error of the broker itself", false},
    [-BURSAR_E_NOMEM] = {"no_memory", "out of memory", false},
    [-BURSAR_E_IO] = {"io_error", "a file or socket failed", false},
    [-BURSAR_E_NO_DAEMON] = {"no_daemon", "no daemon answers at the endpoint", false},
    [-BURSAR_E_BAD_REPLY] = {"bad_reply", "the peer does not speak the protocol", false},
    [-BURSAR_E_BAD_SEAL] = {"bad_seal", "a sealed secret does not open", false},
    [-BURSAR_E_UNKNOWN_KEY] = {"unknown_key", "sealed under a key that is not in the keyring",
                               false},
    [-BURSAR_E_CONFIG] = {"bad_config", "the configuration cannot be used", false},
    [-BURSAR_E_TOO_BIG] = {"too_big", "larger than allowed", false},
};

enum { ROW_COUNT = sizeof rows / sizeof rows[0] };
static_assert(ROW_COUNT == -BURSAR_E_END, "one row for each error");

static const struct row *row_of(int error)
{
    if (error > 0 || error <= BURSAR_E_END)
        error = BURSAR_E_INTERNAL;
    return &rows[-error];
}

const char *bursar_error_code(int error)
{
    return row_of(error)->code;
}

const char *bursar_error_text(int error)
{
    return row_of(error)->text;
}

bool bursar_error_is_retryable(int error)
{
    return row_of(error)->retryable;
}

int bursar_error_from_code(const char *code)
{
    for (int i = 0; i < ROW_COUNT; i++) {
        if (strcmp(rows[i].code, code) == 0)
            return -i;
    }
    return BURSAR_E_BAD_REPLY;
}
