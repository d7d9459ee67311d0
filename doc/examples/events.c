/* events COUNT [TOPIC ...]: so many events as they come, such as
 * those of grants that have died: events 1 reauth/ */
#include <stdio.h>
#include <stdlib.h>

#include <bursar/client.h>

int main(int argc, char **argv)
{
    const struct bursar_client_options options = {
        .jobs_endpoint = getenv("BURSAR_ENDPOINT"),
        .events_endpoint = getenv("BURSAR_EVENTS_ENDPOINT")};
    struct bursar_events *events = NULL;
    struct bursar_failure failure;
    struct bursar_event event;
    if (argc < 2)
        return 2;
    const char *const *topics =
        argc > 2 ? (const char *const *)argv + 2 : NULL;
    int error = bursar_events_open(&options, topics, false, 0, &events,
                                   &failure);
    if (error == BURSAR_OK) {
        puts("listening");
        fflush(stdout);
    }
    for (int left = atoi(argv[1]); error == BURSAR_OK && left > 0;) {
        error = bursar_events_next(events, -1, &event, &failure);
        if (error != BURSAR_OK)
            break;
        printf("%s %s\n", event.type,
               event.account ? event.account : "-");
        fflush(stdout);
        left--;
    }
    if (error != BURSAR_OK)
        printf("%s: %s\n", bursar_error_code(error), failure.message);
    bursar_events_close(events);
    return error == BURSAR_OK ? 0 : 1;
}
