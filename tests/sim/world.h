/* A simulated world around the broker's real workers and store: virtual clocks, one queue of events,
 * seeded chance, providers, people, crashes, and the rules that must hold throughout.
 * Thread: one; everything here runs in the main thread.
 *
 *     world.c     events, chance, the trace, the run
 *     clock.c     in place of base/clock.c: the two virtual clocks
 *     mailbox.c   in place of base/mailbox.c: messages without descriptors
 *     http.c      in place of http/engine.c: requests travel to the providers and back
 *     store.c     in place of broker/store_thread.c: commits at virtual times, with faults
 *     answers.c   in place of broker/dispatcher.c: takes what workers answer, and checks it
 *     process.c   the daemon's start, crash and end
 *     provider.c  token endpoints: rotations, refusals, outages, throttles
 *     people.c    owners, callers and operators
 *     trouble.c   crashes, clock jumps, bad disks and bad days of providers
 *     pause.c     providers that are paused, and what must be true of them
 *     operator.c  freezes, thaws and revocations of many, through the query thread's own code
 *     share.c     what each owner must get of a budget that is spent
 *     gates.c     what must be true of breakers and fleet guards
 *     book.c      what must be true of the store after each commit
 *     sweep.c     what must be true of all connections, looked at now and then
 *     setup.c     the configuration of a run, drawn from its seed
 *     main.c      the command
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uthash.h>

#include "base/heap.h"
#include "base/id.h"
#include "broker/broker.h"
#include "broker/message.h"
#include "connector/connector.h"
#include "connector/registry.h"
#include "policy/lifecycle.h"
#include "policy/verdict.h"
#include "store/store.h"
#include "vault/keyring.h"
#include "wire/tree.h"

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define NEVER_MS INT64_MAX

struct world;

/* ---- chance and events ----------------------------------------------------------------------- */

struct chance {
    uint64_t state[4];
};
void chance_seed(struct chance *chance, uint64_t seed);
uint64_t chance_next(struct chance *chance);
uint64_t chance_below(struct chance *chance, uint64_t limit); /* limit > 0 */
double chance_unit(struct chance *chance);                    /* [0, 1) */
bool chance_is(struct chance *chance, double probability);
/* Waiting time of something that happens at random every mean_ms; at least 1. */
int64_t chance_wait(struct chance *chance, int64_t mean_ms);
int64_t chance_between(struct chance *chance, int64_t least, int64_t most);

/* Something that happens at a virtual time; embedded in what it is about. */
struct event_node {
    struct heap_node node; /* first member */
    void (*fire)(struct world *world, struct event_node *event);
};

/* ---- what a run is made of --------------------------------------------------------------------- */

struct options {
    uint64_t seed;
    size_t connections, providers;
    int64_t days;
    double faults; /* 1: as often as torture asks; 0: none */
    bool is_tight; /* ceilings are too low for what falls due, and half of all is one owner's */
    bool is_large; /* rows are compared one in a hundred, reads do not fail */
    bool is_verbose;
    bool stops; /* at the first broken rule */
};

struct figures {
    uint64_t puts, vends, answers, refusals_of_callers, refreshes, failures, requests;
    uint64_t crashes, restarts, lost_replies, unsent, resent_in_grace, probes, throttled;
    uint64_t wall_jumps, suspends, store_faults, outages, incidents, grants_refused, in_doubt;
    uint64_t commits, changes, events, turns, violations;
    uint64_t sweeps, swept, cancelled_sweeps, pauses;
    double least_share; /* of what would be fair, that an owner got */
};

#define TIMES_MAX 64

/* When something happened last; a ring. */
struct times {
    int64_t at_ms[TIMES_MAX];
    size_t next;
};

/* What holds a provider back, as far as it shows. */
struct gates {
    bool has_outage, has_refusals; /* incidents that are open, as committed */
    bool is_open, is_shut;         /* and nothing was answered since that would end them */
    int64_t opened_ms, shut_ms, probe_failed_ms;
    unsigned outstanding; /* probes */
    unsigned failures;    /* in a row */
    int64_t enough_ms;    /* since when they are as many as open it */
    unsigned taken_since_shut;
    struct times taken, refused, canaries, believed;
};

/* Whether operators hold its refreshing back. */
struct pause {
    struct event_node event; /* when they act next */
    uint64_t ticket;         /* of the op that was asked last */
    bool is_asked;           /* for this, by it */
    bool is_wanted, is_committed;
    int64_t changed_ms; /* when it was committed last that it is, or is not */
    int64_t told_ms;    /* since when it is acknowledged; 0: it is not */
};

/* How the token endpoint treats refresh tokens, and what it says in its catalogue entry. */
struct provider {
    char name[24];
    struct world *world;
    enum rotation_rule declared;
    bool rotates, has_family_revocation, replay_gives_new;
    int64_t declared_grace_s, true_grace_s;
    int64_t token_life_s, refresh_life_s; /* refresh_life_s 0: none */
    int64_t latency_ms;
    double unsent, lost_before, lost_after, hang, server_error, html, truncated, odd_client_error;
    bool gives_retry_after;
    int64_t rate_limit; /* token requests in a window; 0: no ceiling */
    int64_t rate_window_s;
    bool declares_rate; /* the catalogue entry says so too */
    double rate_left;
    int64_t rate_at_ms;
    int64_t *sent_ms; /* when the last rate_limit requests left us, in a ring */
    size_t sent_at;
    int64_t asked_until_ms; /* it said when to come again */
    /* Bad days. */
    enum trouble {
        TROUBLE_NONE,
        TROUBLE_DOWN,
        TROUBLE_ERRORS,
        TROUBLE_CLIENT,
        TROUBLE_GRANTS
    } trouble;
    struct event_node trouble_event;
    int64_t healthy_since_ms;
    struct event_node callers; /* who asks for its secrets */
    struct actor *actor;       /* the worker of it; process.c */
    unsigned guard_refusals;   /* of its fleet guard, as configured */
    struct gates gates;
    struct pause pause;
    int held;            /* reasons for the dispatcher not to answer for it from its memory */
    size_t first, count; /* of its connections */
};

/* A grant of an account as its provider keeps it, by the number of the consent. */
struct grant {
    uint32_t consent; /* 0: never connected */
    bool is_alive;
    uint32_t serial;       /* of the refresh token that is good; the first is 1 */
    uint32_t access;       /* how many access tokens were issued */
    int64_t rotated_at_ms; /* when serial - 1 was spent */
    int64_t ends_at_ms;    /* of the refresh token; NEVER_MS */
};

/* A refresh token as it left us. */
struct sent {
    uint32_t consent, serial;
    unsigned uncertain;  /* sends that may have spent it */
    unsigned late;       /* of these, how many when no grace was left */
    bool is_late;        /* the last one is such */
    int64_t first_ms;    /* when the first one ended */
    unsigned wall_moves; /* of the wall clock until then */
};

/* A connection: what the sim knows of it without asking the broker. */
struct conn {
    UT_hash_handle hh; /* by id, while there is a row */
    char id[ID_SIZE];
    uint32_t index;
    struct provider *provider;
    struct grant grant;
    struct sent sent;
    /* As committed. */
    enum conn_state state, prior_state;
    uint64_t generation;
    int64_t due_at;                        /* wall clock, seconds */
    int64_t due_known_ms;                  /* virtual time of the change that set it */
    int64_t planned_ms, planned_offset_ms; /* virtual time, and how the wall clock was set, then */
    bool has_intent, is_probe, is_kept;
    uint64_t intent_generation;
    int64_t replaced_ms;                    /* when a put or a deletion took an intent away */
    uint32_t kept_consent, kept_serial;     /* of the newest token in a reply that was kept */
    uint32_t stored_consent, stored_serial; /* of the row's token */
    /* What the provider did to generations that were sent. */
    uint64_t refused_generation, lost_generation;
    uint32_t issued_consent, issued_serial; /* by the reply that came last */
    unsigned requests_open;
    unsigned served;       /* refreshes */
    unsigned freezes;      /* sweeps that have selected it and not come to it yet */
    int64_t held_since_ms; /* when the first of them was acknowledged; 0: none is */
    int64_t freed_ms;      /* when the last one was cancelled */
    int64_t tried_ms;      /* when it was sent last */
};

#define TROUBLE_KINDS 4
#define OWNER_SIZE 24
#define ACCOUNT_SIZE 24
void conn_owner(const struct conn *conn, char out[static OWNER_SIZE]);
void conn_account(const struct conn *conn, char out[static ACCOUNT_SIZE]);

struct world {
    struct options options;
    struct figures figures;
    struct chance chance;
    int64_t now_ms, started_ms, ends_ms, wall_offset_ms;
    int64_t began_ms;     /* when the process was started last */
    int64_t disturbed_ms; /* when a clock jumped, the disk failed or the process began last */
    struct heap events;
    uint64_t digest;
    char folder[96];
    char store_uri[128];

    struct config *config;
    struct registry *registry;
    struct connectors connectors;
    struct keyring *keyring;
    struct broker broker;
    struct store_engine engine; /* SQLite's, with faults before its readers */
    const struct store_engine *real;
    struct store_reader *reader; /* to compare rows with */
    struct tree *tree;

    struct provider *providers;
    struct conn *conns;
    struct conn *by_id;
    struct caller *callers; /* who wait for answers; people.c */
    uint64_t last_ticket, last_seq;
    struct query *query;     /* of the operators */
    struct sim_sweep *swept; /* all that they have begun; operator.c */
    struct event_node operators, query_event;
    int64_t freed_ms; /* when a sweep's part ended last, or one was cancelled */

    bool is_up, is_calm, is_stopping;
    bool is_last;     /* it ends for good */
    bool is_dead;     /* the process crashed in the middle of what it is doing */
    int effects_left; /* until it crashes; 0: it does not */
    struct event_node troubles[TROUBLE_KINDS], arrivals, sweeps;
    size_t arrived;        /* so many connections were made */
    int64_t wall_right_ms; /* the offset while the wall clock is right */
    unsigned wall_moves;
    struct event_node start_event, end_event; /* of the process */
    size_t drained;                           /* workers */
    int64_t spin_ms;
    uint64_t spin_turns;
};

/* ---- world.c ------------------------------------------------------------------------------------- */

struct world *world_current(void); /* for the functions that stand in for the broker's own */
void world_set_current(struct world *world);
void world_at(struct world *world, struct event_node *event, int64_t at_ms);
void world_cancel(struct world *world, struct event_node *event);
/* Runs until there is nothing before until_ms. */
void world_run(struct world *world, int64_t until_ms);
/* Into the digest and, where it was asked for, onto standard error. */
void trace(struct world *world, const char *what, uint64_t a, uint64_t b, uint64_t c);
/* A rule is broken. */
void violation(struct world *world, const struct conn *conn, const char *rule, const char *what);
/* One thing that leaves the process, in order; false from the moment it has crashed. */
bool world_effect(struct world *world);
int64_t world_wall_s(const struct world *world);

/* ---- setup.c ------------------------------------------------------------------------------------- */

/* Draws the world of a seed. 0, or a negative error with a line on standard error. */
int world_open(struct world *world, const struct options *options);
void world_close(struct world *world);

/* ---- process.c ----------------------------------------------------------------------------------- */

/* Once, before the first start. */
void process_make(struct world *world);
void process_start(struct world *world);
/* Nothing of what is in memory remains. */
void process_crash(struct world *world, int64_t down_ms);
void process_drain(struct world *world);
void process_close(struct world *world);
void process_drained(struct world *world);
/* A turn of the provider's worker, not later than then. */
void process_wake(struct provider *provider, int64_t at_ms);
void process_wake_box(struct world *world, const struct mailbox *box);
struct worker *process_worker(struct provider *provider);

/* ---- http.c -------------------------------------------------------------------------------------- */

/* A request that is under way, as the provider sees it. */
struct asked {
    struct provider *provider;
    struct conn *conn; /* NULL: not a refresh, or of no token that was ever issued */
    uint32_t consent, serial;
    uint64_t generation; /* that the broker sent it for */
};
/* What comes back; the buffers are empty where there is no body. */
struct told {
    int status;
    struct buf body, headers;
    bool is_secret, is_refusal; /* a new secret; a refusal of the grant */
    uint32_t consent, serial, access;
    int64_t retry_after_s; /* 0: not said */
};

/* ---- provider.c ---------------------------------------------------------------------------------- */

enum fate {
    FATE_REPLY,
    FATE_UNSENT,
    FATE_LOST_BEFORE,
    FATE_LOST_AFTER,
    FATE_HANG_BEFORE,
    FATE_HANG_AFTER
};
enum fate provider_fate(struct provider *provider);
void provider_answer(const struct asked *asked, struct told *out_told);
void provider_revoke(const struct asked *asked);
/* A person consents (again): a new grant. Appends its tokens. */
void provider_consent(struct conn *conn, struct buf *access_token, struct buf *refresh_token);
void token_write(const struct conn *conn, char kind, uint32_t consent, uint32_t serial,
                 struct buf *out);
/* The connection that a token was made for, with its numbers; NULL for what is none. */
struct conn *token_read(struct world *world, struct text token, char kind, uint32_t *out_consent,
                        uint32_t *out_serial);

/* ---- book.c -------------------------------------------------------------------------------------- */

void book_committed(struct world *world, const struct store_batch *batch);
/* Any request at all. */
void book_counted(struct world *world, struct provider *provider);
void book_sent(struct world *world, const struct asked *asked);
void book_told(struct world *world, const struct asked *asked, const struct told *told);
void book_lost(struct world *world, const struct asked *asked);
void book_crashed(struct world *world);
struct conn *book_find(struct world *world, struct text id);
/* The stored row is what the book says. */
void book_compare(struct world *world, struct conn *conn);

/* ---- gates.c ------------------------------------------------------------------------------------- */

void gates_started(struct world *world);
void gates_incident(struct world *world, const struct store_change *change);
void gates_sent(struct world *world, const struct asked *asked);
/* told is NULL where no reply came. */
void gates_told(struct world *world, const struct asked *asked, const struct told *told,
                int64_t sent_ms);
void gates_believed(struct world *world, struct conn *conn);

/* ---- share.c ------------------------------------------------------------------------------------- */

/* At the end of the days, before the calm. */
void share_check(struct world *world);

/* ---- operator.c ---------------------------------------------------------------------------------- */

void operator_begin(struct world *world);
/* With the process. */
void operator_start(struct world *world);
void operator_stop(struct world *world);
void operator_free(struct world *world);
/* Takes what has come for the query thread. */
void operator_take(struct world *world);
/* Whether the box is its own; it is called soon then. */
bool operator_wake(struct world *world, const struct mailbox *box);
/* Whether the ticket is an operator's. */
bool operator_answered(struct world *world, const struct answer *answer, uint64_t ticket);
/* Of committed changes. operator_stepped() gives how many events the step must have made. */
void operator_swept(struct world *world, const struct store_change *change);
size_t operator_stepped(struct world *world, const struct store_batch *batch,
                        const struct store_change *change);
void operator_cancelled(struct world *world, const struct store_change *change);
/* Whether a freeze may hold it back now, or has just been cancelled. */
bool operator_may_hold(const struct world *world, const struct conn *conn);
/* Nothing that has selected it holds it any more: it is another row, or an owner has moved it. */
void operator_forget(struct world *world, struct conn *conn);
void operator_check_holds(struct world *world);
void operator_check(struct world *world);

/* ---- pause.c ------------------------------------------------------------------------------------- */

void pause_begin(struct world *world);
/* All are to go on: the days with troubles are over. */
void pause_end(struct world *world);
/* A process begins. */
void pause_started(struct world *world);
void pause_committed(struct world *world, const struct store_change *change);
/* Whether the ticket is of a pause. */
bool pause_answered(struct world *world, const struct answer *answer, uint64_t ticket);
void pause_sent(struct world *world, const struct asked *asked);
/* There is none, and was none for so long. */
bool pause_is_over(const struct world *world, const struct provider *provider, int64_t for_ms);

/* ---- sweep.c, people.c, trouble.c, answers.c, store.c --------------------------------------------- */

void sweep_begin(struct world *world);
void sweep_all(struct world *world, bool is_last);
void people_begin(struct world *world);
void people_connect(struct conn *conn);
/* Now and then somebody does something to the connection at a moment like this. */
void people_meddle(struct conn *conn);
void people_forget(struct world *world);
void people_check(struct world *world, bool is_last);
void people_answered(struct world *world, const struct answer *answer, uint64_t ticket);
void trouble_begin(struct world *world);
void trouble_end(struct world *world);
/* The store thread's stand-in. */
int store_begin(struct world *world);
/* What is not committed goes back to its workers as refused; whether there was any. */
bool store_give_back(struct world *world);
void store_end(struct world *world);
void store_free(struct world *world);
/* Opens the engine of world->store_uri as the broker's. */
void store_prepare(struct world *world);
void store_trouble(struct world *world, int64_t fails_ms, int64_t full_ms, int64_t slow_ms);
bool store_is_troubled(struct world *world);

#endif
