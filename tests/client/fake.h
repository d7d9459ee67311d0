/* A daemon's sockets without a daemon: answers, silences and errors as a test wants them.
 * Thread: the test's; the sockets live in a thread of its own.
 *
 * What it answers depends on the job's `owner`:
 *     slow      after 400 ms            silent    never
 *     garbage   bytes that are no map   stranger  the reply to another id
 *     broke     error needs_reauth with all that an error can say
 *     anonymous error bad_request without an id
 *     tiny      the shortest reply that there is
 *     scoped    as any other, with the scope `repo` in the secret
 * and what answers.h says; else `ok` with a secret and the job's own `account`. */
#ifndef TESTS_CLIENT_FAKE_H
#define TESTS_CLIENT_FAKE_H

#include <stdbool.h>
#include <stdint.h>

#include <bursar/client.h>

struct fake;

/* Starts one in a folder of its own. Every failure in here fails the test. */
struct fake *fake_new(void);
/* The same on tcp, with CURVE as the server of a key of its own. */
struct fake *fake_new_on_tcp(void);
void fake_free(struct fake *fake);
/* Closes all sockets, and opens them again at the same endpoints. The event log stays. */
void fake_stop(struct fake *fake);
void fake_start(struct fake *fake);

/* Endpoints of this one (and on tcp its public key), and short times. */
struct bursar_client_options fake_options(const struct fake *fake);

/* Refuses (or lets in) whoever connects from now on, as ZAP does. */
void fake_refuse(struct fake *fake, bool is_refusing);
/* The public key, in Z85, of who connected last; "" where that was without one. Borrowed. */
const char *fake_last_key(struct fake *fake);
/* The last job as JSON, without its id; borrowed until the next call. */
const char *fake_last_job(struct fake *fake);
/* How many jobs of an op came. */
unsigned fake_count(struct fake *fake, const char *op);
/* Waits until so many came. */
void fake_await_jobs(struct fake *fake, const char *op, unsigned count);

/* Adds the next event to the log and, where wanted, sends it to the subscribers. Gives its seq. */
uint64_t fake_event(struct fake *fake, const char *type, const char *owner, bool is_sent);
/* Sends an `alive`. */
void fake_alive(struct fake *fake);
/* Sends an event of the log once more. */
void fake_send_again(struct fake *fake, uint64_t seq);
/* Waits until so many subscriptions were made since the sockets were opened. */
void fake_await_subscriptions(struct fake *fake, unsigned count);
/* Answers events.since with store_unavailable while set. */
void fake_lose_log(struct fake *fake, bool is_lost);

#endif
