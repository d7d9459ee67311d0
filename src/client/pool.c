#include "client/pool.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bursar/error.h>

#include "base/clock.h"

int pool_init(struct pool *pool, void *context, const char *endpoint, const struct curve *curve,
              uint32_t connect_timeout_ms, uint32_t max_links)
{
    pthread_condattr_t attributes;
    memset(pool, 0, sizeof *pool);
    pool->context = context;
    pool->curve = curve;
    pool->connect_timeout_ms = connect_timeout_ms;
    pool->max_links = max_links < POOL_MAX_LINKS ? max_links : POOL_MAX_LINKS;
    pool->endpoint = strdup(endpoint);
    if (!pool->endpoint)
        return BURSAR_E_NOMEM;
    if (pthread_condattr_init(&attributes) != 0)
        goto failed;
    int error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (error == 0)
        error = pthread_cond_init(&pool->returned, &attributes);
    pthread_condattr_destroy(&attributes);
    if (error != 0)
        goto failed;
    if (pthread_mutex_init(&pool->lock, NULL) == 0)
        return 0;
    pthread_cond_destroy(&pool->returned);
failed:
    free(pool->endpoint);
    pool->endpoint = NULL;
    return BURSAR_E_IO;
}

void pool_fini(struct pool *pool)
{
    if (!pool->endpoint)
        return;
    for (uint32_t i = 0; i < pool->idle_count; i++)
        link_close(&pool->idle[i]);
    pthread_cond_destroy(&pool->returned);
    pthread_mutex_destroy(&pool->lock);
    free(pool->endpoint);
    pool->endpoint = NULL;
}

static struct timespec monotonic_in(int64_t ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(ms / 1000);
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* With the lock: waits until a link is idle or may be opened; false at until_ms. */
static bool wait_for_place(struct pool *pool, int64_t until_ms)
{
    while (pool->idle_count == 0 && pool->link_count >= pool->max_links) {
        int64_t left = until_ms - clock_boot_ms();
        if (left <= 0)
            return false;
        struct timespec at = monotonic_in(left);
        pthread_cond_timedwait(&pool->returned, &pool->lock, &at);
    }
    return true;
}

static void forget(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->link_count--;
    pthread_cond_signal(&pool->returned);
    pthread_mutex_unlock(&pool->lock);
}

/* An idle link, whose place is then the caller's, or a place for a new one (a link without a
 * socket). */
static int take_place(struct pool *pool, int64_t until_ms, struct link *out_link)
{
    int error = 0;
    *out_link = (struct link){0};
    pthread_mutex_lock(&pool->lock);
    if (!wait_for_place(pool, until_ms))
        error = BURSAR_E_OVERLOADED;
    else if (pool->idle_count > 0)
        *out_link = pool->idle[--pool->idle_count];
    else
        pool->link_count++;
    pthread_mutex_unlock(&pool->lock);
    return error;
}

int pool_take(struct pool *pool, int64_t until_ms, struct link *out_link)
{
    struct link link;
    int64_t connect_until_ms = clock_boot_ms() + pool->connect_timeout_ms;
    int error = take_place(pool, until_ms, &link);
    if (error != 0)
        return error;
    if (link.socket && link_update(&link) != LINK_READY)
        link_close(&link); /* the daemon went away since: a new one connects at once */
    if (!link.socket)
        error = link_open(pool->context, ZMQ_DEALER, pool->endpoint, pool->curve, &link);
    if (error == 0)
        error = link_await(&link, connect_until_ms < until_ms ? connect_until_ms : until_ms);
    if (error != 0) {
        link_close(&link);
        forget(pool);
        return error;
    }
    *out_link = link;
    return 0;
}

void pool_give(struct pool *pool, struct link *link, bool is_clean)
{
    if (!is_clean) {
        link_close(link);
        forget(pool);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->idle[pool->idle_count++] = *link;
    pthread_cond_signal(&pool->returned);
    pthread_mutex_unlock(&pool->lock);
    *link = (struct link){0};
}
