#include <stdlib.h>
#include <string.h>

#include <expat.h>
#include <malloc.h>

#include "base/secret.h"
#include "connector/document_parts.h"

/* Texts are copied out of the parser one behind the other. Characters of the reply become at most
 * twice as many bytes (one of Latin-1, two), so that is what is reserved. */
struct reader {
    struct document *document;
    XML_Parser parser;
    size_t used;       /* of the document's bytes */
    size_t text_start; /* of the element that was opened last */
    uint32_t open[DOCUMENT_DEPTH_MAX + 1];
    unsigned depth; /* of open elements; open[0] is the root of the document */
};

static void stop(struct reader *reader, const char *problem)
{
    document_fail(reader->document, problem);
    XML_StopParser(reader->parser, XML_FALSE);
}

/* Gives a text without data where there is no room. */
static struct text copy(struct reader *reader, const char *data, size_t len)
{
    struct document *document = reader->document;
    if (len > document->bytes_len - reader->used) {
        stop(reader, "more text than the reply is long");
        return (struct text){NULL, 0};
    }
    char *to = document->bytes + reader->used;
    memcpy(to, data, len);
    reader->used += len;
    return (struct text){to, len};
}

static const char *without_prefix(const char *name)
{
    const char *colon = strrchr(name, ':');
    return colon ? colon + 1 : name;
}

static void add_attributes(struct reader *reader, uint32_t element, const char **attributes)
{
    for (size_t i = 0; attributes[i] && !reader->document->problem; i += 2) {
        if (strncmp(attributes[i], "xmlns", 5) == 0) /* a declaration, no content */
            continue;
        const char *local = without_prefix(attributes[i]);
        struct text name = copy(reader, "@", 1);
        name.len += copy(reader, local, strlen(local)).len;
        struct text value = copy(reader, attributes[i + 1], strlen(attributes[i + 1]));
        if (reader->document->problem)
            return;
        if (document_add(reader->document, element, BURSAR_VALUE_TEXT, name, value) ==
            DOCUMENT_NONE)
            stop(reader, "too many values");
    }
}

static void on_start(void *data, const char *name, const char **attributes)
{
    struct reader *reader = data;
    struct document *document = reader->document;
    const char *local = without_prefix(name);
    uint32_t parent = reader->open[reader->depth];
    if (document->problem)
        return;
    if (reader->depth == DOCUMENT_DEPTH_MAX) {
        stop(reader, "nested too deep");
        return;
    }
    document->nodes[parent].type = BURSAR_VALUE_MAP;
    struct text copied = copy(reader, local, strlen(local));
    uint32_t element =
        document_add(document, parent, BURSAR_VALUE_TEXT, copied, (struct text){NULL, 0});
    if (element == DOCUMENT_NONE) {
        stop(reader, "too many values");
        return;
    }
    reader->open[++reader->depth] = element;
    add_attributes(reader, element, attributes);
    reader->text_start = reader->used;
}

static struct text trim(struct text text)
{
    while (text.len > 0 && memchr(" \t\r\n", text.data[0], 4)) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && memchr(" \t\r\n", text.data[text.len - 1], 4))
        text.len--;
    return text;
}

static void on_end(void *data, const char *name)
{
    struct reader *reader = data;
    (void)name;
    if (reader->document->problem)
        return;
    struct document_node *node = &reader->document->nodes[reader->open[reader->depth--]];
    if (node->type == BURSAR_VALUE_TEXT)
        node->text = trim((struct text){reader->document->bytes + reader->text_start,
                                        reader->used - reader->text_start});
}

static void on_text(void *data, const char *text, int len)
{
    struct reader *reader = data;
    if (!reader->document->problem)
        copy(reader, text, (size_t)len);
}

static void on_doctype(void *data, const char *name, const char *system_id, const char *public_id,
                       int has_internal_subset)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)has_internal_subset;
    stop(data, "a document type declaration");
}

/* The parser's own copies are wiped too. */
static void *wiping_realloc(void *old, size_t len)
{
    void *data = malloc(len);
    size_t old_len = old ? malloc_usable_size(old) : 0;
    if (!data)
        return NULL;
    if (old)
        memcpy(data, old, old_len < len ? old_len : len);
    secret_wiping_free(old);
    return data;
}

static bool parse(struct reader *reader, struct text text)
{
    XML_SetUserData(reader->parser, reader);
    XML_SetElementHandler(reader->parser, on_start, on_end);
    XML_SetCharacterDataHandler(reader->parser, on_text);
    XML_SetStartDoctypeDeclHandler(reader->parser, on_doctype);
    if (XML_Parse(reader->parser, text.data, (int)text.len, XML_TRUE) == XML_STATUS_OK)
        return !reader->document->problem;
    if (XML_GetErrorCode(reader->parser) == XML_ERROR_NO_MEMORY)
        reader->document->is_without_memory = true;
    return document_fail(reader->document, "not well-formed XML");
}

bool document_read_xml(struct document *document, struct text text)
{
    static const XML_Memory_Handling_Suite memory = {malloc, wiping_realloc, secret_wiping_free};
    struct reader reader = {.document = document};
    struct text none = {NULL, 0};
    if (!document_reserve(document, text.len * 2))
        return false;
    if (document_add(document, DOCUMENT_NONE, BURSAR_VALUE_MAP, none, none) == DOCUMENT_NONE)
        return false;
    reader.parser = XML_ParserCreate_MM(NULL, &memory, NULL);
    if (!reader.parser) {
        document->is_without_memory = true;
        return document_fail(document, "no memory");
    }
    bool is_ok = parse(&reader, text);
    XML_ParserFree(reader.parser);
    return is_ok;
}
