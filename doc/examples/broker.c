/* broker CONFIG: the broker in this process, with a kind of connector that
 * only this process knows; ends when its standard input does. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bursar/broker.h>

static const struct bursar_option options[] = {
    {.name = "url",
     .type = BURSAR_OPTION_URL,
     .required = true,
     .help = "what gives a token to whoever knows the phrase"},
    {.name = "phrase",
     .type = BURSAR_OPTION_SECRET,
     .required = true,
     .help = "what is said there"},
    {.name = NULL},
};

static int ask(const struct bursar_call *call)
{
    struct bursar_text url = call->setting(call, "url");
    struct bursar_text phrase = call->setting(call, "phrase");
    call->emit(call, BURSAR_REQ_URL, NULL, url.data, url.len);
    call->emit(call, BURSAR_REQ_HEADER, "X-Phrase", phrase.data, phrase.len);
    return BURSAR_OK;
}

static enum bursar_read listen_to(const struct bursar_call *call,
                                  const struct bursar_response *response)
{
    static const struct bursar_text path = {"$.word", 6};
    struct bursar_value word = response->find(response, path);
    if (response->status != 200 || word.type != BURSAR_VALUE_TEXT)
        return BURSAR_READ_MALFORMED;
    call->emit(call, BURSAR_OUT_ACCESS_TOKEN, NULL, word.text.data,
               word.text.len);
    call->emit(call, BURSAR_OUT_EXPIRES, "s", "600", 3);
    return BURSAR_READ_OK;
}

static const struct bursar_connector sesame = {
    .abi = BURSAR_CONNECTOR_ABI,
    .kind = "sesame",
    .summary = "a door that opens to a phrase",
    .flags = BURSAR_CONNECTOR_MINTS,
    .secret_kind = "bearer",
    .options = options,
    .exchanges = {[BURSAR_REFRESH] = {ask, listen_to}},
};

int main(int argc, char **argv)
{
    char error[1024] = "", byte;
    struct bursar_broker *broker = NULL;
    struct bursar_registry *registry = bursar_registry_new();
    if (argc != 2 || !registry)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    int result = bursar_registry_add(registry, &sesame, error, sizeof error);
    if (result == BURSAR_OK)
        result = bursar_broker_start(argv[1], registry, &broker, error,
                                     sizeof error);
    else
        bursar_registry_free(registry);
    if (result != BURSAR_OK) {
        fprintf(stderr, "%s: %s\n", bursar_error_code(result), error);
        return 1;
    }
    puts("ready");
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    bursar_broker_stop(broker);
    return 0;
}
