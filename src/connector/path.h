/* Where in a reply a value stands: the singular queries of JSONPath (RFC 9535 section 2.3.5.1).
 * Thread: any; a compiled path never changes.
 *
 * A query is `$` and steps: `.name`, `['name']`, `["name"]` with the escapes of section 2.3.1.1, or
 * `[index]`, where -1 is the last item. Blanks stand where the grammar of the whole language has
 * them: before a step and inside the brackets. Several queries with `|` between are tried in order.
 * What can select more than one value (`*`, `..`, slices, filters, lists of selectors) is refused. */
#ifndef CONNECTOR_PATH_H
#define CONNECTOR_PATH_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/text.h"

#define PATH_BYTES_MAX 4096
#define PATH_STEPS_MAX 64 /* of all queries together */
#define PATH_QUERIES_MAX 16

struct path;

/* Gives the compiled text, path_free() ends it. 0, BURSAR_E_NOMEM, or BURSAR_E_CONFIG; then error has
 * one line, `at byte 3: …`. */
int path_compile(struct text text, struct path **out_path, struct buf *error);
/* The same for the path that text begins with; out_len is where it ends. */
int path_compile_prefix(struct text text, struct path **out_path, size_t *out_len,
                        struct buf *error);
void path_free(struct path *path);

struct path_step {
    struct text name; /* of a member; absent: an index. Borrowed until the path ends */
    int64_t index;
};

size_t path_query_count(const struct path *path);
/* Borrows the steps of one query and gives how many there are. */
size_t path_steps(const struct path *path, size_t query, const struct path_step **out_steps);

/* Reads the quoted string that text begins with (section 2.3.1.1) and appends what it stands for.
 * Gives NULL and the bytes it took, or what is wrong and where; failures of out stay there. */
const char *path_string(struct text text, struct buf *out, size_t *out_len);

#endif
