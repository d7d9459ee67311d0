/* guard EMAIL SCOPE: whom the daemon takes us for, and whether this
 * person is an operator for the scope. */
#include <stdio.h>
#include <stdlib.h>

#include <bursar/client.h>

int main(int argc, char **argv)
{
    const struct bursar_client_options options = {
        .jobs_endpoint = getenv("BURSAR_ENDPOINT")};
    struct bursar_client *client = NULL;
    struct bursar_principal principal = {0};
    struct bursar_failure failure;
    if (argc != 3 || bursar_client_open(&options, &client) != BURSAR_OK)
        return 2;
    int error = bursar_whoami(client, &principal, &failure);
    if (error == BURSAR_OK)
        printf("we are %s\n", principal.principal);
    if (error == BURSAR_OK)
        error = bursar_need_role(&principal, "vend", &failure);
    if (error == BURSAR_OK)
        error =
            bursar_need_operator(client, argv[1], argv[2], &failure);
    if (error == BURSAR_OK)
        printf("%s may\n", argv[1]);
    else
        printf("%s: %s\n", bursar_error_code(error), failure.message);
    bursar_principal_free(&principal);
    bursar_client_close(client);
    return error == BURSAR_OK ? 0 : 1;
}
