/* Any bytes as a catalogue's file: refused with a place for each error, or read and used. */
#include <string.h>

#include <bursar/error.h>

#include "connector/call.h"
#include "connector/registry.h"
#include "entry.h"
#include "fuzz.h"

static const struct registry *registry(void)
{
    static struct registry *made;
    if (!made)
        made = registry_new();
    FUZZ_MUST(made);
    return made;
}

/* Whatever was accepted can be asked for each request without harm. */
static void use(const struct config_provider *provider)
{
    struct connector connector;
    struct call_request request;
    if (connector_make(provider, registry(), false, &connector) < 0)
        return;
    for (int purpose = 0; purpose < BURSAR_PURPOSE_COUNT; purpose++) {
        const struct call call = {
            .connector = &connector, .purpose = (enum bursar_purpose)purpose, .now = 1700000000};
        if (call_build(&call, &request) == 0) {
            FUZZ_MUST(request.url.len > 0 && request.method[0] != 0);
            call_request_free(&request);
        }
    }
    connector_fini(&connector);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_provider provider = {.id = NULL};
    struct buf errors = buf_make(4 << 20);
    struct text yaml = {size > 0 ? (const char *)data : "", size};
    int result = entry_load(yaml, registry_kinds(registry()), "client_id: c", &provider, &errors);
    FUZZ_MUST(result == 0 || (result == BURSAR_E_CONFIG && errors.len > 0));
    if (result == 0) {
        use(&provider);
        config_provider_free(&provider);
    }
    buf_free(&errors);
    return 0;
}
