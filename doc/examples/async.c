/* async OWNER PROVIDER ACCOUNT ...: a token for each account, in a
 * program that waits for several things at once. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <bursar/client.h>

struct tally {
    unsigned open, good;
};

/* Called by bursar_async_process(). */
static void vended(void *data, const struct bursar_done *done)
{
    struct tally *tally = data;
    tally->open--;
    if (done->error == BURSAR_OK)
        tally->good++; /* use done->grant->token here */
    else
        printf("%s: %s\n", bursar_error_code(done->error),
               done->failure->message);
}

int main(int argc, char **argv)
{
    const struct bursar_client_options options = {
        .jobs_endpoint = getenv("BURSAR_ENDPOINT")};
    struct bursar_async *async = NULL;
    struct tally tally = {0};
    if (argc < 4 || bursar_async_open(&options, &async) != BURSAR_OK)
        return 2;
    for (int i = 3; i < argc; i++) {
        const struct bursar_target target = {
            .owner = argv[1], .provider = argv[2], .account = argv[i]};
        if (bursar_async_vend(async, &target, NULL, vended, &tally,
                              NULL) == BURSAR_OK)
            tally.open++;
    }
    while (tally.open > 0) {
        struct pollfd fds[] = {
            {.fd = bursar_async_fd(async), .events = POLLIN},
            /* and whatever else the program waits for */
        };
        if (poll(fds, 1, -1) > 0 && (fds[0].revents & POLLIN))
            bursar_async_process(async);
    }
    bursar_async_close(async);
    printf("%u of %d\n", tally.good, argc - 3);
    return tally.good == (unsigned)(argc - 3) ? 0 : 1;
}
