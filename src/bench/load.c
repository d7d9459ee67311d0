#include "bench/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <zmq.h>

#include <bursar/error.h>

#include "wire/pack.h"

enum {
    JOB_MAX = LOAD_BYTES_MAX + 4096,
    STRIDE = 7919, /* a prime, so that each has its turn, but neighbours not one after the other */
    DIGITS = 8,    /* of an account's number */
    ID_BYTES = 4,  /* of a MessagePack uint 32 */
    HEAD_BYTES = 64,       /* of an answer, in which its id and `ok` stand */
    ANSWERS_AT_ONCE = 256, /* of one socket, before the others have their turn */
    GRACE_MS = 5000,
    KEY_SIZE = 41
};
#define ID_FIRST 0x80000000u /* so large that every id takes as many bytes */

struct load {
    const struct load_plan *plan;
    void *context;
    void **sockets;
    zmq_pollitem_t *items;
    struct buf job;
    size_t id_at, digits_at;
    double *sent_at_s;  /* by slot: the job's id without its first bit */
    float *took_us;     /* by answer */
    uint32_t *free_ids; /* slots that no job is under way for */
    size_t free_count, slot_count;
    uint64_t sent;
    uint64_t chance;
    double first_answer_at_s, paced_from_s;
    struct load_result result;
};

static double time_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double now_s(void)
{
    return time_of(CLOCK_MONOTONIC);
}

/* ---- the job, made once -------------------------------------------------------------------------- */

/* Text that looks like a token; it is nobody's. */
static void pack_token(struct pack *map, const char *key, size_t len)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    char token[LOAD_BYTES_MAX];
    for (size_t i = 0; i < len; i++)
        token[i] = letters[(i * 7919 + i / 61) % (sizeof letters - 1)];
    pack_text(map, key, (struct text){token, len});
}

static void pack_put(struct pack *map, const struct load_plan *plan)
{
    struct pack secret = pack_map_in(map, "secret");
    pack_string(&secret, "kind", plan->has_refresh_token ? "oauth2" : "bearer");
    pack_token(&secret, plan->has_refresh_token ? "access_token" : "token", plan->secret_bytes);
    if (plan->has_refresh_token)
        pack_token(&secret, "refresh_token", 64);
    pack_close(&secret);
    if (plan->has_refresh_token)
        pack_int(map, "expires_at", (int64_t)time(NULL) + plan->lives_s);
}

/* The places of the id and of the account's number are kept: they are all that changes. */
static int make_job(struct load *load)
{
    const struct load_plan *plan = load->plan;
    struct buf account = buf_make(JOB_MAX);
    buf_append_string(&account, plan->account);
    if (plan->connections > 0)
        buf_append_string(&account, "-00000000");
    load->job = buf_make(JOB_MAX);
    struct pack map = pack_map(&load->job);
    pack_uint(&map, "id", ID_FIRST);
    load->id_at = load->job.len - ID_BYTES;
    pack_string(&map, "op", job_rule(plan->op)->name);
    pack_uint(&map, "deadline_ms", plan->deadline_ms);
    pack_string(&map, "owner", plan->owner);
    pack_string(&map, "provider", plan->provider);
    pack_text(&map, "account", buf_text(&account));
    load->digits_at = load->job.len - DIGITS;
    if (plan->op == OP_REFRESH)
        pack_bool(&map, "force", true);
    if (plan->op == OP_PUT)
        pack_put(&map, plan);
    pack_close(&map);
    buf_free(&account);
    return buf_error(&load->job);
}

/* ---- sockets ------------------------------------------------------------------------------------- */

static bool use_keys(const struct load_plan *plan, void *socket)
{
    char public_key[KEY_SIZE];
    if (!plan->server_key)
        return true;
    return zmq_curve_public(public_key, plan->secret_key) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, plan->server_key,
                          strlen(plan->server_key)) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public_key, KEY_SIZE - 1) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, plan->secret_key,
                          strlen(plan->secret_key)) == 0;
}

static int open_sockets(struct load *load, struct buf *error)
{
    const struct load_plan *plan = load->plan;
    int no_limit = 0;
    load->context = zmq_ctx_new();
    if (!load->context)
        return BURSAR_E_NOMEM;
    zmq_ctx_set(load->context, ZMQ_MAX_SOCKETS, LOAD_CLIENTS_MAX + 1);
    for (size_t i = 0; i < plan->clients; i++) {
        void *socket = load->sockets[i] = zmq_socket(load->context, ZMQ_DEALER);
        if (!socket || zmq_setsockopt(socket, ZMQ_LINGER, &no_limit, sizeof no_limit) != 0 ||
            zmq_setsockopt(socket, ZMQ_SNDHWM, &no_limit, sizeof no_limit) != 0 ||
            zmq_setsockopt(socket, ZMQ_RCVHWM, &no_limit, sizeof no_limit) != 0 ||
            !use_keys(plan, socket) || zmq_connect(socket, plan->endpoint) != 0) {
            buf_printf(error, "%s: %s", plan->endpoint, zmq_strerror(zmq_errno()));
            return BURSAR_E_IO;
        }
        load->items[i] = (zmq_pollitem_t){.socket = socket, .events = ZMQ_POLLIN};
    }
    return 0;
}

/* ---- one job, one answer ------------------------------------------------------------------------- */

/* xorshift64: chance that costs next to nothing and is the same each time. */
static uint64_t next_chance(struct load *load)
{
    load->chance ^= load->chance << 13;
    load->chance ^= load->chance >> 7;
    load->chance ^= load->chance << 17;
    return load->chance;
}

static void write_number(struct load *load)
{
    const struct load_plan *plan = load->plan;
    uint64_t number =
        plan->is_random ? next_chance(load) % plan->connections : load->sent % plan->connections;
    for (size_t i = DIGITS; i > 0; i--, number /= 10)
        load->job.data[load->digits_at + i - 1] = (uint8_t)('0' + number % 10);
}

/* When the next job has its turn. */
static double due_at_s(const struct load *load)
{
    return load->paced_from_s + (double)load->sent / (double)load->plan->rate_per_s;
}

static int send_job(struct load *load, void *socket, struct buf *error)
{
    uint32_t slot = load->free_ids[--load->free_count];
    uint32_t id = slot | ID_FIRST;
    for (size_t i = 0; i < ID_BYTES; i++)
        load->job.data[load->id_at + i] = (uint8_t)(id >> (8 * (ID_BYTES - 1 - i)));
    if (load->plan->connections > 0)
        write_number(load);
    load->sent_at_s[slot] = load->plan->rate_per_s > 0 ? due_at_s(load) : now_s();
    load->sent++;
    if (zmq_send(socket, "", 0, ZMQ_SNDMORE) < 0 ||
        zmq_send(socket, load->job.data, load->job.len, 0) < 0) {
        buf_printf(error, "a job cannot be sent: %s", zmq_strerror(zmq_errno()));
        return BURSAR_E_IO;
    }
    return 0;
}

/* Where the bytes end in the first ones of an answer; NULL where they are not there. */
static const uint8_t *behind(const uint8_t *data, size_t len, struct text bytes)
{
    const uint8_t *found = memmem(data, len < HEAD_BYTES ? len : HEAD_BYTES, bytes.data, bytes.len);
    return found ? found + bytes.len : NULL;
}

static void keep_refusal(struct load *load, const uint8_t *data, size_t len)
{
    static const struct text key = {"\xa4"
                                    "code",
                                    5};
    const uint8_t *code = behind(data, len, key);
    load->result.refused++;
    if (load->result.first_refusal[0] != 0)
        return;
    size_t code_len = code && *code >= 0xa0 && *code < 0xc0 ? *code & 0x1fu : 0; /* a fixstr */
    if (code_len == 0 || (size_t)(data + len - code) < code_len + 1)
        snprintf(load->result.first_refusal, LOAD_CODE_SIZE, "(no code)");
    else
        snprintf(load->result.first_refusal, LOAD_CODE_SIZE, "%.*s", (int)code_len,
                 (const char *)code + 1);
}

static int take_answer(struct load *load, zmq_msg_t *frame, struct buf *error)
{
    static const struct text id_key = {"\xa2id\xce", 4}, ok_true = {"\xa2ok\xc3", 4};
    const uint8_t *data = zmq_msg_data(frame);
    size_t len = zmq_msg_size(frame);
    const uint8_t *id = behind(data, len, id_key);
    uint32_t slot = UINT32_MAX;
    if (id && (size_t)(data + len - id) >= ID_BYTES)
        slot = ((uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3]) &
               ~ID_FIRST;
    if (slot >= load->slot_count || load->sent_at_s[slot] == 0) {
        buf_append_string(error, "an answer to no job that was sent");
        return BURSAR_E_BAD_REPLY;
    }
    double at_s = now_s();
    if (load->result.answered == 0)
        load->first_answer_at_s = at_s;
    load->took_us[load->result.answered++] = (float)((at_s - load->sent_at_s[slot]) * 1e6);
    load->sent_at_s[slot] = 0;
    load->free_ids[load->free_count++] = slot;
    load->result.reply_bytes = len;
    if (!behind(data, len, ok_true))
        keep_refusal(load, data, len);
    return 0;
}

/* Takes the answers of a socket that are there, and sends a job for each. */
static int take_answers(struct load *load, void *socket, struct buf *error)
{
    for (int i = 0; i < ANSWERS_AT_ONCE; i++) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        int len = zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT);
        if (len >= 0 && zmq_msg_more(&frame)) /* the empty one before the answer */
            len = zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT);
        int result = len >= 0 ? take_answer(load, &frame, error) : 0;
        zmq_msg_close(&frame);
        if (len < 0)
            return 0;
        if (result == 0 && load->sent < load->plan->jobs && load->plan->rate_per_s == 0)
            result = send_job(load, socket, error);
        if (result < 0)
            return result;
    }
    return 0;
}

/* ---- all of them --------------------------------------------------------------------------------- */

static int send_first(struct load *load, struct buf *error)
{
    const struct load_plan *plan = load->plan;
    int result = 0;
    for (size_t i = 0; i < plan->outstanding && load->sent < plan->jobs && result == 0; i++)
        result = send_job(load, load->sockets[i % plan->clients], error);
    return result;
}

static int send_due(struct load *load, struct buf *error)
{
    const struct load_plan *plan = load->plan;
    double at_s = now_s();
    int result = 0;
    while (load->sent < plan->jobs && load->free_count > 0 && due_at_s(load) <= at_s && result == 0)
        result = send_job(load, load->sockets[load->sent % plan->clients], error);
    return result;
}

static int exchange(struct load *load, struct buf *error)
{
    const struct load_plan *plan = load->plan;
    bool is_paced = plan->rate_per_s > 0;
    load->paced_from_s = now_s();
    double heard_at_s = load->paced_from_s, patience_s = (plan->deadline_ms + GRACE_MS) / 1e3;
    int result = is_paced ? 0 : send_first(load, error);
    while (result == 0 && load->result.answered < plan->jobs) {
        if (is_paced)
            result = send_due(load, error);
        bool is_sending = is_paced && load->sent < plan->jobs && load->free_count > 0;
        int ready =
            zmq_poll(load->items, (int)plan->clients, is_sending ? 1 : (long)(patience_s * 1e3));
        if ((ready < 0 && zmq_errno() == EINTR) || result < 0)
            continue;
        if (ready > 0 || load->sent == load->result.answered)
            heard_at_s = now_s();
        else if (is_sending && now_s() - heard_at_s < patience_s)
            continue;
        if (ready < 0 || (ready == 0 && load->sent > load->result.answered)) {
            buf_printf(error, "no answer came; %llu jobs are without one",
                       (unsigned long long)(load->sent - load->result.answered));
            return BURSAR_E_DEADLINE_EXCEEDED;
        }
        for (size_t i = 0; i < plan->clients && result == 0; i++) {
            if (load->items[i].revents & ZMQ_POLLIN)
                result = take_answers(load, load->sockets[i], error);
        }
    }
    return result;
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int compare(const void *a, const void *b)
{
    float one = *(const float *)a, other = *(const float *)b;
    return (one > other) - (one < other);
}

static void sum_up(struct load *load, double begun_at_s, double cpu_before_s)
{
    struct load_result *result = &load->result;
    size_t count = (size_t)result->answered;
    double ended_at_s = now_s();
    result->cpu_s = cpu_s() - cpu_before_s;
    result->seconds = ended_at_s - begun_at_s;
    result->answers_s = ended_at_s - load->first_answer_at_s;
    result->ended_at_s = time_of(CLOCK_REALTIME);
    qsort(load->took_us, count, sizeof *load->took_us, compare);
    result->p50_us = (double)load->took_us[count / 2];
    result->p99_us = (double)load->took_us[count - 1 - count / 100];
    result->p999_us = (double)load->took_us[count - 1 - count / 1000];
    result->max_us = (double)load->took_us[count - 1];
}

static int make_room(struct load *load)
{
    const struct load_plan *plan = load->plan;
    load->sockets = calloc(plan->clients, sizeof *load->sockets);
    load->items = calloc(plan->clients, sizeof *load->items);
    load->sent_at_s = calloc(plan->outstanding, sizeof *load->sent_at_s);
    load->free_ids = calloc(plan->outstanding, sizeof *load->free_ids);
    load->took_us = calloc(plan->jobs, sizeof *load->took_us);
    if (!load->sockets || !load->items || !load->sent_at_s || !load->free_ids || !load->took_us)
        return BURSAR_E_NOMEM;
    for (size_t i = 0; i < plan->outstanding; i++)
        load->free_ids[i] = (uint32_t)i;
    load->free_count = load->slot_count = plan->outstanding;
    return 0;
}

static void fini(struct load *load)
{
    for (size_t i = 0; load->sockets && i < load->plan->clients; i++) {
        if (load->sockets[i])
            zmq_close(load->sockets[i]);
    }
    if (load->context)
        zmq_ctx_term(load->context);
    free(load->sockets);
    free(load->items);
    free(load->sent_at_s);
    free(load->free_ids);
    free(load->took_us);
    buf_free(&load->job);
}

/* One job of each client, so that no connection is made while it is measured. Not where all jobs are sent at once:
 * they are to find what is there. */
static int warm_up(struct load *load, struct buf *error)
{
    struct load_plan first = *load->plan;
    const struct load_plan *plan = load->plan;
    first.outstanding = first.jobs = plan->clients;
    first.rate_per_s = 0;
    load->plan = &first;
    int result = exchange(load, error);
    load->plan = plan;
    load->sent = 0;
    load->result = (struct load_result){0};
    return result;
}

int load_run(const struct load_plan *plan, struct load_result *out_result, struct buf *error)
{
    struct load load = {.plan = plan, .chance = 88172645463325252u};
    int result = make_room(&load);
    if (result == 0)
        result = make_job(&load);
    if (result == 0)
        result = open_sockets(&load, error);
    if (result == 0 && plan->op == OP_VEND && plan->jobs > plan->outstanding)
        result = warm_up(&load, error);
    double begun_at_s = now_s(), cpu_before_s = cpu_s();
    if (result == 0)
        result = exchange(&load, error);
    if (result == 0) {
        sum_up(&load, begun_at_s, cpu_before_s);
        *out_result = load.result;
    }
    fini(&load);
    return result;
}
