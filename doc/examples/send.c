/* send URL OWNER PROVIDER [ACCOUNT]: a request by libcurl. Where the
 * token is refused it is made once more, with a new one. */
#include <stdio.h>
#include <stdlib.h>

#include <curl/curl.h>

#include <bursar/client.h>

static size_t ignore(char *data, size_t size, size_t count, void *to)
{
    (void)data;
    (void)to;
    return size * count;
}

/* One request; gives its status, or -1 where none came. */
static int get(void *data, const struct bursar_grant *grant)
{
    long status = -1;
    CURL *curl = curl_easy_init();
    if (!curl)
        return -1;
    curl_easy_setopt(curl, CURLOPT_URL, (const char *)data);
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, grant->token);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    return (int)status;
}

int main(int argc, char **argv)
{
    const struct bursar_client_options options = {
        .jobs_endpoint = getenv("BURSAR_ENDPOINT")};
    struct bursar_client *client = NULL;
    struct bursar_source *source = NULL;
    struct bursar_failure failure;
    struct bursar_sent sent = {0};
    if (argc < 4 || bursar_client_open(&options, &client) != BURSAR_OK)
        return 2;
    const struct bursar_target target = {
        .owner = argv[2], .provider = argv[3], .account = argv[4]};
    int error = bursar_source_of_client(client, &target, NULL, &source);
    if (error == BURSAR_OK) {
        error =
            bursar_send(source, get, argv[1], NULL, &sent, &failure);
        if (error != BURSAR_OK)
            printf("%s: %s\n", bursar_error_code(error),
                   failure.message);
        printf("status %d%s\n", sent.status,
               sent.is_resent ? ", sent twice" : "");
    }
    bursar_source_close(source);
    bursar_client_close(client);
    return error == BURSAR_OK && sent.status == 200 ? 0 : 1;
}
