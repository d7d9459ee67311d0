/* What the files of the worker share; worker.h names them.
 * Thread: the worker's. */
#ifndef BROKER_WORKER_PARTS_H
#define BROKER_WORKER_PARTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uthash.h>

#include "base/heap.h"
#include "broker/broker.h"
#include "broker/message.h"
#include "broker/thread.h"
#include "broker/worker_rest.h"
#include "connector/call.h"
#include "http/request.h"
#include "policy/availability.h"
#include "policy/flight.h"
#include "policy/gate.h"
#include "policy/turns.h"
#include "policy/verdict.h"
#include "store/store.h"
#include "vault/process_key.h"
#include "wire/tree.h"

#define WORKER_PLAN_FLIGHTS 64  /* the planner begins no flight beyond so many */
#define WORKER_FLIGHTS_MAX 1000 /* nor anybody else beyond so many */
#define WORKER_LATENCY_BUCKETS 20

/* What an attempt came to. */
struct flight_outcome {
    enum verdict_class verdict;
    int error;  /* for who waits; 0 where the row itself says it */
    int status; /* HTTP; 0: none */
    int64_t delay_ms;
    char text[256]; /* one printable line for people */
    char code[64];  /* the provider's error code, printable */
};

/* One refresh of one connection, and who waits for it. */
/* A request that was made and not sent. */
struct prepared {
    bool is_made;
    int result; /* 0: request is there; else why there is none */
    struct http_request request;
    char unknown[CALL_UNKNOWN_SIZE]; /* the name of what it lacks; "": nothing */
};

struct flight {
    struct heap_node timer; /* boot time in ms; first member */
    char id[ID_SIZE];
    UT_hash_handle hh;
    struct worker *worker;
    enum flight_phase phase;
    struct turn turn;
    uint64_t asked_in_round; /* of the worker's loop, for its turn */
    bool has_pass;           /* the gate counts it among what is under way */
    struct gate_pass pass;
    struct conn_row row;  /* as it was when the attempt began; sealed */
    struct conn_row *now; /* as its new generation's commit has left it; NULL: not known */
    bool is_touched;      /* another change of the row was committed since it was read */
    struct text kept; /* what the row has sealed, under kept_key, from the intent on; absent: not */
    struct request *waiters;
    struct origin *origin; /* whose job began it; NULL: the planner */
    enum exchange_end end;
    struct http_reply reply;       /* in guarded memory until its conclusion is committed */
    int64_t sent_at, replied_at;   /* seconds since 1970 */
    struct write_message *unsaved; /* the commit that is to be tried again */
    struct flight_outcome outcome;
    unsigned step;               /* of an exchange that has several */
    struct call_values captures; /* what earlier steps gave for later ones */
    struct prepared prepared;    /* of the first step, from its intent until it is sent */
    bool is_local;    /* failed before anything could be sent, and not the provider's fault */
    bool has_nothing; /* the kind finds nothing to refresh with: only the owner can bring it */
    bool lacks_value; /* no request can be made: the connection or the settings lack something */
    bool
        is_past_grace; /* its token may have been spent too long ago to be sent as if it were not */
    bool is_unseen;    /* of an earlier process, that ended before the reply came */
    bool has_next_secret; /* the request showed client_secret_next */
    bool has_rolled;      /* the other of our secrets was tried already */
};

/* What is due, in the order in which it is taken up. */
struct plan_list {
    char (*ids)[ID_SIZE];
    size_t room; /* for so many: more where more are due */
    size_t count, next;
    int64_t made_at_ms; /* boot time */
    int64_t next_at;    /* when the first one is due that is not in it; wall clock */
};

struct sweep_part;

struct worker {
    const struct broker *broker;
    const struct connector *connector; /* NULL: of all rows whose provider is not configured */
    struct thread threads[2];          /* each waits for the end of the one before it */
    bool thread;                       /* which of them is the last */
    struct worker_rest rest;
    struct mailbox inbox;
    struct store_reader *reader;
    struct http_engine *http;
    struct process_key *kept_key; /* of what flights keep; NULL: none was kept yet */
    struct buf *open_error;
    /* of the credential that is being worked on; the last for a secret that is being made */
    struct tree *secret_tree, *grant_tree, *metadata_tree, *made_tree;
    struct flight *flights;
    struct heap timers;
    struct plan_list due;
    int64_t plan_at_ms;       /* boot time at which the planner looks next */
    int64_t clock_offset_ms;  /* wall clock less boot time, as it was seen last */
    int64_t remind_at_ms;     /* boot time at which it looks for owners to remind */
    int64_t next_reminder_at; /* when the first one is due that it has not seen to; wall clock */
    size_t writes;            /* changes that are with the store, or about to be */
    struct mail *newest_write, *oldest_write; /* of those that are about to be */
    size_t held_writes;                       /* so many */
    size_t reminders;                         /* of which so many are reminders */
    size_t errands;                 /* exchanges that are no refresh and are with the provider */
    struct heap polls;              /* devices whose owners are to say yes */
    struct completion *completions; /* consents that came back and are not put yet */
    struct exchange *exchanges;     /* under way: no refreshes */
    struct recheck *recheck;        /* a walk through stored keys; NULL: none yet */
    int64_t recheck_at_ms;          /* boot time at which it goes on */
    struct sweep_part *sweeps;      /* that are under way, the oldest first */
    struct sweep_message *holds;    /* of freezes that have begun and were not looked up yet */
    struct tree *sweep_tree;        /* of the tags that are looked at */
    int64_t sweep_at_ms;            /* boot time at which they go on */
    bool must_load_sweeps;          /* the store is to be asked which there are */
    bool is_open, is_draining, has_drained, is_stopping;
    struct gate gate;
    struct turns turns;                            /* flights that wait for the gate */
    struct grant_budget *grant_budgets;            /* of grants that were refreshed lately */
    struct exchange *first_waiting, *last_waiting; /* exchanges that wait for the budgets */
    int64_t gate_at_ms;                            /* boot time at which one that waits may go */
    uint64_t round;                                /* of the loop */
    bool has_gate_shut; /* since who waits was asked last whether it still can */
    bool has_incident[INCIDENT_END];
    int64_t client_failed_ms;         /* boot time of the last refusal of our client */
    struct availability availability; /* of its secrets, as far as the provider is to blame */
    int64_t watched_ms;               /* boot time until which that was told of time */
    bool has_next_secret; /* requests show client_secret_next: the first one is refused */
    int64_t warned_day;   /* since 1970: on which the end of client_secret was told last */
    struct {
        atomic_uint_fast64_t queue, in_flight, refreshed, failed;
        atomic_uint_fast64_t latency[WORKER_LATENCY_BUCKETS]; /* by powers of two of ms */
        atomic_int gate_reason, breaker_state;
        atomic_int_fast64_t gate_wait_ms, budget_left, room_1h, waiting;
        atomic_bool has_next_secret;
        atomic_int_fast64_t covered_s, missing_s, lead_s;
        atomic_int_fast64_t paused_since;
    } figures;
};

/* worker.c */

/* What the thread is made of, for tests that drive a worker through a clock of their own. worker_new()
 * gives what worker_free() ends; worker_end() closes what worker_begin() opened, also half of it. */
int worker_new(const struct broker *broker, const struct connector *connector,
               struct worker **out_worker, struct buf *error);
int worker_begin(struct worker *self);
void worker_turn(struct worker *self);         /* whatever has come or is due, once */
int worker_wait_ms(const struct worker *self); /* how long the next turn may wait for what comes */
void worker_end(struct worker *self);
/* What a thread of its has for itself, which a rest does without: its connections. 0, or what failed. */
int worker_open_own(struct worker *self);
void worker_close_own(struct worker *self);
/* Starts another thread for a worker that rests. */
int worker_go_on(struct worker *self);

/* Waits for messages, outside of a turn; timeout_ms < 0: for ever. */
void worker_wait(struct worker *self, int timeout_ms);

/* Sends a change; the function is called with it when it is committed or refused. It goes at the end of this part of
 * the turn, or with worker_wait(). */
void worker_write(struct worker *self, struct write_message *message, write_done_fn *done,
                  void *context);
/* When the owner of a grant that dies now is reminded first; seconds since 1970. */
int64_t worker_remind_at(const struct worker *self);

/* worker_plan.c */

/* The planner looks again soon. */
void worker_plan_soon(struct worker *self);
/* Before the first worker_plan(). 0, or what the store says. */
int worker_plan_open(struct worker *self);
/* Begins what is due, tells owners whose secrets have ended, and reminds others. */
void worker_plan(struct worker *self);

/* worker_gate.c: what may be sent to the provider, and when */

/* 0, or what the store says. */
int worker_gate_open(struct worker *self);
void worker_gate_close(struct worker *self);
/* The flight waits for its turn; flight_turn() is called when it has come. */
void worker_gate_queue(struct flight *flight);
/* Somebody waits for it now. */
void worker_gate_raise(struct flight *flight);
/* A request of its is sent. */
void worker_gate_sent(struct flight *flight);
/* It ends, whether or not it waits or was let through. */
void worker_gate_leave(struct flight *flight);
/* Lets through what may go, and publishes the figures. */
void worker_gate_run(struct worker *self);
/* How long the grant itself must wait by a ceiling of its own; 0: not at all. */
int64_t worker_gate_grant_wait_ms(struct worker *self, const struct conn_row *row);
/* Whether a request that would have to wait for a refresh of the row cannot be served before its
 * deadline: the error to refuse it with, and its retry_after_ms; 0: it can wait. row NULL: it has its
 * place among those who wait already. */
int worker_gate_refusal(struct worker *self, struct request *request, const struct conn_row *row);
/* For people: why nothing goes out, where it is not the error's own text. NULL: it is. */
const char *worker_gate_text(struct worker *self, int error);
/* Whether refreshes go out at all now, be it one after the other. */
bool worker_gate_lets_through(struct worker *self);
/* What an attempt came to, by flight->outcome. Whether a refusal is to be believed. */
bool worker_gate_note(struct flight *flight);

/* worker_availability.c: how early a refresh has to be */

void worker_availability_open(struct worker *self);
/* What an attempt came to, by flight->outcome. */
void worker_availability_note(struct flight *flight);
/* How long before its end a secret must be due at least, by the wanted availability; 0: nothing is wanted. */
int64_t worker_lead_s(struct worker *self, int64_t issued_at, int64_t expires_at);

/* worker_incident.c: faults that are no connection's, each begun and ended once */

/* Those that were open when an earlier process ended. 0, or what the store says. */
int worker_incident_resume(struct worker *self);
/* outcome NULL: no attempt has shown it. */
void worker_incident_begin(struct worker *self, enum incident_kind kind,
                           const struct flight_outcome *outcome);
void worker_incident_end(struct worker *self, enum incident_kind kind);

/* worker_client.c: our client's secrets. */

/* A request that showed one of them was answered so. True where the same request is to be sent again,
 * with the other one: *has_next_secret, what it showed, is changed to that. */
bool worker_roll_secret(struct worker *self, const struct call_outcome *outcome, int status,
                        enum verdict_class verdict, bool *has_next_secret);
/* Tells of a secret that ends soon: once by an incident, and once a day in the log. */
void worker_watch_secret(struct worker *self);

/* worker_vend.c */

/* vend, refresh and invalidate. Takes the request. */
void worker_look(struct worker *self, struct request *request);
/* Answers a whole list of requests for one row: known, or else read once. */
void worker_look_all(struct worker *self, struct request *waiters, const struct conn_row *known);
/* Takes the request; text NULL: the error's own. */
void worker_refuse(struct worker *self, struct request *request, int error, const char *text);
/* Reads the row that a request names; it is FROZEN where a freeze that is under way has selected it. 0,
 * or the error to refuse with. */
int worker_find(struct worker *self, const struct job *job, struct conn_row *out_row);
bool worker_can_refresh(const struct worker *self, const struct conn_row *row);
struct vend_view worker_view(const struct worker *self, const struct conn_row *row);
/* A change of the row was committed: the warm table follows. */
void worker_tell_warm(struct worker *self, struct text id);
/* The same for one that is known. */
void worker_tell_row(struct worker *self, const struct conn_row *row);
/* The same, and gives the row as it is now; false where it cannot be read. */
bool worker_read_changed(struct worker *self, struct text id, struct conn_row *out_row);
/* The same, and whoever waits for its flight decides anew. */
void worker_row_changed(struct worker *self, struct text id);

/* worker_flight.c */

struct flight *flight_find(struct worker *self, struct text id);
/* Begins a flight for the row (copied). NULL where the worker is ending. delay_ms > 0: its first
 * attempt waits so long. */
struct flight *flight_begin(struct worker *self, const struct conn_row *row, int64_t delay_ms);
/* The same for somebody's job: what comes of it is told the audit log as theirs. */
struct flight *flight_begin_for(const struct request *request, struct worker *self,
                                const struct conn_row *row, int64_t delay_ms);
/* Takes the request. */
void flight_join(struct flight *flight, struct request *request);
/* Gives all who wait. */
struct request *flight_take_waiters(struct flight *flight);
void flight_timer(struct flight *flight);
/* Its turn has come; it goes on, or ends because its row is another one by now. */
void flight_turn(struct flight *flight);
/* Those who cannot wait as long as the gate is shut are told now. */
void flight_sift(struct flight *flight);
/* For worker_resume.c: a flight that is at its end already. has_reply: flight->reply is set. */
void flight_resume(struct flight *flight, bool has_reply);
struct flight *flight_new(struct worker *self, const struct conn_row *row);
/* Without any answer or commit: the process ends. */
void flight_abandon(struct flight *flight);

/* A change was committed that is no step of a flight's own: what flights know of its rows may be old. */
void flight_note_change(struct worker *self, const struct store_change *change);

/* Another key is active: the sealed copies that flights hold are wrapped under it. Sends the message back. */
void flight_renew_all(struct worker *self, struct keys_message *message);

/* worker_credential.c */

/* The parsed secret and grant of a row in self's trees, until worker_close_credential(). secret and
 * grant hold the text they point into. */
struct open_credential {
    struct buf secret, grant;
    struct buf kept; /* of both, in the place of theirs, where they were kept */
    struct worker *worker;
    const struct conn_row *row; /* whose secret is shut; NULL: it is open */
};
int worker_open_credential(struct worker *self, const struct conn_row *row,
                           struct open_credential *out);
void worker_close_credential(struct open_credential *credential);
/* Keeps what is open of flight->row under a key of this process, for flight_open_credential(): to open that
 * is a third of what it is to open what the store has. Without memory nothing is kept. */
void flight_keep_credential(struct flight *flight, const struct open_credential *credential);
void flight_forget_credential(struct flight *flight);
/* As worker_open_credential() of flight->row, also in what becomes of a key that has gone. But where the grant says
 * that a refresh replaces all that the secret has, that stays shut: its tree is an empty map. */
int flight_open_credential(struct flight *flight, struct open_credential *out);
/* Opens a secret that was left shut. 0, also where it is open; or as worker_open_credential(). */
int credential_open_secret(struct open_credential *credential);
/* Whether a refresh of this provider's may bring a part of the secret anew. */
bool worker_replaces(const struct worker *self, struct text part);

/* What a call about the row is made of: the parsed credential is that of the last one that was opened. */
struct call worker_call(struct worker *self, enum bursar_purpose purpose, int64_t now);
/* The same where the secret may be shut; a module that asks for it opens it. */
struct call worker_call_of(struct worker *self, struct open_credential *credential, int64_t now);

/* worker_conclude.c */

/* Reads what a flight has and makes the change that says so; also fills flight->outcome. NULL where the
 * reply asks for another request; flight->step and ->captures are for that then. */
struct write_message *flight_conclude(struct flight *flight);
/* When what a reply brought ends, and its refresh token; EXPIRY_NEVER: not known. */
int64_t worker_expires_at(const struct connector *connector, const struct call_outcome *outcome,
                          int64_t now);
int64_t worker_refresh_expires_at(const struct connector *connector,
                                  const struct call_outcome *outcome, int64_t now);
/* When its issuer wants to be asked for the next one; EXPIRY_NEVER: not said. */
int64_t worker_hinted_at(const struct connector *connector, const struct call_outcome *outcome,
                         int64_t now);
/* A raw reply as it is kept, sealed, and back. */
int reply_seal(const struct flight *flight, struct buf *out_sealed);
int reply_unseal(struct flight *flight, struct text sealed, uint64_t generation);
/* Puts `apply`, as the entry has it, into a secret map that is about to be sealed. Replaces its
 * content; grant and metadata are what goes with it, MessagePack or absent. 0 or a negative error. */
int worker_add_apply(struct worker *self, struct text grant, struct text metadata,
                     struct buf *secret);

/* Whoever asks about a state that is not there learns nothing of why. */
#define CONSENT_UNKNOWN "no consent with this state is under way"

/* worker_admin.c: all other ops. Takes the request. */
void worker_admin(struct worker *self, struct request *request);

/* worker_seed.c: the secret of a shared credential, from the configuration, unless what is stored comes
 * from the same one. Waits until it is committed. 0, or why it cannot be kept. */
int worker_seed(struct worker *self);
/* Takes what has come for this worker. */
void worker_take_messages(struct worker *self);
/* worker_admin.c: the same as a credential.put. Takes the request. */
void worker_put(struct worker *self, struct request *request);

/* worker_resume.c: intents that were left open. 0, or what the store says. */
int worker_resume(struct worker *self);

#endif
