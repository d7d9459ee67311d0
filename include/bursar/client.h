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
 * reply came: the job may have been done), BURSAR_E_FORBIDDEN (the daemon refuses this process or
 * its key), BURSAR_E_BAD_REPLY (whoever listens there is no daemon, or not the one with this key),
 * BURSAR_E_DEADLINE_EXCEEDED, BURSAR_E_OVERLOADED (all sockets of the client were in use for the
 * whole deadline), BURSAR_E_BAD_REQUEST (an argument that cannot be sent), BURSAR_E_NOMEM and
 * BURSAR_E_IO. Texts are UTF-8 and end with a NUL. Times are seconds since 1970
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
    uint32_t max_jobs;           /* 16384, 1048576 at most: the same for a struct bursar_async */

    /* CURVE keys in Z85, both or none: the daemon's public one, and the caller's own secret one, which
     * is wiped at the end. For endpoints on tcp://, where the daemon speaks nothing else; on ipc:// the
     * kernel tells it who asks, and they are not used. */
    const char *server_public_key;
    const char *secret_key;
    const char *purpose; /* what this client's jobs are for, as the daemon's audit log has it;
                                  * NULL: not said. 256 bytes at most, or every job is refused */
};

/* Gives a client; options may be NULL. Nothing is sent yet, so a daemon that is not there is told
 * by the first call. BURSAR_E_BAD_REQUEST for an endpoint that is none, for a key that is none or
 * stands without the other, and for a tcp:// endpoint without keys. A process that forks opens its
 * clients after the fork. */
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

/* Fills it with an error and words of the caller's own, for a source that the caller implements.
 * out_failure may be NULL. Returns error. */
int bursar_fail(struct bursar_failure *out_failure, int error, const char *message);

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
    char **scopes; /* granted; NULL-ended; NULL: the secret does not say */
};

/* Wipes and ends the content; an all-zero grant and NULL are fine. */
void bursar_grant_free(struct bursar_grant *grant);
/* Gives a copy that lives on its own. 0 or BURSAR_E_NOMEM. */
int bursar_grant_copy(const struct bursar_grant *grant, struct bursar_grant *out_grant);
/* Gives a grant of the caller's own, with a secret of this kind and these parts, all copied.
 * BURSAR_E_BAD_REQUEST for an unknown kind, or without the part to authenticate with. */
int bursar_grant_make(const char *kind, const struct bursar_part *parts, size_t part_count,
                      struct bursar_grant *out_grant);
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

/* ---- typed lookup -------------------------------------------------------------------------- */

enum bursar_kind {
    BURSAR_KIND_ANY,
    BURSAR_KIND_OAUTH2,
    BURSAR_KIND_API_KEY,
    BURSAR_KIND_BASIC,
    BURSAR_KIND_BEARER,
    BURSAR_KIND_HEADER,
    BURSAR_KIND_END
};

/* A secret by its kind: the member of that name is filled. Texts are borrowed from the grant, and
 * NULL where it has none. */
struct bursar_credential {
    enum bursar_kind kind;
    struct {
        const char *access_token, *token_type;
    } oauth2;
    struct {
        const char *key, *secret;
    } api_key;
    struct {
        const char *username, *password;
    } basic;
    struct {
        const char *token;
    } bearer;
    struct {
        const char *name, *value;
    } header;
};

/* The grant's secret as one of this kind. BURSAR_E_KIND_MISMATCH where it is of another one, or of
 * none that is known here. */
int bursar_credential_of(const struct bursar_grant *grant, enum bursar_kind kind,
                         struct bursar_credential *out_credential,
                         struct bursar_failure *out_failure);

/* What to look up. All is borrowed for the call. */
struct bursar_lookup {
    const char *owner;
    const char *provider;
    const char *account;      /* NULL: BURSAR_DEFAULT_ACCOUNT */
    const char *account_type; /* what the caller holds the account id for; NULL: not compared */
    enum bursar_kind kind;
    const char *const *need_any; /* NULL-ended scopes, one of which must be granted; NULL: none */
    const char *const *need_all; /* NULL-ended scopes, all of which must be granted; NULL: none */
    uint32_t min_ttl_s;          /* the secret must be good for so long */
    uint32_t deadline_ms;        /* 0: the client's */
};

/* Gives the typed credential of (owner, provider, account), refreshed first where that is due. The
 * credential borrows from the grant, which the caller ends. Where it does not, the error tells why;
 * bursar_lookup_answer() sorts it. An account id of another type than the connector's is
 * BURSAR_E_KIND_MISMATCH, a scope that is not granted BURSAR_E_FORBIDDEN. */
int bursar_lookup(struct bursar_client *client, const struct bursar_lookup *lookup,
                  struct bursar_grant *out_grant, struct bursar_credential *out_credential,
                  struct bursar_failure *out_failure);

/* What came of a lookup, each asking for something else of whoever looked. */
enum bursar_answer {
    BURSAR_ANSWER_FOUND,
    BURSAR_ANSWER_NOT_CONNECTED,  /* nothing there: let the owner connect */
    BURSAR_ANSWER_UNKNOWN_KIND,   /* no such provider is configured */
    BURSAR_ANSWER_WRONG_TYPE,     /* the credential or the account id is of another type */
    BURSAR_ANSWER_DEAD,           /* the grant is dead: let the owner connect again */
    BURSAR_ANSWER_REFRESH_FAILED, /* it may be alive, but no usable secret could be had now */
    BURSAR_ANSWER_FAILED          /* anything else: no daemon, not allowed, revoked … */
};
/* Sorts the error of bursar_lookup() or bursar_vend(). */
enum bursar_answer bursar_lookup_answer(int error);

/* ---- scopes -------------------------------------------------------------------------------- */

/* Fills in grant->scopes from the connection's record where its secret does not say them. They stay
 * NULL where the record does not know them either. */
int bursar_learn_scopes(struct bursar_client *client, const struct bursar_target *target,
                        struct bursar_grant *grant, struct bursar_failure *out_failure);
/* Whether one, or all, of these scopes (NULL-ended, at least one) are granted. Else
 * BURSAR_E_FORBIDDEN, and the message begins "needs at least one of" or "needs all of" and names
 * them. Scopes that are not known are not granted. */
int bursar_need_any(const struct bursar_grant *grant, const char *const *scopes,
                    struct bursar_failure *out_failure);
int bursar_need_all(const struct bursar_grant *grant, const char *const *scopes,
                    struct bursar_failure *out_failure);

/* ---- sources ------------------------------------------------------------------------------- */

/* Where a credential comes from, for code that only wants one that works. Made by the library from
 * a client or a fixed secret, or by the caller from functions of its own.
 * Thread: any; one source serves many threads at once where its functions do (the library's do). */
struct bursar_source;

/* What a source does. `data` is the one given to bursar_source_open(); out_failure is never NULL,
 * and filled by the library where a function that fails leaves it as it was. */
struct bursar_source_ops {
    /* Gives the credential that is good now; asked for each use. 0 or a negative error. */
    int (*current)(void *data, struct bursar_grant *out_grant, struct bursar_failure *out_failure);
    /* Takes note that `refused` (as current() gave it) was refused: current() then gives another
     * one. 0 also where it does so already; else a negative error. */
    int (*invalidate)(void *data, const struct bursar_grant *refused,
                      struct bursar_failure *out_failure);
    void (*close)(void *data); /* ends data; NULL: nothing to end */
};

/* A source of the caller's own. Copies ops; takes data, unless it fails. */
int bursar_source_open(const struct bursar_source_ops *ops, void *data,
                       struct bursar_source **out_source);
/* The daemon's credential for target, vended anew for each current(). Copies target and options;
 * options may be NULL. Borrows client. */
int bursar_source_of_client(struct bursar_client *client, const struct bursar_target *target,
                            const struct bursar_vend_options *options,
                            struct bursar_source **out_source);
/* A fixed secret without a daemon. kind NULL: "bearer". It cannot be renewed: invalidate() answers
 * BURSAR_E_UNSUPPORTED_OP. The second one copies a grant, for kinds with more than one part. */
int bursar_source_of_token(const char *kind, const char *token, struct bursar_source **out_source);
int bursar_source_of_grant(const struct bursar_grant *grant, struct bursar_source **out_source);
/* Ends it; NULL is fine. No call may be under way. */
void bursar_source_close(struct bursar_source *source);

int bursar_source_current(struct bursar_source *source, struct bursar_grant *out_grant,
                          struct bursar_failure *out_failure);
int bursar_source_invalidate(struct bursar_source *source, const struct bursar_grant *refused,
                             struct bursar_failure *out_failure);

/* The caller's request, made with a credential: gives the HTTP status of its answer, or any other
 * number that the caller has for what else came of it. The grant is borrowed for the call. */
typedef int bursar_send_fn(void *data, const struct bursar_grant *grant);

struct bursar_send_options {
    const int *refusals; /* further statuses that mean, as 401 does, that the secret was refused */
    size_t refusal_count;
    /* Whether the caller has given up meanwhile. Asked after a refusal, and again before the request
     * is sent a second time. NULL: it never does. Gets the same data as the send function. */
    bool (*is_cancelled)(void *data);
    bool is_resent; /* this request was sent a second time before: a refusal is the last word */
};

struct bursar_sent {
    int status;     /* what the send function gave last; 0: it was not called */
    bool is_resent; /* it was called a second time, now or as the options say before */
};

/* Sends a request with the source's current credential. Where that is refused, it is invalidated and
 * the request sent once more with the one that is current then: once, whatever comes of it, and not
 * after the caller has given up. Retries for other reasons are the send function's own, or of a loop
 * around this call that hands is_resent on; this one does not count among them.
 * BURSAR_OK where out_sent->status is the caller's answer, a second refusal too; else the error of
 * the source, and then status is 0 or the first refusal. options may be NULL. */
int bursar_send(struct bursar_source *source, bursar_send_fn *send, void *data,
                const struct bursar_send_options *options, struct bursar_sent *out_sent,
                struct bursar_failure *out_failure);

/* ---- who may ------------------------------------------------------------------------------- */

/* Whom the daemon takes this process for. Lists are NULL-ended, never NULL. */
struct bursar_principal {
    char *principal;
    char *peer; /* what it is recognised by now: `uid:U:gid:G:pid:P`, `curve:KEY`; NULL: not said */
    char *email; /* NULL: none is configured */
    char **roles;
    char **owners;    /* "*" stands for all, here and in the next two */
    char **providers; /* at which it may act */
    char **refs;      /* shared credentials that it may use */
    char **operator_scopes;
};

int bursar_whoami(struct bursar_client *client, struct bursar_principal *out_principal,
                  struct bursar_failure *out_failure);
/* Ends the content; an all-zero one and NULL are fine. */
void bursar_principal_free(struct bursar_principal *principal);

/* Whether the person with this e-mail address is an operator for this scope. */
int bursar_is_operator(struct bursar_client *client, const char *email, const char *scope,
                       bool *out_is_operator, struct bursar_failure *out_failure);

/* Guards: 0, or BURSAR_E_FORBIDDEN with a message that says what is missing. */
int bursar_need_operator(struct bursar_client *client, const char *email, const char *scope,
                         struct bursar_failure *out_failure);
int bursar_need_role(const struct bursar_principal *principal, const char *role,
                     struct bursar_failure *out_failure);
int bursar_need_owner(const struct bursar_principal *principal, const char *owner,
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

/* ---- jobs without waiting ------------------------------------------------------------------ */

/* Jobs for a program with a poll loop of its own. Nothing here waits: a thread of the library speaks
 * to the daemon, and what is done is handed over by bursar_async_process().
 * Thread: any for submitting and cancelling; one at a time for bursar_async_process(). */
struct bursar_async;

/* What came of a job. Borrowed until the function that gets it returns; to keep the grant, copy the
 * struct and set *grant to all-zero. */
struct bursar_done {
    uint64_t job;
    int error;                            /* what the call that waits would have returned */
    struct bursar_grant *grant;           /* all-zero after an error, and of bursar_async_call() */
    const char *reply_json;               /* of bursar_async_call(): the reply; NULL: none came */
    const struct bursar_failure *failure; /* all-zero without an error */
};

/* Called from bursar_async_process(), or bursar_async_close(). May submit and cancel jobs. */
typedef void bursar_done_fn(void *data, const struct bursar_done *done);

/* Gives one; options may be NULL. The daemon is looked for when there is a job. A process that
 * forks opens it after the fork. */
int bursar_async_open(const struct bursar_client_options *options, struct bursar_async **out_async);
/* Ends it; NULL is fine. Jobs that are under way are done with BURSAR_E_SHUTTING_DOWN first, though
 * the daemon may still do them. */
void bursar_async_close(struct bursar_async *async);

/* A file descriptor for poll(2), the same always: readable when bursar_async_process() has something
 * to do. Level-triggered, in no need of a first look, and usable with EPOLLET. Borrowed. */
int bursar_async_fd(const struct bursar_async *async);
/* Calls the functions of all jobs that are done, and gives their number. Never waits. */
size_t bursar_async_process(struct bursar_async *async);

/* Submit a job: the same as the calls of these names, with all arguments copied. Each job is done
 * exactly once, by its deadline at the latest (half a second later, to hear the daemon's own word).
 * `done` may be NULL; out_job, the number for bursar_async_cancel(), too. A job that cannot be
 * submitted is never done: BURSAR_E_OVERLOADED for more than max_jobs, BURSAR_E_BAD_REQUEST for one
 * that cannot be sent, BURSAR_E_NOMEM. */
int bursar_async_vend(struct bursar_async *async, const struct bursar_target *target,
                      const struct bursar_vend_options *options, bursar_done_fn *done, void *data,
                      uint64_t *out_job);
int bursar_async_refresh(struct bursar_async *async, const struct bursar_target *target,
                         bool is_forced, bursar_done_fn *done, void *data, uint64_t *out_job);
int bursar_async_invalidate(struct bursar_async *async, const struct bursar_target *target,
                            const struct bursar_invalidate_options *options, bursar_done_fn *done,
                            void *data, uint64_t *out_job);
int bursar_async_put(struct bursar_async *async, const struct bursar_target *target,
                     const struct bursar_put *put, bursar_done_fn *done, void *data,
                     uint64_t *out_job);
int bursar_async_call(struct bursar_async *async, const char *op, const char *request_json,
                      bursar_done_fn *done, void *data, uint64_t *out_job);

/* true: the job's function will not be called, and its data is the caller's again. What was not sent
 * yet is never sent; the daemon may still do the rest. false: there is no such job any more. */
bool bursar_async_cancel(struct bursar_async *async, uint64_t job);

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
 * "reauth/" or "reauth/acme/"; NULL: everything. A principal that may act for some owners only gets
 * nothing of a topic that does not name one of them whole, with the slash behind it; and missed events
 * only where all topics name the same one. has_since: begin with what came after the event
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
