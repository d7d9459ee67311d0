#include "client/arena.h"

#include <pthread.h>

#include "base/secret.h"

enum { ARENA_BYTES = 1 << 20 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int result;

static void start(void)
{
    if (secret_arena_info().bytes == 0) /* a program that links all in one has made one */
        result = secret_arena_open(ARENA_BYTES);
}

int arena_start(void)
{
    pthread_once(&once, start);
    return result;
}
