/* What the files of conform.h share.
 * Thread: the run's owner. */
#ifndef SIM_CONFORM_PARTS_H
#define SIM_CONFORM_PARTS_H

#include "sim/conform.h"
#include "wire/tree.h"

#define CONFORM_FAILURE_SIZE 768

/* A case that runs: one grant, its credential, and what came of the last exchange. */
struct conform_run {
    struct conform *conform;
    const char *name;
    int64_t now;
    size_t grant; /* of the simulator */
    struct buf secret_pack, grant_pack, metadata_pack;
    struct tree *secret, *stored, *metadata;
    struct call_values inputs;

    int built; /* 0, or why no request could be made */
    struct http_reply reply;
    struct call_outcome outcome;
    bool has_outcome;
    unsigned steps;       /* requests of the exchange */
    bool has_next_secret; /* requests are made with client_secret_next */
    enum verdict_class verdict;
    int64_t expires_at; /* EXPIRY_NEVER: none */
    char sent[128];     /* method and place of the last request */
    char failure[CONFORM_FAILURE_SIZE];
};

/* 0 or BURSAR_E_NOMEM; conform_end() ends it either way and tells what it came to. */
int conform_begin(struct conform *conform, const char *name, struct conform_run *out_run);
void conform_end(struct conform_run *run);
/* Whether cases of this name are wanted. */
bool conform_wants(const struct conform *conform, const char *name);

/* Notes the first failure; gives false. */
bool conform_fail(struct conform_run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool conform_check(struct conform_run *run, bool is_right, const char *what);

/* An exchange from the request to what was read; what went wrong before that is a failure. */
bool conform_exchange(struct conform_run *run, enum bursar_purpose purpose, long timeout_ms);
bool conform_expect(struct conform_run *run, enum verdict_class expected);
/* The same, and that all of the new secret is what the provider gave. */
bool conform_expect_secret(struct conform_run *run, const struct sim_play *play);
bool conform_expect_read(struct conform_run *run, enum bursar_read expected);

/* Plays, then refreshes. */
bool conform_refresh(struct conform_run *run, const struct sim_play *play);
/* Takes what the last refresh gave for the next one. */
bool conform_keep(struct conform_run *run);
struct sim_grant *conform_grant(struct conform_run *run);
/* Moves the clock to where the broker would refresh. */
void conform_pass(struct conform_run *run, double jitter);

bool conform_can_refresh(const struct conform *conform);
/* Whether a refresh spends a token at the provider. */
bool conform_has_grant(const struct conform *conform);
/* What a lost or unreadable reply of a good request means. */
enum verdict_class conform_lost(const struct conform *conform);

/* conform.c: what several refreshes tell. */
typedef void conform_tell(struct conform_run *run);
int conform_story(struct conform *conform, const char *name, conform_tell *tell);
/* The old token again after a lost reply: what the provider makes of it follows from its rotation. */
void conform_tell_lost(struct conform_run *run);
/* A grant that was called dead by mistake still works: the token has to be kept. */
void conform_tell_mistake(struct conform_run *run);
/* The earliest moment that the jitter allows is not too early for the provider. */
void conform_tell_early(struct conform_run *run);
/* The same again: expires_in is what remains of the token. */
void conform_tell_cached(struct conform_run *run);

/* conform_words.c */
int conform_words(struct conform *conform);
/* conform_consent.c */
int conform_consent(struct conform *conform);
/* Another grant that comes with the first lives a life of its own. */
void conform_tell_second(struct conform_run *run);
/* A connection whose application must not say redirect_uri says it nowhere; others do. */
void conform_tell_no_redirect_uri(struct conform_run *run);
/* The URL of the consent ends as the provider wants it, with all parameters before that. */
void conform_tell_fragment(struct conform_run *run);
/* What a person has left of the scopes stands in the callback alone. */
void conform_tell_callback_scope(struct conform_run *run);

#endif
