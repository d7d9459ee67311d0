#include "entry.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connector/registry.h"
#include "fuzz.h"

const char *entry_file(struct text content)
{
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("entry", MFD_CLOEXEC);
        FUZZ_MUST(fd >= 0 && fchmod(fd, 0600) == 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    FUZZ_MUST(ftruncate(fd, 0) == 0);
    FUZZ_MUST(pwrite(fd, content.data, content.len, 0) == (ssize_t)content.len);
    return path;
}

int entry_load(struct text yaml, const struct config_kinds *kinds, const char *more,
               struct config_provider *out_provider, struct buf *errors)
{
    return config_load_entry(entry_file(yaml), kinds, more, false, out_provider, errors);
}

void entries_open(const char *const *entries, size_t count, const char *more,
                  struct connector *out_connectors)
{
    static struct registry *registry;
    registry = registry_new();
    FUZZ_MUST(registry);
    for (size_t i = 0; i < count; i++) {
        struct config_provider *provider = calloc(1, sizeof *provider);
        struct buf errors = buf_make(65536);
        FUZZ_MUST(provider);
        int result =
            entry_load(text_of(entries[i]), registry_kinds(registry), more, provider, &errors);
        if (result < 0)
            fprintf(stderr, "%s", (const char *)errors.data);
        FUZZ_MUST(result == 0);
        FUZZ_MUST(connector_make(provider, registry, false, &out_connectors[i]) == 0);
        buf_free(&errors);
    }
}
