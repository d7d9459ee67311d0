#include "config/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Any value may have been made of a secret, so all are wiped. */
static void free_text(char *text)
{
    if (text)
        secret_wipe(text, strlen(text));
    free(text);
}

static void free_setting(struct setting *setting)
{
    for (size_t i = 0; setting->items && i < setting->item_count; i++) {
        free(setting->items[i].name);
        free_text(setting->items[i].value);
    }
    free(setting->items);
    free(setting->name);
    free_text(setting->text);
    secret_free(&setting->secret);
}

void settings_free(struct settings *settings)
{
    for (size_t i = 0; i < settings->count; i++)
        free_setting(&settings->values[i]);
    free(settings->values);
    free(settings->slots);
    *settings = (struct settings){.values = NULL};
}

const char *setting_name(const struct setting *setting)
{
    return setting->name ? setting->name : setting->option->name;
}

/* FNV-1a, of the length and both ends: names that begin alike end differently. */
static size_t hash_of(const char *name)
{
    size_t len = strlen(name);
    uint32_t hash = 2166136261u ^ (uint32_t)len;
    for (size_t i = 0; i < len && i < 4; i++) {
        hash = (hash ^ (unsigned char)name[i]) * 16777619u;
        hash = (hash ^ (unsigned char)name[len - 1 - i]) * 16777619u;
    }
    return hash;
}

/* The slot of a name, or the free one where it would stand: at least every other one is free. */
static uint16_t *slot_of(const struct settings *settings, const char *name)
{
    size_t at = hash_of(name);
    for (;; at++) {
        uint16_t *slot = &settings->slots[at & (settings->slot_count - 1)];
        if (*slot == 0 || strcmp(setting_name(&settings->values[*slot - 1]), name) == 0)
            return slot;
    }
}

static void forget_index(struct settings *settings)
{
    free(settings->slots);
    settings->slots = NULL;
    settings->slot_count = 0;
}

void settings_index(struct settings *settings)
{
    size_t slot_count = 16;
    forget_index(settings);
    while (slot_count < settings->count * 2)
        slot_count *= 2;
    if (settings->count >= UINT16_MAX)
        return;
    settings->slots = calloc(slot_count, sizeof *settings->slots);
    if (!settings->slots)
        return;
    settings->slot_count = slot_count;
    for (size_t i = 0; i < settings->count; i++)
        *slot_of(settings, setting_name(&settings->values[i])) = (uint16_t)(i + 1);
}

static struct setting *find(const struct settings *settings, const char *name)
{
    if (settings->slots) {
        uint16_t slot = *slot_of(settings, name);
        return slot > 0 ? &settings->values[slot - 1] : NULL;
    }
    for (size_t i = 0; i < settings->count; i++) {
        if (strcmp(setting_name(&settings->values[i]), name) == 0)
            return &settings->values[i];
    }
    return NULL;
}

bool settings_put(struct settings *settings, struct setting *setting)
{
    forget_index(settings);
    struct setting *old = find(settings, setting_name(setting));
    if (!old) {
        struct setting *values =
            reallocarray(settings->values, settings->count + 1, sizeof *values);
        if (!values) {
            free_setting(setting);
            return false;
        }
        settings->values = values;
        old = &values[settings->count++];
    } else {
        free_setting(old);
    }
    *old = *setting;
    *setting = (struct setting){0};
    return true;
}

const struct setting *settings_find(const struct settings *settings, const char *name)
{
    return find(settings, name);
}

struct text setting_text(const struct setting *setting)
{
    if (!setting)
        return (struct text){NULL, 0};
    if (setting->option->type == BURSAR_OPTION_SECRET)
        return secret_text(&setting->secret);
    return text_of(setting->text);
}

struct text settings_text(const struct settings *settings, const char *name)
{
    return setting_text(find(settings, name));
}

double settings_number(const struct settings *settings, const char *name, double absent)
{
    const struct setting *setting = find(settings, name);
    return setting ? setting->number : absent;
}

bool settings_bool(const struct settings *settings, const char *name)
{
    return settings_number(settings, name, 0) > 0;
}

size_t settings_rows(const struct settings *settings, const char *name)
{
    const struct setting *setting = find(settings, name);
    return setting ? setting->item_count : 0;
}

struct text settings_cell(const struct settings *settings, const char *name, size_t row,
                          const char *column)
{
    char full[128];
    snprintf(full, sizeof full, "%s.%zu.%s", name, row, column);
    return settings_text(settings, full);
}
