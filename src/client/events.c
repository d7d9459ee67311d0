#include <bursar/client.h>

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <zmq.h>

#include "base/clock.h"
#include "client/call.h"
#include "client/event.h"
#include "client/failure.h"
#include "client/replay.h"
#include "client/sequence.h"
#include "client/topics.h"

enum {
    SILENCE_MS =
        3 * BURSAR_ALIVE_EVERY_MS + 5000, /* then the daemon is asked whether it is there */
    MAX_TOPICS = 1000,
    MAX_TOPIC_BYTES = 4096,
};

static const char alive_topic[] = "alive/";

struct bursar_events {
    struct bursar_client *client; /* for the log, and the owner of the context */
    struct link link;
    char **topics; /* NULL-ended; NULL: everything */
    struct sequence sequence;
    char *owner; /* all topics are of this one; NULL: of more, or of nobody's alone */
    struct replay replay;
    uint32_t times_ready; /* of the link, when it was looked at last */
    int64_t heard_at_ms;  /* boot time */
    struct event_copy current;
    struct tree *tree;
    int epoll_fd;
};

/* ---- opening and closing -------------------------------------------------------------------- */

static void free_topics(char **topics)
{
    for (size_t i = 0; topics && topics[i]; i++)
        free(topics[i]);
    free(topics);
}

void bursar_events_close(struct bursar_events *events)
{
    if (!events)
        return;
    if (events->epoll_fd >= 0)
        close(events->epoll_fd);
    replay_end(&events->replay);
    event_copy_free(&events->current);
    tree_free(events->tree);
    link_close(&events->link);
    bursar_client_close(events->client);
    free_topics(events->topics);
    free(events->owner);
    free(events);
}

static int copy_topics(const char *const *topics, char ***out_topics)
{
    size_t count = 0;
    while (topics && topics[count])
        count++;
    if (count == 0)
        return 0;
    if (count > MAX_TOPICS)
        return BURSAR_E_BAD_REQUEST;
    char **copies = calloc(count + 1, sizeof(*copies));
    *out_topics = copies;
    for (size_t i = 0; copies && i < count; i++) {
        copies[i] = strdup(topics[i]);
        if (!copies[i])
            return BURSAR_E_NOMEM;
    }
    return copies ? 0 : BURSAR_E_NOMEM;
}

static int subscribe(struct bursar_events *events)
{
    void *socket = events->link.socket;
    bool is_ok = zmq_setsockopt(socket, ZMQ_SUBSCRIBE, alive_topic, strlen(alive_topic)) == 0;
    if (is_ok && !events->topics)
        is_ok = zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0) == 0;
    for (char **topic = events->topics; is_ok && topic && *topic; topic++)
        is_ok = zmq_setsockopt(socket, ZMQ_SUBSCRIBE, *topic, strlen(*topic)) == 0;
    return is_ok ? 0 : BURSAR_E_NOMEM;
}

static bool watch(int epoll_fd, void *socket)
{
    int fd = -1;
    size_t len = sizeof fd;
    struct epoll_event event = {.events = EPOLLIN};
    return zmq_getsockopt(socket, ZMQ_FD, &fd, &len) == 0 &&
           epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static int open_fd(struct bursar_events *events)
{
    events->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    bool is_ok = events->epoll_fd >= 0 && watch(events->epoll_fd, events->link.socket) &&
                 watch(events->epoll_fd, events->link.monitor);
    return is_ok ? 0 : BURSAR_E_IO;
}

static int connect_to(struct bursar_events *events, const char *endpoint)
{
    struct pool *pool = &events->client->pool;
    int error =
        link_open(events->client->context, ZMQ_SUB, endpoint, events->client->curve, &events->link);
    if (error == 0)
        error = subscribe(events);
    if (error == 0)
        error = open_fd(events);
    if (error == 0)
        error = link_await(&events->link, clock_boot_ms() + pool->connect_timeout_ms);
    events->times_ready = events->link.times_ready;
    events->heard_at_ms = clock_boot_ms();
    return error;
}

int bursar_events_open(const struct bursar_client_options *options, const char *const *topics,
                       bool has_since, uint64_t since, struct bursar_events **out_events,
                       struct bursar_failure *out_failure)
{
    const char *endpoint =
        options && options->events_endpoint ? options->events_endpoint : BURSAR_EVENTS_ENDPOINT;
    struct bursar_events *events = calloc(1, sizeof *events);
    if (!events)
        return failure_plain(out_failure, BURSAR_E_NOMEM);
    events->epoll_fd = -1;
    events->tree = tree_new();
    int error = events->tree ? copy_topics(topics, &events->topics) : BURSAR_E_NOMEM;
    if (error == 0)
        error = topics_owner(topics, &events->owner);
    events->replay.owner = events->owner;
    if (error == 0)
        error = bursar_client_open(options, &events->client);
    if (error == 0)
        error = connect_to(events, endpoint);
    if (error != 0) {
        bool has_keys = events->link.has_keys;
        bursar_events_close(events);
        return failure_of_link(out_failure, error, has_keys);
    }
    if (has_since) {
        sequence_looked(&events->sequence, since);
        replay_begin(&events->replay, REPLAY_TO_THE_END);
    }
    *out_events = events;
    return BURSAR_OK;
}

int bursar_events_fd(const struct bursar_events *events)
{
    return events->epoll_fd;
}

/* ---- what comes in -------------------------------------------------------------------------- */

/* Receives a message's two frames; false where none is waiting or it is not of two frames. */
static bool receive(struct bursar_events *events, zmq_msg_t *out_body)
{
    zmq_msg_t frame;
    int count = 0;
    bool has_more = true;
    zmq_msg_init(out_body);
    while (has_more) {
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, events->link.socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&frame);
            return false;
        }
        has_more = zmq_msg_more(&frame);
        if (++count == 2)
            zmq_msg_move(out_body, &frame);
        zmq_msg_close(&frame);
    }
    return count == 2;
}

static int fail_plainly(struct bursar_failure *out_failure, int error)
{
    return failure_plain(out_failure, error);
}

/* Gives the event out. */
static int give(struct bursar_events *events, const struct node *body,
                struct bursar_event *out_event, struct bursar_failure *out_failure)
{
    event_copy_free(&events->current);
    if (!event_copy_read(body, &events->current))
        return fail_plainly(out_failure, BURSAR_E_BAD_REPLY);
    *out_event = events->current.event;
    return BURSAR_OK;
}

/* Decides on what came; *out_is_given where it was given out. */
static int take_body(struct bursar_events *events, const struct node *body,
                     struct bursar_event *out_event, bool *out_is_given,
                     struct bursar_failure *out_failure)
{
    uint64_t seq = node_uint(node_get(body, "seq"));
    bool is_alive = text_is(node_text(node_get(body, "type")), "alive");
    enum sequence_step step =
        is_alive ? sequence_alive(&events->sequence, seq) : sequence_live(&events->sequence, seq);
    if (step == SEQUENCE_GAP)
        replay_begin(&events->replay, seq); /* brings this one too: what is sent is in the log */
    *out_is_given = step == SEQUENCE_NEW;
    return *out_is_given ? give(events, body, out_event, out_failure) : 0;
}

static int take_message(struct bursar_events *events, struct bursar_event *out_event,
                        bool *out_is_given, struct bursar_failure *out_failure)
{
    zmq_msg_t message;
    int error = 0;
    *out_is_given = false;
    if (receive(events, &message)) {
        struct text body = {zmq_msg_data(&message), zmq_msg_size(&message)};
        events->heard_at_ms = clock_boot_ms();
        error = tree_fill(events->tree, body);
        if (error == 0 && node_type(tree_root(events->tree)) == NODE_MAP)
            error =
                take_body(events, tree_root(events->tree), out_event, out_is_given, out_failure);
        else
            error = fail_plainly(out_failure, error == BURSAR_E_NOMEM ? error : BURSAR_E_BAD_REPLY);
    }
    zmq_msg_close(&message);
    return error;
}

static bool is_wanted(const struct bursar_events *events, const struct node *body)
{
    struct buf topic = buf_make(MAX_TOPIC_BYTES);
    event_append_topic(body, &topic);
    bool is_wanted_one = buf_error(&topic) == 0 &&
                         sequence_is_wanted((const char *const *)events->topics, buf_text(&topic));
    buf_free(&topic);
    return is_wanted_one;
}

/* ---- the next one --------------------------------------------------------------------------- */

/* Gives events of the log until the replay has ended. */
static int take_replayed(struct bursar_events *events, struct bursar_event *out_event,
                         bool *out_is_given, struct bursar_failure *out_failure)
{
    *out_is_given = false;
    while (events->replay.is_on && clock_boot_ms() >= events->replay.not_before_ms) {
        const struct node *body = NULL;
        int error =
            replay_next(&events->replay, events->client, &events->sequence, &body, out_failure);
        if (error != 0)
            return error;
        events->heard_at_ms = clock_boot_ms();
        if (!body || !is_wanted(events, body))
            continue;
        *out_is_given = true;
        return give(events, body, out_event, out_failure);
    }
    return 0;
}

/* A new connection and a long silence are reasons to look into the log. */
static void look_after(struct bursar_events *events)
{
    bool is_silent = clock_boot_ms() - events->heard_at_ms >= SILENCE_MS;
    if (events->times_ready == events->link.times_ready && !is_silent)
        return;
    events->times_ready = events->link.times_ready;
    events->heard_at_ms = clock_boot_ms();
    if (events->sequence.has_looked)
        replay_begin(&events->replay, REPLAY_TO_THE_END);
}

static int64_t earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What is missed comes before what is live. *out_is_idle: nothing waits to be read now. */
static int step(struct bursar_events *events, int64_t until_ms, struct bursar_event *out_event,
                bool *out_is_given, bool *out_is_idle, struct bursar_failure *out_failure)
{
    *out_is_idle = false;
    int error = take_replayed(events, out_event, out_is_given, out_failure);
    if (error != 0 || *out_is_given)
        return error;
    int64_t wake_at_ms = earliest(until_ms, events->heard_at_ms + SILENCE_MS);
    bool has_message = false;
    if (events->replay.is_on) /* the log could not be asked just now */
        link_poll_state(&events->link, earliest(wake_at_ms, events->replay.not_before_ms));
    else
        has_message = link_poll(&events->link, wake_at_ms);
    look_after(events);
    error = link_error(&events->link);
    if (error != 0 && error != BURSAR_E_NO_DAEMON) /* that one passes */
        return failure_of_link(out_failure, error, events->link.has_keys);
    *out_is_idle = !has_message;
    if (!has_message || events->replay.is_on)
        return 0;
    return take_message(events, out_event, out_is_given, out_failure);
}

int bursar_events_next(struct bursar_events *events, int timeout_ms, struct bursar_event *out_event,
                       struct bursar_failure *out_failure)
{
    int64_t until_ms = timeout_ms < 0 ? INT64_MAX : clock_boot_ms() + timeout_ms;
    for (;;) {
        bool is_given = false;
        bool is_idle = false;
        bool is_last = clock_boot_ms() >= until_ms;
        int error = step(events, until_ms, out_event, &is_given, &is_idle, out_failure);
        if (error != 0 || is_given)
            return error;
        bool is_log_due = events->replay.is_on && clock_boot_ms() >= events->replay.not_before_ms;
        if (is_last && is_idle && !is_log_due)
            return fail_plainly(out_failure, BURSAR_E_DEADLINE_EXCEEDED);
    }
}
