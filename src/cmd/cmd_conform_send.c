#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "cmd/cmd_conform.h"
#include "http/request.h"

enum { URL_MAX = 32768, HOST_MAX = 512, ERROR_MAX = 512, PATIENCE_MS = 20000 };

/* ---- sending ------------------------------------------------------------------------------------ */

struct waiting {
    struct http_reply *reply;
    bool is_done;
};

static void take_reply(void *context, struct http_reply *reply)
{
    struct waiting *waiting = context;
    *waiting->reply = *reply;
    waiting->is_done = true;
}

/* The same place of the simulator's: the host stands in the Host header, as the provider would see
 * it. */
static void turn(const struct conforming *self, struct call_request *request)
{
    struct buf url = buf_make_secret(URL_MAX);
    const char *from = (const char *)request->url.data;
    const char *host = strstr(from, "://");
    host = host ? host + 3 : from;
    size_t host_len = strcspn(host, "/?");
    buf_append_string(&request->headers, "Host: ");
    buf_append(&request->headers, host, host_len);
    buf_append_byte(&request->headers, 0);
    buf_printf(&url, "http://127.0.0.1:%u%s", sim_server_port(self->server),
               host[host_len] == '/' ? "" : "/");
    buf_append_string(&url, host + host_len);
    buf_free(&request->url);
    request->url = url;
}

static int send_request(void *context, struct call_request *made, long timeout_ms,
                        struct http_reply *out_reply)
{
    struct conforming *self = context;
    struct waiting waiting = {.reply = out_reply};
    int64_t give_up_ms = clock_boot_ms() + PATIENCE_MS;
    turn(self, made);
    struct http_request request = http_request_of(made, self->conform->connector, timeout_ms);
    int result = http_start(self->engine, &request, take_reply, &waiting);
    while (result == 0 && !waiting.is_done && clock_boot_ms() < give_up_ms) {
        int wait_ms = sim_server_wait_ms(self->server);
        http_run(self->engine, wait_ms < 0 || wait_ms > 100 ? 100 : wait_ms,
                 sim_server_fd(self->server));
        sim_server_run(self->server);
    }
    sim_server_hang_up(self->server);
    return waiting.is_done ? 0 : BURSAR_E_NOMEM;
}

static struct sim_reply answer(void *context, const struct sim_request *request)
{
    struct conforming *self = context;
    return sim_answer(&self->sim, request, self->conform->provider_now);
}

/* ---- a run -------------------------------------------------------------------------------------- */

static int begin(struct conforming *self, struct conform *conform, const struct connector *truth)
{
    int result = sim_init(&self->sim, truth);
    conform->sim = &self->sim;
    conform->send = send_request;
    conform->send_context = self;
    conform->now = clock_wall_s();
    conform->provider_now = conform->now;
    self->conform = conform;
    return result;
}

int conforming_run(struct conforming *self, struct conform *conform, const struct connector *truth)
{
    int result = begin(self, conform, truth);
    if (result == 0)
        result = conform_run(conform);
    sim_fini(&self->sim);
    return result;
}

int conforming_quirk(struct conforming *self, struct conform *conform,
                     const struct connector *truth, const char *name)
{
    int result = begin(self, conform, truth);
    if (result == 0)
        result = conform_quirk(conform, name);
    sim_fini(&self->sim);
    return result;
}

int conforming_open(struct conforming *self)
{
    const struct http_options options = {.allow_http_loopback = true};
    struct buf error = buf_make(ERROR_MAX);
    int result = http_global_open();
    self->registry = registry_new();
    self->engine = result == 0 ? http_engine_new(&options) : NULL;
    self->server = sim_server_open(0, answer, self, &error);
    if (self->registry)
        registry_freeze(self->registry);
    if (!self->registry || !self->engine || !self->server) {
        fprintf(stderr, "bursar conform: %s\n",
                error.len > 0 ? (const char *)error.data : "no memory");
        result = BURSAR_E_NOMEM;
    }
    buf_free(&error);
    return result;
}

void conforming_close(struct conforming *self)
{
    http_engine_free(self->engine);
    sim_server_close(self->server);
    registry_free(self->registry);
    http_global_close();
}
