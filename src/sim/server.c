#include "sim/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <microhttpd.h>

#include "base/clock.h"

enum { URL_MAX = 65536, HEADERS_MAX = 65536, BODY_MAX = 1 << 20, CONNECTIONS_MAX = 1000 };

struct visit {
    struct sim_server *server;
    struct visit *next; /* of those that wait */
    struct MHD_Connection *connection;
    struct buf url, headers, body; /* secret */
    struct sim_reply reply;
    bool is_begun, is_answered, is_dropped;
    int64_t due_ms; /* boot time; INT64_MAX: never */
};

struct sim_server {
    struct MHD_Daemon *daemon;
    sim_server_answer_fn *answer;
    void *context;
    struct visit *waiting;
    uint16_t port;
};

/* ---- a request ---------------------------------------------------------------------------------- */

/* The first that is heard of a request: its URL, not yet decoded. */
static void *begin_visit(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct visit *visit = calloc(1, sizeof *visit);
    if (!visit)
        return NULL;
    visit->server = context;
    visit->connection = connection;
    visit->url = buf_make_secret(URL_MAX);
    visit->headers = buf_make_secret(HEADERS_MAX);
    visit->body = buf_make_secret(BODY_MAX);
    buf_append_string(&visit->url, uri);
    return visit;
}

static void forget_waiting(struct visit *visit)
{
    struct visit **link = &visit->server->waiting;
    while (*link && *link != visit)
        link = &(*link)->next;
    if (*link)
        *link = visit->next;
}

static void end_visit(void *context, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode code)
{
    struct visit *visit = *state;
    (void)context;
    (void)connection;
    (void)code;
    if (!visit)
        return;
    forget_waiting(visit);
    buf_free(&visit->url);
    buf_free(&visit->headers);
    buf_free(&visit->body);
    sim_reply_free(&visit->reply);
    free(visit);
    *state = NULL;
}

static enum MHD_Result add_header(void *context, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    struct visit *visit = context;
    (void)kind;
    buf_append_string(&visit->headers, name);
    buf_append_string(&visit->headers, ": ");
    buf_append_string(&visit->headers, value ? value : "");
    buf_append_byte(&visit->headers, 0);
    return MHD_YES;
}

static void answer(struct visit *visit, const char *method)
{
    struct sim_server *server = visit->server;
    MHD_get_connection_values(visit->connection, MHD_HEADER_KIND, add_header, visit);
    const struct sim_request request = {.method = method,
                                        .url = buf_text(&visit->url),
                                        .headers = buf_text(&visit->headers),
                                        .body = buf_text(&visit->body)};
    visit->reply = server->answer(server->context, &request);
    visit->is_answered = true;
}

/* ---- a reply ------------------------------------------------------------------------------------ */

/* The first half of a body, and then the end of the connection. */
static ssize_t read_half(void *context, uint64_t at, char *to, size_t max)
{
    const struct visit *visit = context;
    size_t half = visit->reply.body.len / 2;
    if (at >= half)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t len = half - (size_t)at < max ? half - (size_t)at : max;
    memcpy(to, visit->reply.body.data + at, len);
    return (ssize_t)len;
}

static struct MHD_Response *response_of(struct visit *visit)
{
    struct sim_reply *reply = &visit->reply;
    if (reply->end == SIM_END_CUT)
        return MHD_create_response_from_callback(reply->body.len, 4096, read_half, visit, NULL);
    return MHD_create_response_from_buffer(reply->body.len, reply->body.data,
                                           MHD_RESPMEM_MUST_COPY);
}

static void add_headers(struct MHD_Response *response, const struct sim_reply *reply)
{
    const char *line = (const char *)reply->headers.data;
    const char *end = line ? line + reply->headers.len : NULL;
    for (; line && line < end; line += strlen(line) + 1) {
        const char *colon = strstr(line, ": ");
        char *name = colon ? strndup(line, (size_t)(colon - line)) : NULL;
        if (name)
            MHD_add_response_header(response, name, colon + 2);
        free(name);
    }
}

static enum MHD_Result send_reply(struct visit *visit)
{
    struct sim_reply *reply = &visit->reply;
    if (visit->is_dropped || reply->end == SIM_END_NONE || reply->status == 0)
        return MHD_NO; /* ends the connection */
    struct MHD_Response *response = response_of(visit);
    if (!response)
        return MHD_NO;
    add_headers(response, reply);
    enum MHD_Result result =
        MHD_queue_response(visit->connection, (unsigned)reply->status, response);
    MHD_destroy_response(response);
    return result;
}

/* Puts the reply off. */
static enum MHD_Result wait_until(struct visit *visit, int64_t due_ms)
{
    visit->due_ms = due_ms;
    visit->next = visit->server->waiting;
    visit->server->waiting = visit;
    MHD_suspend_connection(visit->connection);
    return MHD_YES;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_len, void **state)
{
    struct visit *visit = *state;
    (void)context;
    (void)connection;
    (void)url;
    (void)version;
    if (!visit)
        return MHD_NO;
    if (!visit->is_begun) { /* the headers are there, the body is to come */
        visit->is_begun = true;
        return MHD_YES;
    }
    if (*upload_len > 0) {
        buf_append(&visit->body, upload, *upload_len);
        *upload_len = 0;
        return buf_error(&visit->body) == 0 ? MHD_YES : MHD_NO;
    }
    if (visit->is_answered)
        return send_reply(visit);
    answer(visit, method);
    if (visit->reply.end == SIM_END_NEVER)
        return wait_until(visit, INT64_MAX);
    if (visit->reply.delay_ms > 0)
        return wait_until(visit, clock_boot_ms() + visit->reply.delay_ms);
    return send_reply(visit);
}

/* ---- the server --------------------------------------------------------------------------------- */

struct sim_server *sim_server_open(uint16_t port, sim_server_answer_fn *answer_fn, void *context,
                                   struct buf *error)
{
    struct sim_server *server = calloc(1, sizeof *server);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (!server)
        return NULL;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->answer = answer_fn;
    server->context = context;
    errno = 0;
    server->daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, port, NULL, NULL, handle, server,
                         MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_URI_LOG_CALLBACK, begin_visit,
                         server, MHD_OPTION_NOTIFY_COMPLETED, end_visit, server,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        server->daemon ? MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    if (!info) {
        buf_printf(error, "cannot listen on 127.0.0.1:%u: %s", port,
                   errno != 0 ? strerror(errno) : "libmicrohttpd refuses");
        sim_server_close(server);
        return NULL;
    }
    server->port = info->port;
    return server;
}

static void resume_due(struct sim_server *server, int64_t now_ms, bool is_dropped)
{
    struct visit *next = NULL;
    for (struct visit *visit = server->waiting; visit; visit = next) {
        next = visit->next;
        if (visit->due_ms > now_ms)
            continue;
        forget_waiting(visit);
        visit->is_dropped = is_dropped;
        MHD_resume_connection(visit->connection);
    }
}

void sim_server_hang_up(struct sim_server *server)
{
    resume_due(server, INT64_MAX, true);
    MHD_run(server->daemon);
}

void sim_server_close(struct sim_server *server)
{
    if (!server)
        return;
    if (server->daemon) {
        sim_server_hang_up(server);
        MHD_stop_daemon(server->daemon);
    }
    free(server);
}

uint16_t sim_server_port(const struct sim_server *server)
{
    return server->port;
}

int sim_server_fd(const struct sim_server *server)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    return info ? info->epoll_fd : -1;
}

int sim_server_wait_ms(const struct sim_server *server)
{
    MHD_UNSIGNED_LONG_LONG own_ms;
    int64_t wait_ms = -1, now_ms = clock_boot_ms();
    if (MHD_get_timeout(server->daemon, &own_ms) == MHD_YES)
        wait_ms = own_ms > INT_MAX ? INT_MAX : (int64_t)own_ms;
    for (const struct visit *visit = server->waiting; visit; visit = visit->next) {
        int64_t left_ms = visit->due_ms - now_ms;
        if (visit->due_ms != INT64_MAX && (wait_ms < 0 || left_ms < wait_ms))
            wait_ms = left_ms > 0 ? left_ms : 0;
    }
    return (int)wait_ms;
}

void sim_server_run(struct sim_server *server)
{
    resume_due(server, clock_boot_ms(), false);
    MHD_run(server->daemon);
}
