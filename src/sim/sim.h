/* A provider, played: what it issues, what it remembers, what it answers on its good and bad days.
 * Thread: the owner; no function here waits, opens anything or asks what time it is.
 *
 * It is made from an entry of the catalogue and behaves as that entry says the provider does: where
 * its endpoints are, what they want to see, how a reply is shaped, whether refresh tokens rotate. What
 * is to go wrong is put before it as plays; each token request takes the next one. Tokens are none of
 * anybody's secrets: they are numbered. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "connector/connector.h"
#include "sim/body.h"
#include "sim/check.h"
#include "sim/request.h"

enum sim_fault {
    SIM_FINE,
    SIM_ERROR,       /* an error reply with `error` */
    SIM_DEAD,        /* the error reply of a dead grant, whatever the grant */
    SIM_HTML,        /* a page */
    SIM_EMPTY,       /* no body */
    SIM_TRUNCATED,   /* half a body, told as a whole one */
    SIM_CUT_IN_BODY, /* the tokens were changed, the connection ends within the body */
    SIM_LOST,        /* the tokens were changed, the connection ends without a reply */
    SIM_HANG,        /* the tokens were changed, the reply never comes */
    SIM_PENDING,     /* of a poll */
    SIM_SLOW_DOWN,   /* of a poll */
};

enum sim_expiry {
    SIM_EXPIRY_MEANT, /* as the entry says it is written */
    SIM_EXPIRY_TEXT,  /* the same as a text */
    SIM_EXPIRY_FRACTION,
    SIM_EXPIRY_ABSENT,
    SIM_EXPIRY_NULL,
    SIM_EXPIRY_ZERO,
    SIM_EXPIRY_NEGATIVE,
    SIM_EXPIRY_ABSURD,
    SIM_EXPIRY_WORD,
};

enum sim_refreshed { SIM_REFRESHED_BY_RULE, SIM_REFRESHED_SAME, SIM_REFRESHED_ABSENT };

enum sim_scope {
    SIM_SCOPE_ABSENT,
    SIM_SCOPE_SPACES,
    SIM_SCOPE_COMMAS,
    SIM_SCOPE_LIST,
    SIM_SCOPE_NARROWER,
};

/* What the next token request meets. All zero: a good day. */
struct sim_play {
    enum sim_fault fault;
    int status;            /* HTTP; 0: what goes with the fault */
    struct sim_word error; /* of SIM_ERROR */
    size_t error_query;    /* which query of error_path it stands at */
    int retry_after_s;     /* 0: none is told */
    int delay_ms;
    bool has_no_body; /* of SIM_ERROR: the status alone */
    enum sim_expiry expiry;
    enum sim_refreshed refreshed;
    enum sim_scope scope;
    enum sim_format format;
    size_t query;           /* which query of the other paths values stand at */
    const char *token_type; /* NULL: Bearer; "": none */
    bool is_cached;         /* the same again as long as the token lives */
    bool has_refresh_expiry;
    bool has_second; /* of a code: the reply brings the entry's second_grant too */
};

enum sim_end { SIM_END_WHOLE, SIM_END_CUT, SIM_END_NONE, SIM_END_NEVER };

struct sim_reply {
    enum sim_end end;
    int status;
    int delay_ms;
    struct buf headers; /* `Name: value`, each ended by NUL */
    struct buf body;
};
void sim_reply_free(struct sim_reply *reply);

/* A person's consent and the tokens that stand for it. */
#define SIM_TOKEN_SIZE 64
struct sim_grant {
    bool is_alive;
    unsigned generation;
    int64_t consented_at, issued_at, expires_at;
    char access_token[SIM_TOKEN_SIZE], refresh_token[SIM_TOKEN_SIZE];
    char code[SIM_TOKEN_SIZE], device_code[SIM_TOKEN_SIZE];
    bool is_code_used;
    bool awaits_second; /* a code's exchange has a second step to come */
    unsigned refreshed, replayed, refused;
};

struct sim_used {
    unsigned grant, generation;
    int64_t at;
};

#define SIM_PLAYS_MAX 16
struct sim {
    const struct connector *entry; /* borrowed */
    enum rotation_rule rotation;
    int64_t reuse_grace_s; /* 0: without end */
    int64_t life_s;        /* of an access token */
    int64_t earliest_refresh_s,
        minimum_age_s;     /* what comes before is refused; -1 and 0: nothing is */
    struct sim_play usual; /* once the plays are over */
    struct sim_play plays[SIM_PLAYS_MAX];
    size_t play_count, play_at;
    struct sim_grant *grants;
    size_t grant_count;
    struct sim_used *used; /* refresh tokens that were spent, and when */
    size_t used_count;
    size_t requests;                /* all that arrived */
    size_t arrived;                 /* of those, the ones that met a play */
    size_t grant;                   /* of the last request */
    size_t second;                  /* the second grant of the last consent that had one */
    bool has_next_secret;           /* the first client secret has ended, the next one counts */
    char problem[SIM_PROBLEM_SIZE]; /* what was wrong with the last request; "": nothing */
};

/* 0, or BURSAR_E_NOMEM. */
int sim_init(struct sim *sim, const struct connector *entry);
void sim_fini(struct sim *sim);
/* Forgets grants, plays and counts. */
void sim_reset(struct sim *sim);
/* False where there are too many. */
bool sim_script(struct sim *sim, const struct sim_play *play);
/* A new consent; its index, or SIZE_MAX without memory. */
size_t sim_consent(struct sim *sim, int64_t now);

/* Answers a request. now: seconds since 1970 UTC. */
struct sim_reply sim_answer(struct sim *sim, const struct sim_request *request, int64_t now);

/* reply.c: the shape of what is answered. */
/* The whole number, date or text that an expiry is written as; NULL: none. Gives the moment that is
 * meant, 0 where none is. */
json_t *sim_expiry_value(struct text unit, enum sim_expiry how, int64_t now, int64_t life_s,
                         int64_t *out_expires_at);
/* What the entry says an end is written in. */
struct text sim_unit(const struct connector *entry);
/* Where a kind's tokens stand in a reply; settings first. */
struct text sim_path(const struct connector *entry, const char *name);
/* Whether the entry's success can be told in this format and at these queries. */
bool sim_success(const struct sim *sim, const struct sim_play *play, const struct sim_grant *grant,
                 bool has_refresh_token, int64_t now, struct sim_reply *out_reply);
void sim_error(const struct sim *sim, const struct sim_play *play, struct sim_reply *out_reply);
/* The word that says of a grant that it is dead. */
struct sim_word sim_dead_word(const struct connector *entry);
/* The status that an error word comes with. */
int sim_error_status(const struct connector *entry, const struct sim_word *word);

#define SIM_SCOPES_WIDE "read write"
#define SIM_SCOPES_NARROW "read"

#endif
