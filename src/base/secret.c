#include "base/secret.h"

#include <assert.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <sodium.h>

#include <bursar/error.h>

/* Of a program whose own free() wipes (cmd/wiping_heap.c): then once is enough. */
extern const char wiping_heap_is_here __attribute__((weak));

enum { MIN_ORDER = 6, MAX_ORDER = 32 }; /* blocks of 64 B up to the whole arena */

struct free_block {
    struct free_block *next, *prev;
};

/* A buddy allocator. order_of[i] tells of the block that begins at the i-th 64 bytes: its order,
 * with FREE_BIT while it is free; 0 where no block begins. It lies outside the locked memory. */
struct arena {
    pthread_mutex_t lock;
    uint8_t *base;
    size_t bytes;
    int top_order;
    uint8_t *order_of;
    struct free_block *free_lists[MAX_ORDER + 1];
    size_t used_bytes;
    size_t overflows;
    bool is_locked;
};

enum { FREE_BIT = 0x80 };

static struct arena arena = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t index_of(const void *block)
{
    return (size_t)((const uint8_t *)block - arena.base) >> MIN_ORDER;
}

static void push_free(void *data, int order)
{
    struct free_block *block = data;
    block->prev = NULL;
    block->next = arena.free_lists[order];
    if (block->next)
        block->next->prev = block;
    arena.free_lists[order] = block;
    arena.order_of[index_of(data)] = (uint8_t)(order | FREE_BIT);
}

static void take_free(struct free_block *block, int order)
{
    if (block->prev)
        block->prev->next = block->next;
    else
        arena.free_lists[order] = block->next;
    if (block->next)
        block->next->prev = block->prev;
    secret_wipe(block, sizeof *block);
}

static int order_for(size_t len)
{
    int order = MIN_ORDER;
    while (order < MAX_ORDER && ((size_t)1 << order) < len)
        order++;
    return order;
}

static void *arena_take(int order)
{
    int from = order;
    while (from <= arena.top_order && !arena.free_lists[from])
        from++;
    if (from > arena.top_order)
        return NULL;
    uint8_t *data = (uint8_t *)arena.free_lists[from];
    take_free((struct free_block *)(void *)data, from);
    while (from > order) { /* give the upper halves back */
        from--;
        push_free(data + ((size_t)1 << from), from);
    }
    arena.order_of[index_of(data)] = (uint8_t)order;
    arena.used_bytes += (size_t)1 << order;
    return data;
}

static void arena_give(uint8_t *data)
{
    int order = arena.order_of[index_of(data)];
    assert(order >= MIN_ORDER && !(order & FREE_BIT));
    arena.used_bytes -= (size_t)1 << order;
    arena.order_of[index_of(data)] = 0;
    while (order < arena.top_order) {
        size_t offset = (size_t)(data - arena.base) ^ ((size_t)1 << order);
        if (arena.order_of[offset >> MIN_ORDER] != (order | FREE_BIT))
            break;
        uint8_t *buddy = arena.base + offset;
        take_free((struct free_block *)(void *)buddy, order);
        arena.order_of[offset >> MIN_ORDER] = 0;
        data = buddy < data ? buddy : data;
        order++;
    }
    push_free(data, order);
}

int secret_arena_open(size_t bytes)
{
    assert(!arena.base && bytes >= (size_t)1 << MIN_ORDER && (bytes & (bytes - 1)) == 0);
    if (sodium_init() < 0)
        return BURSAR_E_IO;
    arena.order_of = calloc(bytes >> MIN_ORDER, 1);
    arena.base = arena.order_of ? sodium_malloc(bytes) : NULL;
    if (!arena.base) {
        free(arena.order_of);
        arena.order_of = NULL;
        return BURSAR_E_NOMEM;
    }
    /* sodium_malloc does not say whether locking worked: asking again does, and costs nothing. */
    arena.is_locked = mlock(arena.base, bytes) == 0;
    arena.bytes = bytes;
    arena.top_order = order_for(bytes);
    push_free(arena.base, arena.top_order);
    return 0;
}

void secret_arena_close(void)
{
    sodium_free(arena.base);
    free(arena.order_of);
    arena = (struct arena){.lock = PTHREAD_MUTEX_INITIALIZER};
}

struct secret_arena_info secret_arena_info(void)
{
    pthread_mutex_lock(&arena.lock);
    struct secret_arena_info info = {arena.bytes, arena.used_bytes, arena.overflows,
                                     arena.is_locked};
    pthread_mutex_unlock(&arena.lock);
    return info;
}

static bool is_in_arena(const uint8_t *data)
{
    return arena.base && data >= arena.base && data < arena.base + arena.bytes;
}

void *secret_memory_new(size_t len)
{
    void *data = NULL;
    pthread_mutex_lock(&arena.lock);
    if (arena.base && len <= arena.bytes)
        data = arena_take(order_for(len));
    if (!data)
        arena.overflows++;
    pthread_mutex_unlock(&arena.lock);
    if (data)
        return data;
    return sodium_init() < 0 ? NULL : sodium_malloc(len); /* a tool may have made no arena */
}

void secret_memory_free(void *data, size_t len)
{
    if (!data)
        return;
    if (!is_in_arena(data)) {
        sodium_free(data);
        return;
    }
    secret_wipe(data, len);
    pthread_mutex_lock(&arena.lock);
    arena_give(data);
    pthread_mutex_unlock(&arena.lock);
}

void secret_wipe(void *data, size_t len)
{
    if (data)
        sodium_memzero(data, len);
}

void secret_wiping_free(void *data)
{
    if (data && !&wiping_heap_is_here)
        secret_wipe(data, malloc_usable_size(data));
    free(data);
}

int secret_copy(struct text text, struct secret *out_secret)
{
    struct secret copy = {NULL, 0};
    if (text.data) {
        copy.data = secret_memory_new(text.len + 1);
        if (!copy.data)
            return BURSAR_E_NOMEM;
        memcpy(copy.data, text.data, text.len);
        copy.data[text.len] = 0;
        copy.len = text.len;
    }
    *out_secret = copy;
    return 0;
}

void secret_free(struct secret *secret)
{
    secret_memory_free(secret->data, secret->len + 1);
    *secret = (struct secret){NULL, 0};
}

struct text secret_text(const struct secret *secret)
{
    return (struct text){(const char *)secret->data, secret->len};
}

bool secret_equal(struct text a, struct text b)
{
    return a.len == b.len && (a.len == 0 || sodium_memcmp(a.data, b.data, a.len) == 0);
}

void secret_fingerprint(struct text text, uint8_t out[static SECRET_FINGERPRINT_LEN])
{
    static const uint8_t context[] = "bursar fingerprint 1";
    crypto_generichash(out, SECRET_FINGERPRINT_LEN, (const uint8_t *)text.data, text.len, context,
                       sizeof context - 1);
}

void secret_sha256_hex(struct text text, char out[static 65])
{
    uint8_t digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(digest, (const uint8_t *)text.data, text.len);
    sodium_bin2hex(out, 65, digest, sizeof digest);
}
