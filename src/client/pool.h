/* The links of a client to the jobs socket: one for each call under way, kept for the next ones.
 * Thread: any, but for init and fini.
 *
 * A call that takes long has its link to itself, so it keeps no other call waiting. */
#ifndef CLIENT_POOL_H
#define CLIENT_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/link.h"

#define POOL_MAX_LINKS 256u

struct pool {
    void *context;
    char *endpoint;
    const struct curve *curve; /* borrowed; NULL: none */
    uint32_t connect_timeout_ms;
    uint32_t max_links;
    pthread_mutex_t lock;
    pthread_cond_t returned;
    uint32_t link_count, idle_count; /* guarded by lock, as what follows */
    struct link idle[POOL_MAX_LINKS];
};

/* Copies endpoint; borrows context and curve. 0, BURSAR_E_NOMEM or BURSAR_E_IO. */
int pool_init(struct pool *pool, void *context, const char *endpoint, const struct curve *curve,
              uint32_t connect_timeout_ms, uint32_t max_links);
void pool_fini(struct pool *pool);

/* Gives a ready link. 0; BURSAR_E_OVERLOADED where all were taken until until_ms; else as
 * link_open() and link_await(). */
int pool_take(struct pool *pool, int64_t until_ms, struct link *out_link);
/* Takes it back; one that still waits for a reply is closed, for it could get that one later. */
void pool_give(struct pool *pool, struct link *link, bool is_clean);

#endif
