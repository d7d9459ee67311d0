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

static bool is_token_char(unsigned char c)
{
    bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return is_letter || (c >= '0' && c <= '9') || (c != 0 && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_value_char(unsigned char c)
{
    return c == '\t' || (c >= 0x20 && c != 0x7f);
}

static bool is_value(struct text value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (!is_value_char((unsigned char)value.data[i]))
            return false;
    }
    return true;
}

bool header_is_line(struct text name, struct text value)
{
    for (size_t i = 0; i < name.len; i++) {
        if (!is_token_char((unsigned char)name.data[i]))
            return false;
    }
    return name.len > 0 && is_value(value);
}
