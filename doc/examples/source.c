/* source FILE: a source of one's own, in place of a daemon: the token
 * is the first line of a file, which somebody else keeps up to date. */
#include <stdio.h>
#include <string.h>

#include <bursar/client.h>

static int current(void *data, struct bursar_grant *out_grant,
                   struct bursar_failure *out_failure)
{
    char line[4096];
    const struct bursar_part part = {"token", line};
    FILE *file = fopen(data, "r");
    if (!file)
        return bursar_fail(out_failure, BURSAR_E_NOT_CONNECTED,
                           "there is no token file");
    if (!fgets(line, sizeof line, file))
        line[0] = 0;
    fclose(file);
    line[strcspn(line, "\n")] = 0;
    return bursar_grant_make("bearer", &part, 1, out_grant);
}

/* The file is read anew for each use: there is nothing to forget. */
static int invalidate(void *data, const struct bursar_grant *refused,
                      struct bursar_failure *out_failure)
{
    (void)data;
    (void)refused;
    (void)out_failure;
    return BURSAR_OK;
}

/* In place of a request: an API that takes tokens of 8 characters. */
static int request(void *data, const struct bursar_grant *grant)
{
    (void)data;
    return strlen(grant->token) == 8 ? 200 : 401;
}

int main(int argc, char **argv)
{
    static const struct bursar_source_ops ops = {current, invalidate,
                                                 NULL};
    struct bursar_source *source = NULL;
    struct bursar_failure failure;
    struct bursar_sent sent;
    if (argc != 2 ||
        bursar_source_open(&ops, argv[1], &source) != BURSAR_OK)
        return 2;
    int error =
        bursar_send(source, request, NULL, NULL, &sent, &failure);
    if (error == BURSAR_OK)
        printf("status %d%s\n", sent.status,
               sent.is_resent ? ", sent twice" : "");
    else
        printf("%s: %s\n", bursar_error_code(error), failure.message);
    bursar_source_close(source);
    return error == BURSAR_OK && sent.status == 200 ? 0 : 1;
}
