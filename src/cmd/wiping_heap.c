/* Of these two programs no block of memory is given back with its content: free() and realloc() of every
 * library in the process wipe first.
 * Thread: any.
 *
 * bursar's own secrets live in locked memory (base/secret.h), and where a library takes an allocator it gets a
 * wiping one. What is left are copies that nobody can reach: ZeroMQ's buffers, those of TLS, a block that grew
 * elsewhere. The linker takes a program's own free() before libc's, for all libraries. */
#ifdef HAVE_WIPING_HEAP

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* For base/secret.c, which is told by its address. */
extern const char wiping_heap_is_here;
const char wiping_heap_is_here = 1;

/* glibc's own, by the names that stay reachable. */
void __libc_free(void *block); /* NOLINT: glibc's */

void free(void *block)
{
    if (!block)
        return;
    explicit_bzero(block, malloc_usable_size(block));
    __libc_free(block);
}

/* A block that is large enough and not much too large stays where it is. */
void *realloc(void *block, size_t len)
{
    size_t room = block ? malloc_usable_size(block) : 0;
    if (block && len == 0) {
        free(block);
        return NULL;
    }
    if (len <= room && len >= room / 2)
        return block;
    void *made = malloc(len);
    if (!made || !block)
        return made;
    memcpy(made, block, room < len ? room : len);
    free(block);
    return made;
}

#else
typedef int wiping_heap_is_not_there; /* ISO C has no empty file */
#endif
