/* The client library: ask a bursar daemon for credentials, and hear of what becomes of them.
 * Thread: any; one client serves many threads at once. A subscription serves one thread at a time.
 *
 *     struct bursar_client *client = NULL;
 *     struct bursar_failure failure;
 *     struct bursar_grant grant;
 *     const struct bursar_target target = {.owner = "acme", .provider = "github"};
 *     if (bursar_client_open(NULL, &client) != BURSAR_OK)
 *         …
 *     if (bursar_vend(client, &target, NULL, &grant, &failure) == BURSAR_OK) {
 *         use(grant.token);
 *         bursar_grant_free(&grant);
 *     } else {
 *         complain(failure.message);
 *     }
 *     bursar_client_close(client);
 *
 * Every function that can fail returns BURSAR_OK or a negative enum bursar_error and then leaves its
 * outputs as they were, unless it says otherwise. Beside what the daemon answers, these can come
 * from here: BURSAR_E_NO_DAEMON (nobody answers at the endpoint, or the connection broke before the
 * reply came: the job may have been done), BURSAR_E_FORBIDDEN (the daemon refuses this process),
 * BURSAR_E_DEADLINE_EXCEEDED, BURSAR_E_OVERLOADED (all sockets of the client were in use for the
 * whole deadline), BURSAR_E_BAD_REQUEST (an argument that cannot be sent), BURSAR_E_BAD_REPLY,
 * BURSAR_E_NOMEM and BURSAR_E_IO. Texts are UTF-8 and end with a NUL. Times are seconds since 1970
 * UTC unless the name ends in _ms. Link with `pkg-config --libs bursar`. */
#ifndef BURSAR_CLIENT_H
#define BURSAR_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a client ------------------------------------------------------------------------------ */

struct bursar_client;

/* All-zero members mean the default. Copied by the functions that take it. */
struct bursar_client_options {
    const char *jobs_endpoint;   /* BURSAR_JOBS_ENDPOINT */
    const char *events_endpoint; /* BURSAR_EVENTS_ENDPOINT; for subscriptions */
    uint32_t connect_timeout_ms; /* 2000: how long to look for the daemon */
    uint32_t deadline_ms;        /* BURSAR_DEFAULT_DEADLINE_MS: how long a call may take */
    uint32_t max_sockets;        /* 32, 256 at most: calls that are under way at the same time */
};

/* Gives a client; options may be NULL. Nothing is sent yet, so a daemon that is not there is told
 * by the first call. BURSAR_E_BAD_REQUEST for an endpoint that is none. A process that forks opens
 * its clients after the fork. */
int bursar_client_open(const struct bursar_client_options *options,
                       struct bursar_client **out_client);
/* Ends it; NULL is fine. No call may be under way. */
void bursar_client_close(struct bursar_client *client);

/* Why a call failed. Never holds a secret. */
struct bursar_failure {
    int error;               /* what the function returned */
    bool is_retryable;       /* the same call may succeed later, without anybody doing anything */
    uint32_t retry_after_ms; /* 0: not said */
    char message[512];       /* for people, one line: the daemon's words, or the library's */
    char provider_error[64]; /* the provider's own code (`invalid_grant`); "" where there is none */
};

/* ---- credentials --------------------------------------------------------------------------- */

/* Whose credential: owner and connection; or owner, provider and account; or ref alone. */
struct bursar_target {
    const char *owner;
    const char *connection; /* its id */
    const char *provider;
    const char *account; /* NULL: BURSAR_DEFAULT_ACCOUNT */
    const char *ref;     /* the name of a shared credential of the configuration */
};

/* A named text of a secret. */
struct bursar_part {
    const char *name;
    const char *value;
};

/* What the daemon said of a credential. bursar_grant_free() ends it. */
struct bursar_grant {
    char *connection, *provider, *account; /* NULL where the answer had none */
    uint64_t generation;                   /* 0: not said */
    int64_t expires_at;                    /* 0: not known */
    bool is_stale;                         /* still valid, but could not be refreshed */
    char *refresh_state;                   /* "idle", "backing_off", "needs_reauth" … or NULL */
    char *refresh_error;                   /* code of the last refresh's failure, or NULL */

    /* With a secret: its kind, the part to authenticate with (access token, API key, password …;
     * NULL where the kind has none), and all parts that are text, those of `fields` too. */
    char *kind;
    char *token;
    struct bursar_part *parts;
    size_t part_count;
};

/* Wipes and ends the content; an all-zero grant and NULL are fine. */
void bursar_grant_free(struct bursar_grant *grant);
/* The value of a part ("refresh_token"), or NULL. Borrowed from the grant. */
const char *bursar_grant_part(const struct bursar_grant *grant, const char *name);

struct bursar_vend_options {
    const char *kind;           /* NULL: any; else another one is BURSAR_E_KIND_MISMATCH */
    uint32_t min_ttl_s;         /* the secret must be good for so long */
    bool include_refresh_token; /* needs the role export */
    uint32_t deadline_ms;       /* 0: the client's */
};

/* Gives a usable secret; it is refreshed first where that is due. options may be NULL. out_failure
 * may be NULL here and below. Asked once more by itself where the connection breaks. */
int bursar_vend(struct bursar_client *client, const struct bursar_target *target,
                const struct bursar_vend_options *options, struct bursar_grant *out_grant,
                struct bursar_failure *out_failure);

/* Refreshes where it is due, or with is_forced in any case. Gives a grant without a secret. */
int bursar_refresh(struct bursar_client *client, const struct bursar_target *target, bool is_forced,
                   struct bursar_grant *out_grant, struct bursar_failure *out_failure);

struct bursar_invalidate_options {
    uint64_t generation;      /* the one that the provider refused; 0: see below */
    const char *access_token; /* or the token itself: only its SHA-256 is sent */
    bool vend;                /* answer with a fresh secret */
    uint32_t deadline_ms;     /* 0: the client's */
};

/* Says that the provider refused a secret (a 401). With neither generation nor access_token, or with
 * NULL, the current one is meant. However many say so of one generation, one refresh is made. */
int bursar_invalidate(struct bursar_client *client, const struct bursar_target *target,
                      const struct bursar_invalidate_options *options,
                      struct bursar_grant *out_grant, struct bursar_failure *out_failure);

/* A new secret. All is borrowed for the call. */
struct bursar_put {
    const char *kind;                /* "oauth2", "api_key", "basic", "bearer", "header" */
    const struct bursar_part *parts; /* the parts of that kind, and refresh_token */
    size_t part_count;
    const struct bursar_part *fields; /* further texts */
    size_t field_count;
    const char *const *scopes; /* NULL-ended; NULL: none */
    int64_t expires_at;        /* 0: not known */
    int64_t refresh_token_expires_at;
    uint64_t expect_generation; /* 0: any; else BURSAR_E_CONFLICT where it is another one */
};

/* Stores a secret, in a new connection where the owner has none of this provider and account. Gives
 * the connection and its generation. */
int bursar_put(struct bursar_client *client, const struct bursar_target *target,
               const struct bursar_put *put, struct bursar_grant *out_grant,
               struct bursar_failure *out_failure);

/* ---- any op -------------------------------------------------------------------------------- */

/* Sends `op` with the members of request_json, a JSON object (NULL: none; `deadline_ms` in it wins
 * over the client's), and gives the whole reply as one line of JSON. A reply with `ok` false is
 * given too, and its error returned; without any reply *out_reply_json becomes NULL.
 * bursar_text_free() ends it. */
int bursar_call(struct bursar_client *client, const char *op, const char *request_json,
                char **out_reply_json, struct bursar_failure *out_failure);
/* Wipes and ends a text that this library gave; NULL is fine. */
void bursar_text_free(char *text);

/* ---- events -------------------------------------------------------------------------------- */

struct bursar_events;

/* One change of a connection, or an incident. Texts are borrowed until the next call for the same
 * subscription; absent ones are NULL. */
struct bursar_event {
    uint64_t seq;
    int64_t at_ms; /* since 1970 UTC */
    const char *type;
    const char *owner, *provider, *account, *connection;
    const char *state;
    const char *phase; /* of an incident: "begin" or "end" */
    uint64_t generation;
    bool is_reminder;
    const char *reason_code, *reason_class, *provider_error; /* reauth, in_doubt, incident */
    int http_status;                                         /* 0: none */
    const char *json;                                        /* the whole body */
};

/* Subscribes. topics: NULL-ended beginnings of `<type>/<owner>/<provider>/<connection>`, such as
 * "reauth/" or "reauth/acme/"; NULL: everything. has_since: begin with what came after the event
 * `since`; else with what comes from now on. Looks for the daemon as a call does. */
int bursar_events_open(const struct bursar_client_options *options, const char *const *topics,
                       bool has_since, uint64_t since, struct bursar_events **out_events,
                       struct bursar_failure *out_failure);
/* Ends it; NULL is fine. */
void bursar_events_close(struct bursar_events *events);

/* Gives the next event. Each comes once, in the order of seq; what was missed while the daemon or
 * the connection was away is asked for again by number. timeout_ms < 0: for ever. Answers
 * BURSAR_E_DEADLINE_EXCEEDED where none came in that time. Asking for missed events can make it take
 * five seconds longer. Where the daemon cannot be asked, or was silent for longer than three `alive`
 * events, the answer is that error (BURSAR_E_NO_DAEMON, BURSAR_E_SHUTTING_DOWN …); it may be called
 * again and goes on where it was once the daemon is back. */
int bursar_events_next(struct bursar_events *events, int timeout_ms, struct bursar_event *out_event,
                       struct bursar_failure *out_failure);

/* A file descriptor for poll(2): when it is readable, call bursar_events_next() with timeout 0 until
 * it says BURSAR_E_DEADLINE_EXCEEDED; do so once before the first wait too. Borrowed. */
int bursar_events_fd(const struct bursar_events *events);

/* ---- keys ---------------------------------------------------------------------------------- */

#define BURSAR_CURVE_KEY_SIZE 41 /* 40 characters of Z85 and the NUL */

/* Makes a CURVE key pair. BURSAR_E_UNSUPPORTED_OP where libzmq was built without CURVE. */
int bursar_curve_keypair(char out_public_key[BURSAR_CURVE_KEY_SIZE],
                         char out_secret_key[BURSAR_CURVE_KEY_SIZE]);

#ifdef __cplusplus
}
#endif
#endif
