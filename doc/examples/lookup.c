/* lookup OWNER PROVIDER ACCOUNT [SCOPE ...]: the OAuth credential of
 * an account, with one of these scopes. */
#include <stdio.h>
#include <stdlib.h>

#include <bursar/client.h>

static const char *const answers[] = {
    [BURSAR_ANSWER_FOUND] = "found",
    [BURSAR_ANSWER_NOT_CONNECTED] = "please connect",
    [BURSAR_ANSWER_UNKNOWN_KIND] = "no such provider here",
    [BURSAR_ANSWER_WRONG_TYPE] = "not an OAuth credential",
    [BURSAR_ANSWER_DEAD] = "please connect again",
    [BURSAR_ANSWER_REFRESH_FAILED] = "not now",
    [BURSAR_ANSWER_FAILED] = "failed",
};

int main(int argc, char **argv)
{
    const struct bursar_client_options options = {
        .jobs_endpoint = getenv("BURSAR_ENDPOINT")};
    struct bursar_client *client = NULL;
    struct bursar_failure failure;
    struct bursar_grant grant = {0};
    struct bursar_credential credential;
    if (argc < 4 || bursar_client_open(&options, &client) != BURSAR_OK)
        return 2;
    const struct bursar_lookup lookup = {
        .owner = argv[1],
        .provider = argv[2],
        .account = argv[3],
        .kind = BURSAR_KIND_OAUTH2,
        .need_any = argc > 4 ? (const char *const *)argv + 4 : NULL,
        .deadline_ms = 5000,
    };
    int error =
        bursar_lookup(client, &lookup, &grant, &credential, &failure);
    if (error == BURSAR_OK)
        printf("found: a %s token\n", credential.oauth2.token_type);
    else
        printf("%s: %s\n", answers[bursar_lookup_answer(error)],
               failure.message);
    bursar_grant_free(&grant); /* and credential with it */
    bursar_client_close(client);
    return error == BURSAR_OK ? 0 : 1;
}
