/* Any bytes as a provider's reply: two of status, then the body. Nothing is read from it that is not in
 * it, and what is read keeps the bounds. */
#include <string.h>

#include "connector/call.h"
#include "entry.h"
#include "fuzz.h"

static const char *const entries[] = {
    "kind: oauth2_refresh\n"
    "token_url: https://id.example/token\n"
    "captures: {url: $.instance_url, first: '$.list[0]'}\n"
    "error_subcode_path: $.error_codes[0]\n",
    "kind: oauth2_authorization_code\n"
    "authorize_url: https://id.example/authorize\n"
    "token_url: https://id.example/token\n"
    "identity_url: https://id.example/me\n"
    "device_url: https://id.example/device\n"
    "access_token_path: $.data.access_token | $.authed_user.access_token\n"
    "success: [$.code == 0]\n"
    "error_path: $.code\n"
    "error_text_path: $.message\n",
};
enum { ENTRIES = sizeof entries / sizeof entries[0] };

static struct connector connectors[ENTRIES];

static void check(const struct call_outcome *outcome, size_t size)
{
    FUZZ_MUST(outcome->part_count <= CALL_PARTS_MAX);
    for (size_t i = 0; i < outcome->part_count; i++) {
        struct text value = call_part_value(outcome, &outcome->parts[i]);
        FUZZ_MUST(outcome->parts[i].at + outcome->parts[i].len <= outcome->values.len);
        FUZZ_MUST(value.len <= size + 64); /* our own few words may stand in for theirs */
    }
    if (outcome->read == BURSAR_READ_OK)
        FUZZ_MUST(outcome->part_count > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum bursar_purpose purposes[] = {BURSAR_REFRESH, BURSAR_EXCHANGE, BURSAR_DEVICE,
                                                   BURSAR_POLL, BURSAR_IDENTIFY};
    if (!connectors[0].module)
        entries_open(entries, ENTRIES, "client_id: c", connectors);
    struct call_reply reply = {200, TEXT_LITERAL(""), TEXT_LITERAL("")};
    if (size >= 2) {
        reply.status = (data[0] << 8 | data[1]) % 500 + 100;
        reply.body = (struct text){(const char *)data + 2, size - 2};
    }
    for (size_t i = 0; i < ENTRIES; i++) {
        for (size_t p = 0; p < sizeof purposes / sizeof purposes[0]; p++) {
            const struct call call = {
                .connector = &connectors[i], .purpose = purposes[p], .now = 1700000000};
            struct call_outcome outcome;
            if (!connectors[i].module->exchanges[purposes[p]].read ||
                call_read(&call, &reply, &outcome) < 0)
                continue;
            check(&outcome, size);
            call_outcome_free(&outcome);
        }
    }
    return 0;
}
