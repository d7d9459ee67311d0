/* Whether a provider's entry does at its provider what it should.
 * Thread: the run's owner.
 *
 * The entry's requests are made and sent to the provider as it is played, and what is read in each
 * reply is compared with what it means.
 *
 * The provider is played by one entry (`sim`) and met by another (`connector`). Where they are the
 * same, an entry is held against itself and against the rules of RFC 6749: that its requests are what
 * it says the provider wants, that its words for success and failure can be told apart, that all of
 * its error words come to what they are listed for. Where they differ, an entry of one's own is held
 * against one that is known to be right. */
#ifndef SIM_CONFORM_H
#define SIM_CONFORM_H

#include <stdbool.h>
#include <stddef.h>

#include "connector/call.h"
#include "http/engine.h"
#include "sim/sim.h"

/* Sends a request (takes it) to the simulator and gives what came of it; timeout_ms 0: the engine's
 * usual. A negative enum bursar_error where that could not be tried. */
typedef int conform_send_fn(void *context, struct call_request *request, long timeout_ms,
                            struct http_reply *out_reply);
/* One case has ended. failure: NULL, or what was sent, expected and got; no value of a secret. */
typedef void conform_case_fn(void *context, const char *name, const char *failure);

struct conform {
    const struct connector *connector; /* what is looked at */
    struct sim *sim;                   /* its provider */
    conform_send_fn *send;
    void *send_context;
    conform_case_fn *tell;
    void *context;        /* of tell */
    int64_t now;          /* seconds since 1970 UTC */
    const char *only;     /* cases of this name alone; NULL: all */
    int64_t provider_now; /* for `send`: what time it is at the provider */
    size_t passed, failed;
};

/* Runs all cases that apply to the entry. 0 or BURSAR_E_NOMEM. */
int conform_run(struct conform *conform);

/* Whether the entry shows a deviation of tests/connector/quirks.yaml, by the name of its case: it is
 * played whatever the entry says of itself. 0, BURSAR_E_NOMEM, or BURSAR_E_NOT_FOUND for a name that
 * is none. */
int conform_quirk(struct conform *conform, const char *name);

#endif
