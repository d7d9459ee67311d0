#include "broker/memory.h"

#include <stdlib.h>

#include "base/log.h"

static void *or_end(void *memory)
{
    if (!memory) {
        LOG(LOG_ERROR, "out of memory: ending");
        abort();
    }
    return memory;
}

void *memory_new(size_t bytes)
{
    return or_end(calloc(1, bytes));
}

void *memory_resize(void *memory, size_t bytes)
{
    return or_end(realloc(memory, bytes));
}
