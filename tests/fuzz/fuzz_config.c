/* Any bytes as the daemon's configuration: refused with a place for each error, or read. */
#include <string.h>

#include <bursar/error.h>

#include "../config/kinds.h"
#include "entry.h"
#include "fuzz.h"

static void check_principals(const struct config *config)
{
    for (size_t i = 0; i < config->principal_count; i++) {
        const struct principal *one = &config->principals[i];
        FUZZ_MUST(principal_is_name(text_of(one->name)) && !principal_problem(one));
        FUZZ_MUST((one->roles & ~(unsigned)ROLE_ALL) == 0);
        for (size_t j = 0; j < i; j++)
            FUZZ_MUST(!principal_shared(one, &config->principals[j]));
    }
}

static void check_config(const struct config *config)
{
    FUZZ_MUST(config->jobs.count > 0 && config->store && config->keyring);
    FUZZ_MUST(config->max_job_bytes >= 1024);
    check_principals(config);
}

/* It must not read what stands elsewhere: a file, a variable, a folder of the catalogue. */
static bool looks_elsewhere(struct text yaml)
{
    static const char *const words[] = {"${", "catalog", "modules", "ca_file", "uids", "gids"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (memmem(yaml.data, yaml.len, words[i], strlen(words[i])))
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = NULL;
    struct buf errors = buf_make(4 << 20);
    struct text yaml = {size > 0 ? (const char *)data : "", size};
    if (looks_elsewhere(yaml)) {
        buf_free(&errors);
        return 0;
    }
    int result = config_load(entry_file(yaml), &test_kinds, &config, &errors);
    FUZZ_MUST(result == 0 || (result == BURSAR_E_CONFIG && errors.len > 0));
    if (result == 0) {
        check_config(config);
        config_free(config);
    }
    buf_free(&errors);
    return 0;
}
