#include "fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

#include "answers.h"
#include "base/buf.h"
#include "base/clock.h"
#include "wire/json.h"
#include "wire/pack.h"
#include "wire/tree.h"

enum { MAX_EVENTS = 4096, MAX_DELAYED = 64, SLOW_MS = 400 };

struct logged {
    const char *type, *owner;
};

struct delayed {
    int64_t at_ms;
    char identity[64];
    size_t identity_len;
    struct buf body;
};

struct fake {
    char folder[64], jobs[128], events[128];
    char public_key[41], secret_key[41]; /* of one on tcp; else "" */
    pthread_t thread;
    bool is_running;
    void *context, *command; /* PAIR to the thread */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool is_refusing, is_log_lost;
    unsigned subscriptions;
    struct logged log[MAX_EVENTS];
    uint64_t last_seq;
    char last_job[65536], last_job_copy[65536];
    char last_key[41], last_key_copy[41];
    char ops[1024][24];
    size_t op_count;
};

/* The thread's own. */
struct sockets {
    struct fake *fake;
    void *jobs, *events, *zap, *command;
    struct delayed delayed[MAX_DELAYED];
    size_t delayed_count;
    struct tree *tree;
};

/* ---- events --------------------------------------------------------------------------------- */

static void pack_event(struct pack *map, const struct fake *fake, uint64_t seq)
{
    const struct logged *logged = &fake->log[seq];
    pack_uint(map, "seq", seq);
    pack_int(map, "at_ms", 1700000000000 + (int64_t)seq);
    pack_string(map, "type", logged->type);
    pack_string(map, "owner", logged->owner);
    pack_string(map, "provider", "prov");
    pack_string(map, "account", "default");
    pack_string(map, "connection", "prov.0123");
    pack_string(map, "state", "ACTIVE");
    pack_uint(map, "generation", 7);
    if (strcmp(logged->type, "reauth") == 0) {
        struct pack reason = pack_map_in(map, "reason");
        pack_string(&reason, "code", "grant_refused");
        pack_string(&reason, "class", "grant");
        pack_uint(&reason, "http_status", 400);
        pack_string(&reason, "provider_error", "invalid_grant");
        pack_close(&reason);
    }
}

static void send_frames(void *socket, struct text topic, struct text body)
{
    zmq_send(socket, topic.data, topic.len, ZMQ_SNDMORE);
    zmq_send(socket, body.data, body.len, 0);
}

/* With the lock. */
static void command_event(struct fake *fake, uint64_t seq)
{
    struct buf topic = buf_make(1024);
    struct buf body = buf_make(4096);
    struct pack map = pack_map(&body);
    pack_event(&map, fake, seq);
    pack_close(&map);
    buf_printf(&topic, "%s/%s/prov/prov.0123", fake->log[seq].type, fake->log[seq].owner);
    send_frames(fake->command, buf_text(&topic), buf_text(&body));
    buf_free(&topic);
    buf_free(&body);
}

uint64_t fake_event(struct fake *fake, const char *type, const char *owner, bool is_sent)
{
    pthread_mutex_lock(&fake->lock);
    uint64_t seq = ++fake->last_seq;
    fake->log[seq] = (struct logged){type, owner};
    if (is_sent)
        command_event(fake, seq);
    pthread_mutex_unlock(&fake->lock);
    return seq;
}

void fake_send_again(struct fake *fake, uint64_t seq)
{
    pthread_mutex_lock(&fake->lock);
    command_event(fake, seq);
    pthread_mutex_unlock(&fake->lock);
}

static void pack_alive(struct buf *body, uint64_t last_seq)
{
    struct pack map = pack_map(body);
    pack_uint(&map, "seq", last_seq);
    pack_int(&map, "at_ms", 1700000000000);
    pack_string(&map, "type", "alive");
    pack_close(&map);
}

void fake_alive(struct fake *fake)
{
    struct buf body = buf_make(256);
    pthread_mutex_lock(&fake->lock);
    pack_alive(&body, fake->last_seq);
    send_frames(fake->command, TEXT_LITERAL("alive/-/-/-"), buf_text(&body));
    pthread_mutex_unlock(&fake->lock);
    buf_free(&body);
}

/* ---- answers -------------------------------------------------------------------------------- */

static void pack_id(struct pack *map, const struct node *job)
{
    struct buf id = buf_make(64);
    node_pack(node_get(job, "id"), &id);
    pack_raw(map, "id", buf_text(&id));
    buf_free(&id);
}

static void pack_error(struct pack *map, const char *code)
{
    struct pack error = pack_map_in(map, "error");
    pack_string(&error, "code", code);
    pack_string(&error, "message", "the grant of acme at prov is dead: connect again");
    pack_bool(&error, "retryable", false);
    pack_uint(&error, "retry_after_ms", 1500);
    pack_string(&error, "provider_error", "invalid_grant");
    pack_close(&error);
}

static void pack_secret(struct pack *map, struct text account, bool is_scoped)
{
    struct pack secret = pack_map_in(map, "secret");
    pack_string(&secret, "kind", "oauth2");
    pack_text(&secret, "access_token", account); /* so that mixed-up replies show */
    pack_string(&secret, "token_type", "Bearer");
    pack_string(&secret, "refresh_token", "rt-1");
    if (is_scoped) {
        struct pack scopes = pack_array_in(&secret, "scopes");
        pack_item_text(&scopes, TEXT_LITERAL("repo"));
        pack_close(&scopes);
    }
    struct pack fields = pack_map_in(&secret, "fields");
    pack_string(&fields, "instance_url", "https://x.example");
    pack_close(&fields);
    pack_close(&secret);
}

static void pack_ok(struct pack *map, const struct node *job)
{
    struct text account = node_text(node_get(job, "account"));
    pack_bool(map, "ok", true);
    pack_string(map, "connection", "prov.0123");
    pack_string(map, "provider", "prov");
    pack_text(map, "account", account);
    pack_uint(map, "generation", 7);
    pack_int(map, "expires_at", 1700000000);
    pack_bool(map, "stale", true);
    struct pack refresh = pack_map_in(map, "refresh");
    pack_string(&refresh, "state", "backing_off");
    pack_string(&refresh, "last_error", "provider_unavailable");
    pack_close(&refresh);
    pack_secret(map, account, text_is(node_text(node_get(job, "owner")), "scoped"));
}

static void pack_since(struct pack *map, struct fake *fake, const struct node *job)
{
    uint64_t seq = node_uint(node_get(job, "seq"));
    uint64_t given = node_uint(node_get(job, "limit"));
    uint64_t limit = given > 0 ? given : 1000;
    struct pack events = pack_array_in(map, "events");
    while (seq < fake->last_seq && events.count < limit) {
        struct pack event = pack_item_map(&events);
        pack_event(&event, fake, ++seq);
        pack_close(&event);
    }
    pack_close(&events);
    pack_uint(map, "next_seq", seq);
}

static void note_job(struct fake *fake, const struct node *job)
{
    struct buf json = buf_make(sizeof fake->last_job - 1);
    struct text op = node_text(node_get(job, "op"));
    json_from_node(job, &json);
    memcpy(fake->last_job, buf_text(&json).data, json.len + 1);
    buf_free(&json);
    snprintf(fake->ops[fake->op_count++ % 1024], 24, "%.*s", (int)op.len, op.data);
    pthread_cond_broadcast(&fake->changed);
}

/* With the lock. false: no answer. */
static bool make_answer(struct fake *fake, const struct node *job, struct buf *body)
{
    struct text owner = node_text(node_get(job, "owner"));
    bool is_since = text_is(node_text(node_get(job, "op")), "events.since");
    note_job(fake, job);
    if (text_is(owner, "silent"))
        return false;
    if (text_is(owner, "garbage")) {
        buf_append_string(body, "\xc1 not MessagePack");
        return true;
    }
    struct pack map = pack_map(body);
    if (text_is(owner, "stranger"))
        pack_uint(&map, "id", 1u << 30);
    else if (!text_is(owner, "anonymous"))
        pack_id(&map, job);
    if (text_is(owner, "tiny")) { /* fits into a zmq_msg_t itself */
        pack_bool(&map, "ok", true);
        pack_close(&map);
        return true;
    }
    bool is_refused =
        text_is(owner, "broke") || text_is(owner, "anonymous") || (is_since && fake->is_log_lost);
    if (is_refused) {
        pack_bool(&map, "ok", false);
        pack_error(&map, is_since                  ? "store_unavailable"
                         : text_is(owner, "broke") ? "needs_reauth"
                                                   : "bad_request");
    } else if (is_since) {
        pack_bool(&map, "ok", true);
        pack_since(&map, fake, job);
    } else if (!answers_pack(&map, job)) {
        pack_ok(&map, job);
    }
    pack_close(&map);
    return true;
}

static void send_reply(struct sockets *sockets, const char *identity, size_t identity_len,
                       struct buf *body)
{
    send_frames(sockets->jobs, (struct text){identity, identity_len}, buf_text(body));
    buf_free(body);
}

static void delay_reply(struct sockets *sockets, const char *identity, size_t identity_len,
                        const struct buf *body)
{
    struct delayed *delayed = &sockets->delayed[sockets->delayed_count++];
    *delayed = (struct delayed){.at_ms = clock_boot_ms() + SLOW_MS, .body = *body};
    memcpy(delayed->identity, identity, identity_len);
    delayed->identity_len = identity_len;
}

static void take_job(struct sockets *sockets)
{
    static char frame[65536];
    char identity[64];
    int identity_len = zmq_recv(sockets->jobs, identity, sizeof identity, 0);
    int len = zmq_recv(sockets->jobs, frame, sizeof frame, 0);
    struct buf body = buf_make(1 << 20);
    if (identity_len < 0 || len < 0)
        return;
    if (len > (int)sizeof frame) { /* as the daemon: not read, so it has no id */
        struct pack map = pack_map(&body);
        pack_bool(&map, "ok", false);
        pack_error(&map, "bad_request");
        pack_close(&map);
        send_reply(sockets, identity, (size_t)identity_len, &body);
        return;
    }
    if (tree_fill(sockets->tree, (struct text){frame, (size_t)len}) != 0)
        return;
    const struct node *job = tree_root(sockets->tree);
    pthread_mutex_lock(&sockets->fake->lock);
    bool is_answered = make_answer(sockets->fake, job, &body);
    pthread_mutex_unlock(&sockets->fake->lock);
    if (!is_answered)
        buf_free(&body);
    else if (text_is(node_text(node_get(job, "owner")), "slow"))
        delay_reply(sockets, identity, (size_t)identity_len, &body);
    else
        send_reply(sockets, identity, (size_t)identity_len, &body);
}

static long send_delayed(struct sockets *sockets)
{
    long wait_ms = -1;
    for (size_t i = 0; i < sockets->delayed_count;) {
        struct delayed *delayed = &sockets->delayed[i];
        int64_t left_ms = delayed->at_ms - clock_boot_ms();
        if (left_ms <= 0) {
            send_reply(sockets, delayed->identity, delayed->identity_len, &delayed->body);
            *delayed = sockets->delayed[--sockets->delayed_count];
            continue;
        }
        wait_ms = wait_ms < 0 || left_ms < wait_ms ? (long)left_ms : wait_ms;
        i++;
    }
    return wait_ms;
}

/* ---- the other sockets ---------------------------------------------------------------------- */

static void take_subscription(struct sockets *sockets)
{
    char frame[256];
    struct fake *fake = sockets->fake;
    struct buf alive = buf_make(256);
    int len = zmq_recv(sockets->events, frame, sizeof frame, 0);
    if (len < 1 || frame[0] != 1)
        return;
    pthread_mutex_lock(&fake->lock);
    fake->subscriptions++;
    pack_alive(&alive, fake->last_seq);
    pthread_cond_broadcast(&fake->changed);
    pthread_mutex_unlock(&fake->lock);
    send_frames(sockets->events, TEXT_LITERAL("alive/-/-/-"), buf_text(&alive));
    buf_free(&alive);
}

static void answer_zap(struct sockets *sockets)
{
    enum { ID = 1, KEY = 6, KEY_BYTES = 32 };
    char id[256], key[41] = "";
    int id_len = 0;
    int more = 1;
    size_t more_len = sizeof more;
    for (int i = 0; more; i++) {
        char frame[256];
        int len = zmq_recv(sockets->zap, frame, sizeof frame, 0);
        if (i == ID && len > 0) {
            memcpy(id, frame, (size_t)len);
            id_len = len;
        }
        if (i == KEY && len == KEY_BYTES)
            zmq_z85_encode(key, (const uint8_t *)frame, KEY_BYTES);
        zmq_getsockopt(sockets->zap, ZMQ_RCVMORE, &more, &more_len);
    }
    pthread_mutex_lock(&sockets->fake->lock);
    memcpy(sockets->fake->last_key, key, sizeof key);
    const char *status = sockets->fake->is_refusing ? "400" : "200";
    pthread_mutex_unlock(&sockets->fake->lock);
    zmq_send(sockets->zap, "1.0", 3, ZMQ_SNDMORE);
    zmq_send(sockets->zap, id, (size_t)id_len, ZMQ_SNDMORE);
    zmq_send(sockets->zap, status, 3, ZMQ_SNDMORE);
    zmq_send(sockets->zap, "", 0, ZMQ_SNDMORE);
    zmq_send(sockets->zap, "user", 4, ZMQ_SNDMORE);
    zmq_send(sockets->zap, "", 0, 0);
}

/* An event to pass on, or one empty frame: the end. */
static bool take_command(struct sockets *sockets)
{
    char topic[1024];
    char body[4096];
    int topic_len = zmq_recv(sockets->command, topic, sizeof topic, 0);
    if (topic_len <= 0)
        return false;
    int body_len = zmq_recv(sockets->command, body, sizeof body, 0);
    send_frames(sockets->events, (struct text){topic, (size_t)topic_len},
                (struct text){body, (size_t)body_len});
    return true;
}

static void *run(void *data)
{
    struct sockets *sockets = data;
    bool is_running = true;
    while (is_running) {
        zmq_pollitem_t items[] = {{sockets->jobs, 0, ZMQ_POLLIN, 0},
                                  {sockets->events, 0, ZMQ_POLLIN, 0},
                                  {sockets->zap, 0, ZMQ_POLLIN, 0},
                                  {sockets->command, 0, ZMQ_POLLIN, 0}};
        zmq_poll(items, 4, send_delayed(sockets));
        if (items[0].revents)
            take_job(sockets);
        if (items[1].revents)
            take_subscription(sockets);
        if (items[2].revents)
            answer_zap(sockets);
        if (items[3].revents)
            is_running = take_command(sockets);
    }
    for (size_t i = 0; i < sockets->delayed_count; i++)
        buf_free(&sockets->delayed[i].body);
    zmq_close(sockets->jobs);
    zmq_close(sockets->events);
    zmq_close(sockets->zap);
    zmq_close(sockets->command);
    tree_free(sockets->tree);
    free(sockets);
    return NULL;
}

/* ---- starting and stopping ------------------------------------------------------------------ */

static void *open_socket(struct fake *fake, int type, const char *endpoint, bool has_zap)
{
    int no_linger = 0, one = 1;
    void *socket = zmq_socket(fake->context, type);
    assert_non_null(socket);
    zmq_setsockopt(socket, ZMQ_LINGER, &no_linger, sizeof no_linger);
    if (has_zap)
        zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, "bursar", 6);
    if (has_zap && fake->secret_key[0]) {
        zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &one, sizeof one);
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, fake->secret_key, sizeof fake->secret_key);
    }
    assert_int_equal(zmq_bind(socket, endpoint), 0);
    return socket;
}

void fake_start(struct fake *fake)
{
    struct sockets *sockets = calloc(1, sizeof *sockets);
    assert_non_null(sockets);
    sockets->fake = fake;
    fake->subscriptions = 0;
    fake->context = zmq_ctx_new();
    fake->command = open_socket(fake, ZMQ_PAIR, "inproc://command", false);
    sockets->command = zmq_socket(fake->context, ZMQ_PAIR);
    assert_int_equal(zmq_connect(sockets->command, "inproc://command"), 0);
    sockets->zap = open_socket(fake, ZMQ_REP, "inproc://zeromq.zap.01", false);
    sockets->jobs = open_socket(fake, ZMQ_ROUTER, fake->jobs, true);
    sockets->events = open_socket(fake, ZMQ_XPUB, fake->events, true);
    /* the port that a wildcard has become: the next start is at the same one */
    size_t jobs_size = sizeof fake->jobs, events_size = sizeof fake->events;
    zmq_getsockopt(sockets->jobs, ZMQ_LAST_ENDPOINT, fake->jobs, &jobs_size);
    zmq_getsockopt(sockets->events, ZMQ_LAST_ENDPOINT, fake->events, &events_size);
    sockets->tree = tree_new();
    assert_non_null(sockets->tree);
    assert_int_equal(pthread_create(&fake->thread, NULL, run, sockets), 0);
    fake->is_running = true;
}

void fake_stop(struct fake *fake)
{
    if (!fake->is_running)
        return;
    zmq_send(fake->command, "", 0, 0);
    pthread_join(fake->thread, NULL);
    zmq_close(fake->command);
    zmq_ctx_term(fake->context);
    fake->is_running = false;
}

static struct fake *make(void)
{
    struct fake *fake = calloc(1, sizeof *fake);
    assert_non_null(fake);
    strcpy(fake->folder, "/tmp/bursar-test-XXXXXX");
    assert_non_null(mkdtemp(fake->folder));
    pthread_mutex_init(&fake->lock, NULL);
    pthread_cond_init(&fake->changed, NULL);
    return fake;
}

struct fake *fake_new(void)
{
    struct fake *fake = make();
    snprintf(fake->jobs, sizeof fake->jobs, "ipc://%s/jobs", fake->folder);
    snprintf(fake->events, sizeof fake->events, "ipc://%s/events", fake->folder);
    fake_start(fake);
    return fake;
}

struct fake *fake_new_on_tcp(void)
{
    struct fake *fake = make();
    strcpy(fake->jobs, "tcp://127.0.0.1:*");
    strcpy(fake->events, "tcp://127.0.0.1:*");
    assert_int_equal(zmq_curve_keypair(fake->public_key, fake->secret_key), 0);
    fake_start(fake);
    return fake;
}

void fake_free(struct fake *fake)
{
    fake_stop(fake);
    if (!fake->public_key[0]) {
        unlink(fake->jobs + strlen("ipc://"));
        unlink(fake->events + strlen("ipc://"));
    }
    assert_int_equal(rmdir(fake->folder), 0);
    pthread_mutex_destroy(&fake->lock);
    pthread_cond_destroy(&fake->changed);
    free(fake);
}

struct bursar_client_options fake_options(const struct fake *fake)
{
    return (struct bursar_client_options){.jobs_endpoint = fake->jobs,
                                          .events_endpoint = fake->events,
                                          .server_public_key =
                                              fake->public_key[0] ? fake->public_key : NULL,
                                          .connect_timeout_ms = 20000,
                                          .deadline_ms = 50000};
}

/* ---- asking and telling --------------------------------------------------------------------- */

static void set(struct fake *fake, bool *what, bool value)
{
    pthread_mutex_lock(&fake->lock);
    *what = value;
    pthread_mutex_unlock(&fake->lock);
}

void fake_refuse(struct fake *fake, bool is_refusing)
{
    set(fake, &fake->is_refusing, is_refusing);
}

const char *fake_last_key(struct fake *fake)
{
    pthread_mutex_lock(&fake->lock);
    memcpy(fake->last_key_copy, fake->last_key, sizeof fake->last_key);
    pthread_mutex_unlock(&fake->lock);
    return fake->last_key_copy;
}

void fake_lose_log(struct fake *fake, bool is_lost)
{
    set(fake, &fake->is_log_lost, is_lost);
}

void fake_await_subscriptions(struct fake *fake, unsigned count)
{
    pthread_mutex_lock(&fake->lock);
    while (fake->subscriptions < count)
        pthread_cond_wait(&fake->changed, &fake->lock);
    pthread_mutex_unlock(&fake->lock);
}

const char *fake_last_job(struct fake *fake)
{
    pthread_mutex_lock(&fake->lock);
    strcpy(fake->last_job_copy, fake->last_job);
    pthread_mutex_unlock(&fake->lock);
    /* {"op":"…","id":N,… : the number differs from run to run */
    char *id = strstr(fake->last_job_copy, "\"id\":");
    char *end = id ? strchr(id, ',') : NULL;
    if (end)
        memmove(id, end + 1, strlen(end + 1) + 1);
    return fake->last_job_copy;
}

static unsigned count_locked(const struct fake *fake, const char *op)
{
    unsigned count = 0;
    for (size_t i = 0; i < fake->op_count && i < 1024; i++)
        count += strcmp(fake->ops[i], op) == 0;
    return count;
}

unsigned fake_count(struct fake *fake, const char *op)
{
    pthread_mutex_lock(&fake->lock);
    unsigned count = count_locked(fake, op);
    pthread_mutex_unlock(&fake->lock);
    return count;
}

void fake_await_jobs(struct fake *fake, const char *op, unsigned count)
{
    pthread_mutex_lock(&fake->lock);
    while (count_locked(fake, op) < count)
        pthread_cond_wait(&fake->changed, &fake->lock);
    pthread_mutex_unlock(&fake->lock);
}
