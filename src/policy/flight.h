/* The steps of one refresh, as a table: what happened last decides what is done next.
 * Thread: any; pure functions.
 *
 *     IDLE --start--> TURN --its turn--> INTENT --committed--> SENT --replied--> REPLY --committed--> END
 *                                                               |                                      |
 *                                                               +------------- no reply ---------------+
 *     END --committed--> DONE
 *
 * It waits for its turn before its intent is committed: an intent that is found at start is one whose
 * request may have been sent.
 *
 * An exchange of several steps goes from END back to SENT with the next request; what earlier steps gave
 * is kept along with each reply. A reply is kept before it is read, a conclusion is committed before anybody is told, and a commit
 * that fails behind the request is tried again until it works: what was received is never dropped. */
#ifndef POLICY_FLIGHT_H
#define POLICY_FLIGHT_H

enum flight_phase {
    FLIGHT_IDLE,
    FLIGHT_BACKOFF, /* waits for its next attempt because somebody waits for it */
    FLIGHT_TURN,    /* waits until a request may be sent to the provider */
    FLIGHT_INTENT,  /* the intent is being committed */
    FLIGHT_SENT,    /* the request is with the provider */
    FLIGHT_REPLY,   /* the raw reply is being committed */
    FLIGHT_END,     /* the conclusion is being committed */
    FLIGHT_DONE,
    FLIGHT_PHASE_END
};

enum flight_input {
    FLIGHT_ON_START,
    FLIGHT_ON_RESUME, /* a raw reply was found at start */
    FLIGHT_ON_SETTLE, /* an open intent without a reply was found at start */
    FLIGHT_ON_TIMER,
    FLIGHT_ON_TURN,
    FLIGHT_ON_COMMITTED,
    FLIGHT_ON_CONFLICT, /* the row is not what the flight was for any more */
    FLIGHT_ON_STORE_DOWN,
    FLIGHT_ON_REPLIED,
    FLIGHT_ON_NO_REPLY,
    FLIGHT_ON_NEXT,  /* the reply that was kept asks for a further request */
    FLIGHT_ON_AGAIN, /* failed for a passing reason, and somebody waits on */
    FLIGHT_INPUT_END
};

enum flight_action {
    FLIGHT_QUEUE, /* wait for a turn, then FLIGHT_ON_TURN */
    FLIGHT_COMMIT_INTENT,
    FLIGHT_SEND,
    FLIGHT_COMMIT_REPLY,
    FLIGHT_CONCLUDE,     /* read what there is and commit what it means */
    FLIGHT_COMMIT_LATER, /* wait a little, then FLIGHT_ON_TIMER */
    FLIGHT_COMMIT_AGAIN, /* the same commit as before */
    FLIGHT_WAIT,         /* back off, then FLIGHT_ON_TIMER */
    FLIGHT_ANSWER,       /* tell who waits what came of it */
    FLIGHT_LOOK_AGAIN,   /* whoever waits decides anew from the row as it is now */
    FLIGHT_GIVE_UP,      /* nothing was sent: who waits is told that the store is down */
};

struct flight_step {
    enum flight_phase phase;
    enum flight_action action;
};

/* The next phase and what is to be done. An input that cannot come in a phase is the programmer's
 * error and ends the process. */
struct flight_step flight_next(enum flight_phase phase, enum flight_input input);

#endif
