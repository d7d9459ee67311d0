/* vend OWNER PROVIDER [ACCOUNT]: a token that works, when it is needed. */
#include <stdio.h>
#include <stdlib.h>

#include <bursar/client.h>

int main(int argc, char **argv)
{
    const struct bursar_client_options options = {
        .jobs_endpoint = getenv("BURSAR_ENDPOINT")};
    const struct bursar_vend_options wish = {.min_ttl_s = 60};
    struct bursar_client *client = NULL;
    struct bursar_failure failure;
    struct bursar_grant grant;
    if (argc < 3 || bursar_client_open(&options, &client) != BURSAR_OK)
        return 2;
    const struct bursar_target target = {
        .owner = argv[1], .provider = argv[2], .account = argv[3]};
    int error = bursar_vend(client, &target, &wish, &grant, &failure);
    if (error == BURSAR_OK) {
        /* use grant.token here */
        printf("%s, generation %llu\n", grant.kind,
               (unsigned long long)grant.generation);
        bursar_grant_free(&grant);
    } else {
        printf("%s: %s%s\n", bursar_error_code(error), failure.message,
               failure.is_retryable ? " (try again)" : "");
    }
    bursar_client_close(client);
    return error == BURSAR_OK ? 0 : 1;
}
