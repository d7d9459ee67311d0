/* What libcurl alone can do: equal requests to a token endpoint, so many under way at a time.
 * Thread: one.
 *
 *     fetch URL REQUESTS OUTSTANDING
 *
 * prints {"per_s": …, "server_cpu_us": …}. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <curl/curl.h>

enum { OUTSTANDING_MAX = 4096, WAIT_MS = 1000 };

static const char form[] = "grant_type=refresh_token&refresh_token="
                           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

static size_t taken; /* bytes of all answers */

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "fetch: %s\n", what);
    exit(1);
}

static size_t take(char *data, size_t size, size_t count, void *context)
{
    (void)data;
    (void)context;
    taken += size * count;
    return size * count;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static CURL *request(const char *url)
{
    CURL *easy = curl_easy_init();
    if (!easy)
        give_up("no memory");
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, form);
    curl_easy_setopt(easy, CURLOPT_USERPWD, "client:secret");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    return easy;
}

/* Ends the transfers that are done; how many those were. */
static size_t end_done(CURLM *multi, size_t *left)
{
    size_t done = 0;
    int rest;
    for (CURLMsg *message = curl_multi_info_read(multi, &rest); message;
         message = curl_multi_info_read(multi, &rest)) {
        long status = 0;
        CURL *easy = message->easy_handle;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        if (message->data.result != CURLE_OK || status != 200)
            give_up("a request failed");
        curl_multi_remove_handle(multi, easy);
        done++;
        if (*left > 0) {
            (*left)--;
            curl_multi_add_handle(multi, easy);
        } else
            curl_easy_cleanup(easy);
    }
    return done;
}

int main(int argc, char **argv)
{
    size_t requests = argc > 2 ? strtoul(argv[2], NULL, 10) : 0,
           outstanding = argc > 3 ? strtoul(argv[3], NULL, 10) : 0, done = 0;
    if (requests == 0 || outstanding == 0 || outstanding > OUTSTANDING_MAX ||
        outstanding > requests)
        give_up("usage: fetch URL REQUESTS OUTSTANDING");
    curl_global_init(CURL_GLOBAL_ALL);
    CURLM *multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)outstanding);
    double begun_at_s = now_s(), cpu_before_s = cpu_s();
    for (size_t i = 0; i < outstanding; i++)
        curl_multi_add_handle(multi, request(argv[1]));
    size_t left = requests - outstanding;
    while (done < requests) {
        int running;
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            give_up("curl_multi_perform");
        size_t ended = end_done(multi, &left);
        done += ended;
        if (ended == 0 && curl_multi_poll(multi, NULL, 0, WAIT_MS, NULL) != CURLM_OK)
            give_up("curl_multi_poll");
    }
    double seconds = now_s() - begun_at_s;
    printf("{\"per_s\": %.1f, \"server_cpu_us\": %.3f, \"bytes\": %zu}\n",
           (double)requests / seconds, (cpu_s() - cpu_before_s) / (double)requests * 1e6,
           taken / requests);
    curl_multi_cleanup(multi);
    return 0;
}
