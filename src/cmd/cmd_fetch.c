#include "cmd/cmd_fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 20000, CONNECT_TIMEOUT_MS = 10000, TURN_MS = 1000, TEXT_MAX = 65536 };

struct cmd_fetch {
    struct http_engine *engine;
    struct http_reply reply;
    bool is_done;
};

struct cmd_fetch *cmd_fetch_open(const struct http_options *options)
{
    struct cmd_fetch *self = http_global_open() == 0 ? calloc(1, sizeof *self) : NULL;
    if (self)
        self->engine = http_engine_new(options);
    if (self && self->engine)
        return self;
    cmd_fetch_close(self);
    return NULL;
}

void cmd_fetch_close(struct cmd_fetch *self)
{
    if (self)
        http_engine_free(self->engine);
    free(self);
    http_global_close();
}

static void done(void *context, struct http_reply *reply)
{
    struct cmd_fetch *self = context;
    self->reply = *reply;
    *reply = (struct http_reply){.status = 0};
    self->is_done = true;
}

static void add_header(struct http_request *request, const char *header)
{
    buf_append(&request->headers, header, strlen(header) + 1);
}

void cmd_fetch(struct cmd_fetch *self, struct text url, struct text json,
               struct http_reply *out_reply)
{
    struct http_request request = {.url = buf_make_secret(TEXT_MAX),
                                   .headers = buf_make_secret(TEXT_MAX),
                                   .body = buf_make_secret(TEXT_MAX),
                                   .has_body = json.data != NULL,
                                   .timeout_ms = TIMEOUT_MS,
                                   .connect_timeout_ms = CONNECT_TIMEOUT_MS};
    snprintf(request.method, sizeof request.method, "%s", json.data ? "POST" : "GET");
    buf_append_text(&request.url, url);
    buf_append_text(&request.body, json);
    add_header(&request, "Accept: application/json");
    if (json.data)
        add_header(&request, "Content-Type: application/json");
    *out_reply = (struct http_reply){.end = EXCHANGE_UNSENT, .error = "out of memory"};
    self->is_done = false;
    if (http_start(self->engine, &request, done, self) < 0)
        return;
    while (!self->is_done)
        http_run(self->engine, TURN_MS, -1);
    *out_reply = self->reply;
}
