#include "base/fault.h"

#ifdef BURSAR_FAULT_POINTS

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* How often the chosen point was passed. */
static atomic_int passed;

void fault_point(const char *name)
{
    const char *chosen = getenv("BURSAR_FAULT_POINT");
    size_t len = strlen(name);
    if (!chosen || strncmp(chosen, name, len) != 0 || (chosen[len] != 0 && chosen[len] != ':'))
        return;
    int at = chosen[len] == ':' ? atoi(chosen + len + 1) : 1;
    if (atomic_fetch_add(&passed, 1) + 1 == at)
        raise(SIGKILL);
}

#else
typedef int fault_is_compiled_out; /* ISO C wants something in a file */
#endif
