#include <assert.h>
#include <string.h>
#include <strings.h>

#include "sim/sim_parts.h"

enum { URL_MAX = 16384 };

struct looking {
    const struct connector *entry;
    const struct sim_seen *seen;
    const struct sim_known *known;
    bool awaits_second;
};

static const struct {
    const char *setting;
    const char *methods[3]; /* settings that say the method */
    const char *method;
} doors[] = {
    {"exchange.url", {"exchange.method"}, "GET"},
    {"revoke_url", {"revoke_method"}, "POST"},
    {"sts_url", {NULL}, "GET"},
    {"refresh_url", {"refresh_method", "token_method"}, "POST"},
    {"token_url", {"token_method", "method"}, "POST"},
    {"device_url", {NULL}, "POST"},
    {"identity_url", {"identity_method"}, "GET"},
    {"validate.url", {"validate.method"}, "GET"},
};
static_assert(sizeof doors / sizeof doors[0] == SIM_DOOR_COUNT, "one row a door");

static bool is_loopback(struct text host)
{
    return host.len == 0 || strncmp(host.data, "127.", 4) == 0 ||
           strncasecmp(host.data, "localhost", 9) == 0 || host.data[0] == '[';
}

/* The path of a URL template, without the host. */
static struct text path_of(struct text template)
{
    const char *at = memmem(template.data, template.len, "://", 3);
    const char *begin = at ? at + 3 : template.data;
    const char *end = template.data + template.len;
    const char *slash = memchr(begin, '/', (size_t)(end - begin));
    return slash ? (struct text){slash, (size_t)(end - slash)} : TEXT_LITERAL("/");
}

/* The template's own query stands in the request's. */
static bool has_query(const struct looking *self, struct text query)
{
    struct text rest = query;
    while (rest.len > 0) {
        const char *end = memchr(rest.data, '&', rest.len);
        size_t len = end ? (size_t)(end - rest.data) : rest.len;
        const char *sign = memchr(rest.data, '=', len);
        struct text name = {rest.data, sign ? (size_t)(sign - rest.data) : len};
        if (!sim_seen_param(self->seen, SIM_QUERY, name).data)
            return false;
        rest = (struct text){rest.data + len + (end != NULL), rest.len - len - (end != NULL)};
    }
    return true;
}

/* Where revocations go to the token endpoint, their own parameters tell them. */
static bool is_revocation(const struct looking *self)
{
    const struct connector *entry = self->entry;
    struct text url = sim_setting(entry, "revoke_url");
    bool is_shared = text_equal(url, sim_setting(entry, "token_url")) &&
                     sim_setting_is(entry, "revoke_method", self->seen->request->method) &&
                     sim_setting_is(entry, "token_method", self->seen->request->method);
    for (size_t i = 0; is_shared && i < sim_items(entry, "revoke_params"); i++) {
        struct text name;
        struct text template = sim_item(entry, "revoke_params", i, &name);
        if (!sim_matches(template, sim_seen_any(self->seen, name), false, self->known))
            return false;
    }
    return !is_shared || sim_items(entry, "revoke_params") > 0;
}

static bool is_door(const struct looking *self, enum sim_door index)
{
    struct text template = sim_setting(self->entry, doors[index].setting);
    if (!template.data || (index == SIM_DOOR_SECOND && !self->awaits_second) ||
        (index == SIM_DOOR_REVOKE && !is_revocation(self)))
        return false;
    const char *mark = memchr(template.data, '?', template.len);
    struct text query = {mark ? mark + 1 : "",
                         mark ? template.len - (size_t)(mark - template.data) - 1 : 0};
    if (mark)
        template.len = (size_t)(mark - template.data);
    struct text host = buf_text(&self->seen->url);
    bool is_here = is_loopback((struct text){host.data + 8, host.len - 8}); /* behind https:// */
    bool is_right = is_here ? sim_matches(path_of(template), self->seen->path, true, self->known)
                            : sim_matches(template, buf_text(&self->seen->url), true, self->known);
    struct buf bare = buf_make(URL_MAX); /* a URL without a path is sent with `/` */
    buf_append_text(&bare, template);
    buf_append_byte(&bare, '/');
    is_right = is_right || (!is_here && sim_matches(buf_text(&bare), buf_text(&self->seen->url),
                                                    true, self->known));
    buf_free(&bare);
    return is_right && has_query(self, query);
}

static bool has_method(const struct looking *self, enum sim_door index)
{
    struct text method = {NULL, 0};
    for (size_t i = 0; doors[index].methods[i] && !method.data; i++)
        method = sim_setting(self->entry, doors[index].methods[i]);
    return text_is(method.data ? method : text_of(doors[index].method),
                   self->seen->request->method);
}

static struct looking looking_of(const struct connector *entry, const struct sim_check *check)
{
    return (struct looking){.entry = entry, .seen = check->seen, .known = check->known};
}

enum sim_door sim_door_of(const struct connector *entry, const struct sim_check *check,
                          bool awaits_second)
{
    enum sim_door found = SIM_DOOR_COUNT;
    struct looking self = looking_of(entry, check);
    self.awaits_second = awaits_second;
    for (enum sim_door door = 0; door < SIM_DOOR_COUNT; door++) {
        if (!is_door(&self, door))
            continue;
        if (has_method(&self, door))
            return door;
        if (found == SIM_DOOR_COUNT)
            found = door;
    }
    return found;
}

bool sim_door_is_wrong(const struct connector *entry, const struct sim_check *check,
                       enum sim_door door)
{
    const struct looking self = looking_of(entry, check);
    struct text token = sim_seen_any(check->seen, sim_parameter(entry, "refresh_token"));
    return door == SIM_DOOR_TOKEN && token.data && sim_setting(entry, "refresh_url").data &&
           !is_door(&self, SIM_DOOR_REFRESH);
}
