#include "client/texts.h"

#include <stdlib.h>
#include <string.h>

char **texts_read(const struct node *array)
{
    size_t count = 0;
    size_t items = node_type(array) == NODE_ARRAY ? node_count(array) : 0;
    char **texts = calloc(items + 1, sizeof *texts);
    for (size_t i = 0; texts && i < items; i++) {
        const struct node *item = node_item(array, i);
        if (node_type(item) != NODE_TEXT)
            continue;
        texts[count] = text_copy(node_text(item));
        if (!texts[count++]) {
            texts_free(texts);
            return NULL;
        }
    }
    return texts;
}

char **texts_copy(const char *const *texts)
{
    size_t count = 0;
    while (texts[count])
        count++;
    char **copies = calloc(count + 1, sizeof *copies);
    for (size_t i = 0; copies && i < count; i++) {
        copies[i] = strdup(texts[i]);
        if (!copies[i]) {
            texts_free(copies);
            return NULL;
        }
    }
    return copies;
}

void texts_free(char **texts)
{
    for (size_t i = 0; texts && texts[i]; i++)
        free(texts[i]);
    free(texts);
}

bool texts_has(const char *const *texts, const char *text)
{
    for (size_t i = 0; texts && texts[i]; i++) {
        if (strcmp(texts[i], text) == 0)
            return true;
    }
    return false;
}

void texts_join(const char *const *texts, struct buf *out)
{
    for (size_t i = 0; texts && texts[i]; i++) {
        buf_append_string(out, i > 0 ? ", " : "");
        buf_append_string(out, texts[i]);
    }
}
