/* What a provider looks at in a request before it answers.
 * Thread: the check's owner.
 *
 * Every parameter in its place and under its name, the client, the headers. Other eyes than those that
 * made the request: nothing here asks a connector module. */
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "sim/entry.h"
#include "sim/request.h"

#define SIM_PROBLEM_SIZE 200

struct sim_check {
    const struct connector *entry;
    const struct sim_seen *seen;
    struct sim_known known[8];      /* ends with a row whose name is NULL */
    struct text client_secret;      /* the one that counts */
    bool is_client_wrong;           /* out: it is the client that is refused */
    char problem[SIM_PROBLEM_SIZE]; /* out: quotes no value */
};
/* has_next_secret: the client's first secret is over. */
struct sim_check sim_check_of(const struct connector *entry, const struct sim_seen *seen,
                              bool has_next_secret);
void sim_check_know(struct sim_check *check, const char *name, struct text value);

/* How the request came: the method of this setting, or else of that one, or else this. */
bool sim_check_method(struct sim_check *check, const char *const *settings, const char *otherwise);

/* Each false with `problem` filled. token: what has to be sent. */
bool sim_check_refresh(struct sim_check *check, struct text token);
bool sim_check_mint(struct sim_check *check);
bool sim_check_exchange(struct sim_check *check, struct text code);
bool sim_check_second(struct sim_check *check, struct text token);
bool sim_check_device(struct sim_check *check);
bool sim_check_poll(struct sim_check *check, struct text code);
bool sim_check_revoke(struct sim_check *check, struct text token, struct text other_token);
bool sim_check_identity(struct sim_check *check);
bool sim_check_validate(struct sim_check *check);

/* Where the parameters of a token request stand. */
enum sim_place sim_check_place(const struct sim_check *check);

#endif
