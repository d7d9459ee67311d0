#include <stdio.h>
#include <string.h>

#include "sim/conform_parts.h"

enum { NAME_SIZE = 160 };

static const struct {
    const char *list;
    enum verdict_class verdict;
} lists[] = {{"reauth_errors", VERDICT_GRANT},
             {"client_errors", VERDICT_CLIENT},
             {"transient_errors", VERDICT_PROVIDER},
             {"throttle_errors", VERDICT_THROTTLED}};
enum { LIST_COUNT = sizeof lists / sizeof lists[0] };

/* Codes that mean the same at every provider, unless an entry lists them for something else. */
static const struct {
    const char *code;
    int status;
    enum verdict_class verdict;
    bool wants_grant;
} standard[] = {
    {"invalid_grant", 400, VERDICT_GRANT, true},
    {"invalid_client", 401, VERDICT_CLIENT, false},
    {"unauthorized_client", 400, VERDICT_CLIENT, false},
    {"invalid_scope", 400, VERDICT_CLIENT, false},
    {"unsupported_grant_type", 400, VERDICT_CLIENT, false},
    {"temporarily_unavailable", 400, VERDICT_PROVIDER, false},
    {"server_error", 500, VERDICT_PROVIDER, false},
    {"slow_down", 400, VERDICT_THROTTLED, false},
};

static int run_error(struct conform *conform, const char *name, const struct sim_play *play,
                     enum verdict_class expected)
{
    struct conform_run run;
    int result = conform_begin(conform, name, &run);
    if (result == 0 && conform_refresh(&run, play))
        conform_expect(&run, expected);
    conform_end(&run);
    return result;
}

/* What a throttling status says comes before any word, unless it is one itself. */
static bool is_masked(int status)
{
    return status == 429 || status == 420;
}

static int run_word(struct conform *conform, size_t list, size_t index)
{
    const struct connector *entry = conform->sim->entry;
    char name[NAME_SIZE];
    struct text text = sim_item(entry, lists[list].list, index, NULL);
    struct sim_play play = {.fault = SIM_ERROR};
    play.error = sim_word_of(text, sim_path(entry, "error_subcode_path").data != NULL);
    play.has_no_body = play.error.status > 0 && !play.error.code.data;
    snprintf(name, sizeof name, "%s: %.*s", lists[list].list, (int)text.len, text.data);
    if (is_masked(play.error.status) && lists[list].verdict != VERDICT_THROTTLED) {
        struct conform_run run;
        int result = conform_begin(conform, name, &run);
        conform_fail(&run, "HTTP %d asks to wait, whatever the entry lists it for",
                     play.error.status);
        conform_end(&run);
        return result;
    }
    play.status = sim_error_status(entry, &play.error);
    return run_error(conform, name, &play, lists[list].verdict);
}

/* A word that is a code and nothing else. */
static struct sim_word plain_word(const struct connector *entry)
{
    for (size_t i = 0; i < sim_items(entry, "reauth_errors"); i++) {
        struct sim_word word = sim_word_of(sim_item(entry, "reauth_errors", i, NULL), true);
        if (word.status == 0 && word.code.len > 0 && !word.subcode.data)
            return word;
    }
    return (struct sim_word){.code = TEXT_LITERAL("invalid_grant")};
}

/* The same at the other places where this provider is said to put codes. */
static int run_places(struct conform *conform)
{
    const struct connector *entry = conform->sim->entry;
    size_t count = sim_body_queries(sim_path(entry, "error_path"));
    int result = 0;
    for (size_t i = 1; result == 0 && i < count; i++) {
        struct sim_play play = {.fault = SIM_ERROR, .error_query = i};
        char name[NAME_SIZE];
        snprintf(name, sizeof name, "an error at path %zu of error_path", i + 1);
        play.error = plain_word(entry);
        play.status = sim_error_status(entry, &play.error);
        if (conform_wants(conform, name))
            result = run_error(conform, name, &play, VERDICT_GRANT);
    }
    return result;
}

static bool is_listed(const struct connector *entry, const char *code, int status)
{
    for (size_t l = 0; l < LIST_COUNT; l++) {
        for (size_t i = 0; i < sim_items(entry, lists[l].list); i++) {
            struct text text = sim_item(entry, lists[l].list, i, NULL);
            struct sim_word word = sim_word_of(text, true);
            bool is_code = text_is(word.code, code) ||
                           (word.is_prefix && strncmp(code, word.code.data, word.code.len) == 0);
            if (is_code || (word.status == status && !word.code.data))
                return true;
        }
    }
    return false;
}

static int run_standard(struct conform *conform, size_t index)
{
    char name[NAME_SIZE];
    struct sim_play play = {.fault = SIM_ERROR,
                            .status = standard[index].status,
                            .error.code = text_of(standard[index].code)};
    bool is_other = is_listed(conform->sim->entry, standard[index].code, play.status) ||
                    is_listed(conform->sim->entry, standard[index].code, 200);
    snprintf(name, sizeof name, "error %s", standard[index].code);
    if (is_other || !sim_path(conform->sim->entry, "error_path").data ||
        (standard[index].wants_grant && !conform_has_grant(conform)) ||
        !conform_wants(conform, name))
        return 0;
    return run_error(conform, name, &play, standard[index].verdict);
}

int conform_words(struct conform *conform)
{
    int result = 0;
    for (size_t l = 0; l < LIST_COUNT; l++) {
        size_t count = sim_items(conform->sim->entry, lists[l].list);
        for (size_t i = 0; result == 0 && i < count && conform_wants(conform, lists[l].list); i++)
            result = run_word(conform, l, i);
    }
    for (size_t i = 0; result == 0 && i < sizeof standard / sizeof standard[0]; i++)
        result = run_standard(conform, i);
    return result == 0 ? run_places(conform) : result;
}
