/* What library.t makes the library do, beyond the examples of the manual. Built with the public
 * headers alone. It prints one line for each step, and never a secret.
 *
 *     driver many OWNER PROVIDER COUNT           vends of the accounts many-0, many-1, …
 *     driver herd OWNER PROVIDER ACCOUNT COUNT   as many vends of one account
 *     driver cancel OWNER PROVIDER ACCOUNT COUNT as herd; cancels the second half on a line of input
 *     driver threads URL OWNER PROVIDER ACCOUNT COUNT STATUS…   a request in each of COUNT threads
 *     driver budget URL OWNER PROVIDER ACCOUNT COUNT   a request, at most COUNT times while it is 503
 *     driver give-up URL OWNER PROVIDER ACCOUNT   a request whose caller gives up at its refusal */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include <bursar/client.h>

enum { MAX_COUNT = 4096, MAX_STATUSES = 8 };

static struct bursar_client_options options_of_environment(void)
{
    return (struct bursar_client_options){.jobs_endpoint = getenv("BURSAR_ENDPOINT"),
                                          .connect_timeout_ms = 20000,
                                          .deadline_ms = 60000,
                                          .max_sockets = 64};
}

static void say(const char *line)
{
    puts(line);
    fflush(stdout);
}

/* ---- jobs without waiting --------------------------------------------------------------------- */

struct one {
    struct tally *tally;
    char account[32];
    unsigned times;
    int error;
    uint64_t job, generation;
    bool is_named; /* the grant is of the account that was asked for */
    char *token;
};

struct tally {
    size_t count, done;
    struct one *ones;
};

static void vended(void *data, const struct bursar_done *done)
{
    struct one *one = data;
    one->tally->done++;
    one->times++;
    one->error = done->error;
    one->generation = done->grant->generation;
    one->is_named = done->grant->account && strcmp(done->grant->account, one->account) == 0;
    if (done->grant->token)
        one->token = strdup(done->grant->token);
}

static void wait_for(struct bursar_async *async, const struct tally *tally, size_t wanted)
{
    struct pollfd fd = {.fd = bursar_async_fd(async), .events = POLLIN};
    while (tally->done < wanted && poll(&fd, 1, -1) > 0)
        bursar_async_process(async);
}

static void submit(struct bursar_async *async, struct tally *tally, const char *owner,
                   const char *provider)
{
    for (size_t i = 0; i < tally->count; i++) {
        struct one *one = &tally->ones[i];
        const struct bursar_target target = {
            .owner = owner, .provider = provider, .account = one->account};
        one->tally = tally;
        if (bursar_async_vend(async, &target, NULL, vended, one, &one->job) != BURSAR_OK)
            abort();
    }
    say("submitted");
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t count_distinct(const struct tally *tally)
{
    static char *tokens[MAX_COUNT];
    size_t count = 0;
    size_t distinct = 0;
    for (size_t i = 0; i < tally->count; i++) {
        if (tally->ones[i].token)
            tokens[count++] = tally->ones[i].token;
    }
    qsort(tokens, count, sizeof(*tokens), compare);
    for (size_t i = 0; i < count; i++)
        distinct += i == 0 || strcmp(tokens[i - 1], tokens[i]) != 0;
    return distinct;
}

/* done N, once N, ok N, named N, tokens N, generation LOWEST-HIGHEST, and the first error. */
static void report(struct tally *tally)
{
    size_t ok = 0;
    size_t once = 0;
    size_t named = 0;
    uint64_t lowest = UINT64_MAX;
    uint64_t highest = 0;
    int error = 0;
    for (size_t i = 0; i < tally->count; i++) {
        const struct one *one = &tally->ones[i];
        bool is_ok = one->times > 0 && one->error == 0;
        once += one->times == 1;
        ok += is_ok;
        named += is_ok && one->is_named;
        error = error == 0 ? one->error : error;
        if (is_ok && one->generation < lowest)
            lowest = one->generation;
        if (is_ok && one->generation > highest)
            highest = one->generation;
    }
    printf("done %zu once %zu ok %zu named %zu tokens %zu generation %lld-%lld error %s\n",
           tally->done, once, ok, named, count_distinct(tally),
           lowest == UINT64_MAX ? 0 : (long long)lowest, (long long)highest,
           bursar_error_code(error));
    for (size_t i = 0; i < tally->count; i++)
        free(tally->ones[i].token);
    free(tally->ones);
}

static void cancel_half(struct bursar_async *async, struct tally *tally)
{
    size_t cancelled = 0;
    for (size_t i = tally->count / 2; i < tally->count; i++)
        cancelled += bursar_async_cancel(async, tally->ones[i].job);
    printf("cancelled %zu\n", cancelled);
    fflush(stdout);
}

static int run_async(const char *what, char **argv)
{
    const struct bursar_client_options options = options_of_environment();
    bool is_many = strcmp(what, "many") == 0;
    size_t count = (size_t)atoi(argv[is_many ? 2 : 3]);
    struct tally tally = {.count = count, .ones = calloc(count, sizeof(struct one))};
    struct bursar_async *async = NULL;
    if (!tally.ones || count > MAX_COUNT || bursar_async_open(&options, &async) != BURSAR_OK)
        return 2;
    for (size_t i = 0; i < count && is_many; i++)
        snprintf(tally.ones[i].account, sizeof tally.ones[i].account, "many-%zu", i);
    for (size_t i = 0; i < count && !is_many; i++)
        snprintf(tally.ones[i].account, sizeof tally.ones[i].account, "%s", argv[2]);
    submit(async, &tally, argv[0], argv[1]);
    if (strcmp(what, "cancel") == 0 && getchar() != EOF) {
        cancel_half(async, &tally);
        wait_for(async, &tally, count - count / 2);
    } else {
        wait_for(async, &tally, count);
    }
    bursar_async_process(async);
    bursar_async_close(async);
    report(&tally);
    return 0;
}

/* ---- requests --------------------------------------------------------------------------------- */

struct request {
    const char *url;
    unsigned sent;
    bool is_given_up; /* as soon as it was sent */
};

static size_t ignore(char *data, size_t size, size_t count, void *to)
{
    (void)data;
    (void)to;
    return size * count;
}

static int get(void *data, const struct bursar_grant *grant)
{
    struct request *request = data;
    long status = -1;
    CURL *curl = curl_easy_init();
    if (!curl)
        return -1;
    request->sent++;
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, grant->token);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    return (int)status;
}

static bool is_given_up(void *data)
{
    const struct request *request = data;
    return request->is_given_up && request->sent > 0;
}

struct worker {
    struct bursar_source *source;
    struct bursar_send_options options;
    struct request request;
    struct bursar_sent sent;
    int error;
};

static void *work(void *data)
{
    struct worker *worker = data;
    worker->error =
        bursar_send(worker->source, get, &worker->request, &worker->options, &worker->sent, NULL);
    return NULL;
}

/* The same request in many threads, through one source. */
static int run_threads(struct bursar_source *source, char **argv)
{
    static struct worker workers[MAX_COUNT];
    static pthread_t threads[MAX_COUNT];
    int refusals[MAX_STATUSES];
    size_t count = (size_t)atoi(argv[4]);
    size_t refusal_count = 0;
    unsigned sent = 0;
    unsigned most = 0;
    size_t good = 0;
    for (; refusal_count < MAX_STATUSES && argv[5 + refusal_count]; refusal_count++)
        refusals[refusal_count] = atoi(argv[5 + refusal_count]);
    for (size_t i = 0; i < count && i < MAX_COUNT; i++) {
        workers[i] =
            (struct worker){.source = source,
                            .options = {.refusals = refusals, .refusal_count = refusal_count},
                            .request = {.url = argv[0]}};
        if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0)
            abort();
    }
    for (size_t i = 0; i < count && i < MAX_COUNT; i++) {
        pthread_join(threads[i], NULL);
        sent += workers[i].request.sent;
        most = workers[i].request.sent > most ? workers[i].request.sent : most;
        good += workers[i].error == 0 && workers[i].sent.status == 200;
    }
    printf("good %zu sent %u most %u\n", good, sent, most);
    return 0;
}

static void report_request(const struct worker *worker, int attempts)
{
    printf("attempts %d sent %u status %d error %s\n", attempts, worker->request.sent,
           worker->sent.status, bursar_error_code(worker->error));
}

/* A caller with a retry budget of its own for a provider that is down. */
static int run_budget(struct bursar_source *source, char **argv)
{
    struct worker worker = {.source = source, .request = {.url = argv[0]}};
    int budget = atoi(argv[4]);
    int attempts = 0;
    do {
        work(&worker);
        worker.options.is_resent = worker.sent.is_resent;
        attempts++;
    } while (attempts < budget && worker.error == 0 && worker.sent.status == 503);
    report_request(&worker, attempts);
    return 0;
}

static int run_give_up(struct bursar_source *source, char **argv)
{
    struct worker worker = {.source = source,
                            .options = {.is_cancelled = is_given_up},
                            .request = {.url = argv[0], .is_given_up = true}};
    work(&worker);
    report_request(&worker, 1);
    return 0;
}

static int run_requests(const char *what, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(struct bursar_source *source, char **argv);
    } rows[] = {{"threads", run_threads}, {"budget", run_budget}, {"give-up", run_give_up}};
    const struct bursar_client_options options = options_of_environment();
    const struct bursar_target target = {.owner = argv[1], .provider = argv[2], .account = argv[3]};
    struct bursar_client *client = NULL;
    struct bursar_source *source = NULL;
    int status = 2;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (bursar_client_open(&options, &client) != BURSAR_OK ||
        bursar_source_of_client(client, &target, NULL, &source) != BURSAR_OK)
        return 2;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, what) == 0)
            status = rows[i].run(source, argv);
    }
    bursar_source_close(source);
    bursar_client_close(client);
    curl_global_cleanup();
    return status;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments;
        int (*run)(const char *what, char **argv);
    } rows[] = {{"many", 3, run_async},      {"herd", 4, run_async},
                {"cancel", 4, run_async},    {"threads", 5, run_requests},
                {"budget", 5, run_requests}, {"give-up", 4, run_requests}};
    for (size_t i = 0; argc > 1 && i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, argv[1]) == 0 && argc - 2 >= rows[i].arguments)
            return rows[i].run(argv[1], argv + 2);
    }
    return 2;
}
