#include "cmd/cmd_values.h"

#include <string.h>

bool cmd_values_read(const struct cmd_args *args, const char *option, json_t *to)
{
    const char *given;
    for (size_t i = 0; (given = cmd_option_item(args, option, i)); i++) {
        const char *equals = strchr(given, '=');
        json_t *value = equals ? json_string(equals + 1) : NULL;
        char name[128];
        size_t len = equals ? (size_t)(equals - given) : 0;
        bool is_ok = value && len > 0 && len < sizeof name;
        if (is_ok) {
            memcpy(name, given, len);
            name[len] = 0;
            is_ok = json_object_set(to, name, value) == 0;
        }
        json_decref(value);
        if (!is_ok) {
            cmd_usage(args->cmd, "--%s must be NAME=VALUE, in UTF-8", option);
            return false;
        }
    }
    return true;
}
