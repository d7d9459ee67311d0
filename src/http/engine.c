#include "http/engine.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include <bursar/error.h>
#include <bursar/version.h>

#include "base/clock.h"
#include "base/secret.h"
#include "http/address.h"
#include "http/open_header.h"

/* What is read at once: libcurl takes the memory for each transfer anew, and it is wiped each time. */
enum {
    READ_MAX = 4096,
    WAIT_MAX_MS = 60000,
    CONNECTIONS_MAX = 256,
    REPLY_FIRST = 4096,
    KEPT_MAX = 64,           /* handles without a request; 8 kB each */
    KEPT_MS = 30000,         /* for so long behind the last request */
    KEPT_VERSION = 0x075801, /* of libcurl: 7.88.1 */
    LINES_USUAL = 8,         /* header lines of a request */
    EXPECT_FROM = 1024       /* bytes of a body: no libcurl waits for a 100 (Continue) with fewer */
};

/* libcurl adds it by itself where a body is posted, and faster than a line that it is given. */
static const char form_line[] = "Content-Type: application/x-www-form-urlencoded";
static char agent_line[] = "User-Agent: bursar/" BURSAR_VERSION;
static char no_expect_line[] = "Expect:";

struct http_engine {
    struct http_options options;
    CURLM *multi;
    struct exchange *exchanges; /* under way */
    struct exchange *kept;      /* ended: of each its handle is kept, see may_keep() */
    size_t kept_count;
    int64_t ended_ms; /* boot time of the last end of a request */
    bool keeps;       /* handles may be kept at all */
};

struct exchange {
    struct http_engine *engine;
    struct exchange *next, **link;
    CURL *easy;
    CURLU *url;           /* what the handle has been given, taken apart; NULL: only as a text */
    struct text url_text; /* of `url`, own memory; the settings', no secret */
    long timeout_ms, connect_timeout_ms; /* that the handle has */
    struct curl_slist usual_lines[LINES_USUAL];
    struct curl_slist
        *lines; /* the request's header lines, where they stand in it; usual_lines, or own memory */
    struct http_request request;
    unsigned begun; /* how often libcurl was about to send it */
    struct http_reply reply;
    bool is_address_refused;
    bool has_closed_header; /* a header came that may have a secret in it */
    bool is_whole;          /* the reply is there */
    int64_t started_ms;     /* boot time */
    http_done_fn *done;
    void *context;
};

/* ---- memory: what libcurl frees may have held a token ------------------------------------------ */

static void *wiping_realloc(void *data, size_t len)
{
    void *moved = malloc(len);
    if (!moved || !data)
        return moved;
    size_t old_len = malloc_usable_size(data);
    memcpy(moved, data, old_len < len ? old_len : len);
    secret_wiping_free(data);
    return moved;
}

int http_global_open(void)
{
    CURLcode code = curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, secret_wiping_free,
                                         wiping_realloc, strdup, calloc);
    return code == CURLE_OK ? 0 : BURSAR_E_NOMEM;
}

void http_global_close(void)
{
    curl_global_cleanup();
}

/* ---- libcurl's callbacks ----------------------------------------------------------------------- */

/* The last moment before anything is sent, also where libcurl would send it again because a kept connection
 * turned out to be dead: the second time is refused. */
static int begin_once(void *context, char *remote_ip, char *local_ip, int remote_port,
                      int local_port)
{
    struct exchange *exchange = context;
    (void)remote_ip, (void)local_ip, (void)remote_port, (void)local_port;
    return ++exchange->begun == 1 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static size_t write_body(char *data, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    buf_append(&exchange->reply.body, data, size * count);
    return buf_error(&exchange->reply.body) == 0 ? size * count : 0;
}

static size_t write_header(char *data, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    struct buf *headers = &exchange->reply.headers;
    size_t len = size * count;
    if (len >= 5 && memcmp(data, "HTTP/", 5) == 0)
        buf_clear(headers); /* an interim reply stood before */
    while (len > 0 && (data[len - 1] == '\n' || data[len - 1] == '\r'))
        len--;
    if (len > 0 && !http_header_is_open((struct text){data, len}))
        exchange->has_closed_header = true;
    if (len > 0 && !memchr(data, 0, len)) {
        buf_append(headers, data, len);
        buf_append_byte(headers, 0);
    }
    return buf_error(headers) == 0 ? size * count : 0;
}

static bool is_allowed(const struct exchange *exchange, const struct sockaddr *address)
{
    const struct http_options *options = &exchange->engine->options;
    switch (address_class_of(address)) {
    case ADDRESS_PUBLIC:
        return strncasecmp((const char *)exchange->request.url.data, "https:", 6) == 0;
    case ADDRESS_LOOPBACK: return options->allow_http_loopback;
    case ADDRESS_PRIVATE: break;
    }
    return options->allow_private_addresses;
}

/* The last moment before a connection: the address is the one that the name resolved to. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct exchange *exchange = context;
    if (purpose != CURLSOCKTYPE_IPCXN || !is_allowed(exchange, &address->addr)) {
        exchange->is_address_refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- engines and their handles ------------------------------------------------------------------ */

struct http_engine *http_engine_new(const struct http_options *options)
{
    struct http_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return NULL;
    engine->options = *options;
    engine->keeps = curl_version_info(CURLVERSION_NOW)->version_num == KEPT_VERSION;
    engine->multi = curl_multi_init();
    if (!engine->multi) {
        free(engine);
        return NULL;
    }
    curl_multi_setopt(engine->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)CONNECTIONS_MAX);
    curl_multi_setopt(engine->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
    curl_multi_setopt(engine->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    return engine;
}

static void forget_url(struct exchange *exchange)
{
    curl_url_cleanup(exchange->url);
    free((void *)(uintptr_t)exchange->url_text.data);
    exchange->url = NULL;
    exchange->url_text = (struct text){NULL, 0};
}

/* What the handle borrows, and what its transfer was made of. */
static void forget_request(struct exchange *exchange)
{
    if (exchange->link) {
        curl_multi_remove_handle(exchange->engine->multi, exchange->easy);
        *exchange->link = exchange->next;
        if (exchange->next)
            exchange->next->link = exchange->link;
        exchange->link = NULL;
    }
    if (exchange->lines != exchange->usual_lines)
        free(exchange->lines);
    exchange->lines = NULL;
    http_request_free(&exchange->request);
    http_reply_free(&exchange->reply);
}

static void exchange_free(struct exchange *exchange)
{
    forget_request(exchange);
    curl_easy_cleanup(exchange->easy);
    forget_url(exchange);
    free(exchange);
}

/* Nothing of it stays in a handle but its URL and options that the next one sets, and the URL is no secret. */
static bool leaves_nothing(const struct http_request *request)
{
    return request->is_url_open && request->has_body && strcmp(request->method, "POST") == 0 &&
           request->tls_certificate.len == 0 && request->sigv4.len == 0;
}

/* A handle keeps its URL and the header lines of its last reply until its next request, in memory that nobody can
 * wipe; all else that a transfer had libcurl gives back when it ends, and body and headers of the request are
 * borrowed. So it is kept only where neither can have a secret in it. What a handle keeps is no part of
 * libcurl's contract: it was read in the source of one version, and with any other none is kept. */
static bool may_keep(const struct exchange *exchange)
{
    return exchange->engine->keeps && exchange->engine->kept_count < KEPT_MAX &&
           exchange->is_whole && !exchange->has_closed_header && leaves_nothing(&exchange->request);
}

static void exchange_end(struct exchange *exchange)
{
    struct http_engine *engine = exchange->engine;
    if (!may_keep(exchange)) {
        exchange_free(exchange);
        return;
    }
    forget_request(exchange);
    curl_easy_setopt(exchange->easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(exchange->easy, CURLOPT_POSTFIELDS, NULL);
    exchange->next = engine->kept;
    engine->kept = exchange;
    engine->kept_count++;
}

static void free_kept(struct http_engine *engine)
{
    for (struct exchange *kept = engine->kept, *next; kept; kept = next) {
        next = kept->next;
        exchange_free(kept);
    }
    engine->kept = NULL;
    engine->kept_count = 0;
}

void http_engine_free(struct http_engine *engine)
{
    if (!engine)
        return;
    while (engine->exchanges)
        exchange_free(engine->exchanges);
    free_kept(engine);
    curl_multi_cleanup(engine->multi);
    free(engine);
}

/* ---- a request's options --------------------------------------------------------------------------- */

/* libcurl signs every header of the list, also one that only takes its own away. The digest of a body is
 * told it: not all of its versions that are supported know it themselves. */
static void add_digest(struct http_request *request)
{
    char digest[65];
    if (!request->has_body)
        return;
    secret_sha256_hex(buf_text(&request->body), digest);
    buf_append_string(&request->headers, "X-Amz-Content-Sha256: ");
    buf_append_string(&request->headers, digest);
    buf_append_byte(&request->headers, 0);
}

static bool is_agent(const char *line)
{
    static const char name[] = "User-Agent:";
    return strncasecmp(line, name, sizeof name - 1) == 0;
}

static size_t count_lines(const struct buf *headers)
{
    size_t count = 0, at = 0;
    for (; at < headers->len; count++)
        at += strlen((const char *)headers->data + at) + 1;
    return count;
}

static void add_line(struct exchange *exchange, size_t *count, char *line)
{
    struct curl_slist *added = &exchange->lines[*count];
    *added = (struct curl_slist){.data = line};
    if (*count > 0)
        added[-1].next = added;
    ++*count;
}

/* libcurl borrows the list: its lines stay where they are, in locked memory. */
static bool list_lines(struct exchange *exchange)
{
    struct http_request *request = &exchange->request;
    bool is_signed = request->sigv4.len > 0, has_agent = is_signed;
    bool adds_type = request->has_body && !is_signed && strcmp(request->method, "POST") == 0;
    size_t count = 0;
    if (is_signed)
        add_digest(request);
    size_t most = count_lines(&request->headers) + 2;
    exchange->lines =
        most <= LINES_USUAL ? exchange->usual_lines : calloc(most, sizeof *exchange->lines);
    if (!exchange->lines || buf_error(&request->headers) != 0)
        return false;
    char *line = (char *)request->headers.data, *end = line ? line + request->headers.len : NULL;
    for (; line && line < end; line += strlen(line) + 1) {
        has_agent = has_agent || is_agent(line);
        if (!adds_type || strcmp(line, form_line) != 0)
            add_line(exchange, &count, line);
    }
    if (!has_agent)
        add_line(exchange, &count, agent_line);
    if (!is_signed && request->body.len >= EXPECT_FROM)
        add_line(exchange, &count, no_expect_line);
    curl_easy_setopt(exchange->easy, CURLOPT_HTTPHEADER, count > 0 ? exchange->lines : NULL);
    return true;
}

/* One that the next request has, too, is taken apart once; where that fails libcurl does it, and says why. */
static void set_url(struct exchange *exchange)
{
    const struct http_request *request = &exchange->request;
    struct text text = buf_text(&request->url);
    if (exchange->url && text_equal(exchange->url_text, text))
        return;
    curl_easy_setopt(exchange->easy, CURLOPT_CURLU, NULL);
    curl_easy_setopt(exchange->easy, CURLOPT_URL, text.data);
    forget_url(exchange);
    if (!exchange->engine->keeps || !request->is_url_open)
        return;
    char *copy = strdup(text.data);
    CURLU *url = copy ? curl_url() : NULL;
    if (!url || curl_url_set(url, CURLUPART_URL, copy, 0) != CURLUE_OK) {
        curl_url_cleanup(url);
        free(copy);
        return;
    }
    exchange->url = url;
    exchange->url_text = (struct text){copy, text.len};
    curl_easy_setopt(exchange->easy, CURLOPT_CURLU, url);
}

static void set_timeouts(struct exchange *exchange)
{
    const struct http_request *request = &exchange->request;
    if (exchange->timeout_ms != request->timeout_ms)
        curl_easy_setopt(exchange->easy, CURLOPT_TIMEOUT_MS, request->timeout_ms);
    if (exchange->connect_timeout_ms != request->connect_timeout_ms)
        curl_easy_setopt(exchange->easy, CURLOPT_CONNECTTIMEOUT_MS, request->connect_timeout_ms);
    exchange->timeout_ms = request->timeout_ms;
    exchange->connect_timeout_ms = request->connect_timeout_ms;
}

/* Also of a handle that was kept: what it still has is not set again. */
static bool set_request(struct exchange *exchange)
{
    CURL *easy = exchange->easy;
    const struct http_request *request = &exchange->request;
    if (!list_lines(exchange))
        return false;
    set_url(exchange);
    if (request->has_body) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, buf_text(&request->body).data); /* borrowed */
    } else {
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    }
    if (strcmp(request->method, "HEAD") == 0)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L); /* the reply has a length and no body */
    if (strcmp(request->method, request->has_body ? "POST" : "GET") != 0)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    if (request->tls_certificate.len > 0) {
        curl_easy_setopt(easy, CURLOPT_SSLCERT, (const char *)request->tls_certificate.data);
        curl_easy_setopt(easy, CURLOPT_SSLKEY, (const char *)request->tls_key.data);
    }
    if (request->sigv4.len > 0) {
        curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, (const char *)request->sigv4.data);
        curl_easy_setopt(easy, CURLOPT_USERPWD, (const char *)request->sigv4_user.data);
        curl_easy_setopt(easy, CURLOPT_USERAGENT, agent_line + sizeof "User-Agent: " - 1);
    }
    set_timeouts(exchange);
    return true;
}

/* ---- starting ---------------------------------------------------------------------------------- */

static void set_rules(struct exchange *exchange)
{
    CURL *easy = exchange->easy;
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR,
                     exchange->engine->options.allow_http_loopback ? "https,http" : "https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    /* Debian's default CApath keeps libcurl from caching the CA store: 35 times slower. */
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    if (exchange->engine->options.ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, exchange->engine->options.ca_file);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)READ_MAX);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, begin_once);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, write_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, write_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
}

/* Room for a usual reply is taken before anything is sent: what comes back must have a place. */
static bool take_room(struct exchange *exchange)
{
    exchange->reply.body = buf_make_secret(HTTP_BODY_MAX);
    exchange->reply.headers = buf_make_secret(HTTP_HEADERS_MAX);
    return buf_make_room(&exchange->reply.body, REPLY_FIRST - 1) &&
           buf_make_room(&exchange->reply.headers, REPLY_FIRST - 1);
}

/* One that was kept for a request that its handle may be used for, or a new one. */
static struct exchange *exchange_of(struct http_engine *engine, const struct http_request *request)
{
    struct exchange *exchange = engine->kept;
    if (!exchange || !leaves_nothing(request))
        return calloc(1, sizeof *exchange);
    engine->kept = exchange->next;
    engine->kept_count--;
    *exchange = (struct exchange){.easy = exchange->easy,
                                  .url = exchange->url,
                                  .url_text = exchange->url_text,
                                  .timeout_ms = exchange->timeout_ms,
                                  .connect_timeout_ms = exchange->connect_timeout_ms};
    return exchange;
}

int http_start(struct http_engine *engine, struct http_request *request, http_done_fn *done,
               void *context)
{
    struct exchange *exchange = exchange_of(engine, request);
    if (!exchange) {
        http_request_free(request);
        return BURSAR_E_NOMEM;
    }
    exchange->engine = engine;
    exchange->request = *request;
    exchange->done = done;
    exchange->context = context;
    exchange->started_ms = clock_boot_ms();
    buf_append(&exchange->request.url, "", 0);
    bool is_ok = buf_error(&exchange->request.url) == 0 &&
                 buf_error(&exchange->request.headers) == 0 &&
                 buf_error(&exchange->request.body) == 0;
    is_ok = is_ok && take_room(exchange);
    if (is_ok && !exchange->easy) {
        exchange->easy = curl_easy_init();
        if (exchange->easy)
            set_rules(exchange);
    }
    is_ok = is_ok && exchange->easy && set_request(exchange);
    if (!is_ok || curl_multi_add_handle(engine->multi, exchange->easy) != CURLM_OK) {
        exchange_free(exchange);
        return BURSAR_E_NOMEM;
    }
    exchange->next = engine->exchanges;
    exchange->link = &engine->exchanges;
    if (exchange->next)
        exchange->next->link = &exchange->next;
    engine->exchanges = exchange;
    return 0;
}

/* ---- ending ------------------------------------------------------------------------------------ */

/* Whether anything of the request may have reached the provider. */
static bool was_sent(const struct exchange *exchange)
{
    long request_size = 0;
    curl_easy_getinfo(exchange->easy, CURLINFO_REQUEST_SIZE, &request_size);
    return request_size > 0 || exchange->begun > 1;
}

/* libcurl's own words, without the URL or anything that a peer chose. */
static void conclude(struct exchange *exchange, CURLcode code)
{
    struct http_reply *reply = &exchange->reply;
    long status = 0;
    curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
    reply->took_ms = clock_boot_ms() - exchange->started_ms;
    if (code == CURLE_OK) {
        exchange->is_whole = true;
        reply->end = EXCHANGE_REPLY;
        reply->status = (int)status;
        return;
    }
    reply->end = was_sent(exchange) ? EXCHANGE_LOST : EXCHANGE_UNSENT;
    const char *why = exchange->is_address_refused ? "the address is not allowed"
                      : exchange->begun > 1        ? "the connection ended before a reply"
                      : buf_error(&reply->body) == BURSAR_E_TOO_BIG
                          ? "the reply is larger than allowed"
                          : curl_easy_strerror(code);
    snprintf(reply->error, sizeof reply->error, "%s", why);
}

static void end_exchange(struct exchange *exchange, CURLcode code)
{
    conclude(exchange, code);
    struct http_reply reply = exchange->reply;
    exchange->reply = (struct http_reply){0};
    http_done_fn *done = exchange->done;
    void *context = exchange->context;
    exchange->engine->ended_ms = clock_boot_ms();
    exchange_end(exchange);
    done(context, &reply);
}

/* Ends what libcurl is done with; false where that is nothing. */
static bool end_all(struct http_engine *engine)
{
    bool has_ended = false;
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(engine->multi, &left))) {
        char *private_data = NULL;
        CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private_data);
        end_exchange((struct exchange *)(void *)private_data, code);
        has_ended = true;
    }
    return has_ended;
}

void http_run(struct http_engine *engine, int timeout_ms, int wake_fd)
{
    struct curl_waitfd wake = {.fd = wake_fd, .events = CURL_WAIT_POLLIN};
    int running;
    if (timeout_ms < 0 || timeout_ms > WAIT_MAX_MS)
        timeout_ms = WAIT_MAX_MS;
    curl_multi_perform(engine->multi, &running);
    /* What is done already has no socket left to be woken by. */
    if (end_all(engine))
        return;
    int ready = 0;
    curl_multi_poll(engine->multi, &wake, 1, timeout_ms, &ready);
    if (!engine->exchanges && engine->kept && clock_boot_ms() - engine->ended_ms >= KEPT_MS)
        free_kept(engine);
    curl_multi_perform(engine->multi, &running);
    end_all(engine);
}
