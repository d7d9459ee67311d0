#include "cmd/cmd_doctor.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd_text.h"

static bool has_tcp(const struct config *config)
{
    const struct config_list *const lists[] = {&config->jobs, &config->intake, &config->events};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (size_t j = 0; j < lists[i]->count; j++) {
            if (strncmp(lists[i]->items[j], "tcp://", strlen("tcp://")) == 0)
                return true;
        }
    }
    return false;
}

/* ---- the configuration's --------------------------------------------------------------------------- */

static void look_at_ids(struct doctor *self, const struct principal *one)
{
    for (size_t i = 0; i < one->uid_count; i++) {
        if (!getpwuid(one->uids[i]))
            doctor_say(self, DOCTOR_WARN, one->name,
                       "take it out, unless a container has this user",
                       "no user of this machine has the uid %lu", (unsigned long)one->uids[i]);
    }
    for (size_t i = 0; i < one->gid_count; i++) {
        if (!getgrgid(one->gids[i]))
            doctor_say(self, DOCTOR_WARN, one->name,
                       "take it out, unless a container has this group",
                       "no group of this machine has the gid %lu", (unsigned long)one->gids[i]);
    }
}

static void look_at_one(struct doctor *self, const struct principal *one)
{
    look_at_ids(self, one);
    if (one->roles == 0 && one->scopes.count == 0)
        doctor_say(self, DOCTOR_WARN, one->name, "give it roles", "it may do nothing");
    else if ((one->roles & ~(unsigned)ROLE_ADMIN) != 0 && !one->owners.is_all &&
             one->owners.count == 0)
        doctor_say(self, DOCTOR_WARN, one->name, "give it owners, \"*\" for all",
                   "it has roles, and may act for nobody");
    if (one->key_count > 0 && one->owners.is_all && (one->roles & ROLE_ADMIN))
        doctor_say(self, DOCTOR_WARN, one->name,
                   "give admin to a principal of its own, on ipc where that will do",
                   "whoever gets hold of its key may do all for everybody, from another machine");
}

void doctor_look_at_principals(struct doctor *self)
{
    const struct config *config = self->config;
    for (size_t i = 0; config && i < config->principal_count; i++)
        look_at_one(self, &config->principals[i]);
}

/* ---- the daemon's ---------------------------------------------------------------------------------- */

static const json_t *find(const json_t *all, const char *name)
{
    for (size_t i = 0; i < json_array_size(all); i++) {
        const char *other = json_string_value(json_object_get(json_array_get(all, i), "principal"));
        if (other && strcmp(other, name) == 0)
            return json_array_get(all, i);
    }
    return NULL;
}

static bool is_from(const json_t *one, const char *from)
{
    const char *told = json_string_value(json_object_get(one, "from"));
    return told && strcmp(told, from) == 0;
}

static bool is_configured(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->principal_count; i++) {
        if (strcmp(config->principals[i].name, name) == 0)
            return true;
    }
    return false;
}

/* The file says who may speak after the next reload. */
static void compare(struct doctor *self, const json_t *all)
{
    const char *advice = "reload bursard, or say which file with --config";
    for (size_t i = 0; i < self->config->principal_count; i++) {
        const char *name = self->config->principals[i].name;
        const json_t *running = find(all, name);
        if (!running || !is_from(running, "configuration"))
            doctor_say(self, DOCTOR_WARN, name, advice,
                       "the principal is in the configuration, and the daemon does not have it");
    }
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *running = json_array_get(all, i);
        const char *name = json_string_value(json_object_get(running, "principal"));
        if (name && is_from(running, "configuration") && !is_configured(self->config, name))
            doctor_say(self, DOCTOR_WARN, name, advice,
                       "the daemon has the principal, and it is not in the configuration");
    }
}

void doctor_compare_principals(struct doctor *self, const json_t *reply)
{
    const json_t *all = json_object_get(reply, "principals");
    size_t made = 0, keys = 0;
    if (!all)
        return;
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);
        made += !is_from(one, "built_in");
        keys += json_array_size(json_object_get(one, "curve_keys"));
    }
    if (self->config)
        compare(self, all);
    if (self->config && has_tcp(self->config) && keys == 0)
        doctor_say(self, DOCTOR_WARN, "principals",
                   "`bursar principal add NAME --new-key FILE ...`, or no tcp endpoint",
                   "the daemon listens on tcp, and no principal has a CURVE key");
    if (made == 0)
        doctor_say(self, DOCTOR_OK, "principals", NULL,
                   "none: root and the daemon's own user may all, and nobody else may speak");
    else
        doctor_say(self, DOCTOR_OK, "principals", NULL, "%zu", made);
}

void doctor_look_at_roles(struct doctor *self, const json_t *whoami)
{
    static const char *const needed[] = {"connect", "manage", "events", "admin"};
    const json_t *roles = json_object_get(whoami, "roles");
    char missing[64] = "";
    if (!roles)
        return;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        bool is_there = false;
        for (size_t j = 0; j < json_array_size(roles); j++)
            is_there |= strcmp(cmd_text_safe(json_array_get(roles, j)), needed[i]) == 0;
        size_t len = strlen(missing);
        if (!is_there)
            snprintf(missing + len, sizeof missing - len, "%s%s", len > 0 ? ", " : "", needed[i]);
    }
    if (missing[0])
        doctor_say(self, DOCTOR_WARN, "daemon", "run the doctor as a principal that has them",
                   "%s does not have the roles %s: what they show was not looked at",
                   cmd_text_of(whoami, "principal"), missing);
}
