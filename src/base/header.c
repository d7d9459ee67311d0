#include "base/header.h"

#include <string.h>
#include <strings.h>

struct text header_find(struct text headers, const char *name)
{
    size_t name_len = strlen(name);
    const char *line = headers.data;
    const char *end = line ? line + headers.len : NULL;
    for (; line && line < end; line += strlen(line) + 1) {
        if (strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
            continue;
        const char *value = line + name_len + 1;
        return text_of(value + strspn(value, " \t"));
    }
    return (struct text){NULL, 0};
}
