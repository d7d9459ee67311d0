#include "cmd/cmd_doctor.h"

#include <stdarg.h>
#include <stdio.h>

#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"

enum { TEXT_SIZE = 1024 };

static const struct cmd_option options[] = {
    {"config", "FILE", "the daemon's configuration"},
    {"all", NULL, "also what is as it should be"},
    {NULL, NULL, NULL},
};

static const char *const level_names[] = {
    [DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_FAIL] = "fail"};

void doctor_say(struct doctor *self, enum doctor_level level, const char *about, const char *advice,
                const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    json_t *what = json_string(text);
    if (!what) /* a name in it that is no UTF-8 */
        what = json_string("something whose name is no UTF-8");
    json_t *finding =
        json_pack("{s:s, s:s, s:o}", "level", level_names[level], "about", about, "what", what);
    if (advice)
        json_object_set_new(finding, "advice", json_string(advice));
    json_array_append_new(self->findings, finding);
    self->counts[level]++;
}

static void print_report(const struct doctor *self)
{
    bool has_all = cmd_option(self->args, "all") != NULL;
    for (size_t i = 0; i < json_array_size(self->findings); i++) {
        const json_t *finding = json_array_get(self->findings, i);
        const json_t *advice = json_object_get(finding, "advice");
        const char *level = cmd_text_of(finding, "level");
        if (!has_all && level[0] == 'o')
            continue;
        printf("%-4s  %s: %s\n", level, cmd_text_of(finding, "about"),
               cmd_text_of(finding, "what"));
        if (advice)
            printf("      %s\n", cmd_text_safe(advice));
    }
    printf("%zu ok, %zu to look at, %zu wrong\n", self->counts[DOCTOR_OK],
           self->counts[DOCTOR_WARN], self->counts[DOCTOR_FAIL]);
}

static void print_json(const struct doctor *self)
{
    json_t *report =
        json_pack("{s:b, s:O}", "ok", self->counts[DOCTOR_FAIL] == 0, "findings", self->findings);
    json_dumpf(report, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(report);
}

static int run(const struct cmd_args *args)
{
    struct doctor self = {.args = args, .findings = json_array()};
    doctor_look_at_files(&self, cmd_option(args, "config"));
    doctor_look_at_principals(&self);
    doctor_look_at_clock(&self);
    doctor_look_at_daemon(&self);
    if (args->is_json)
        print_json(&self);
    else
        print_report(&self);
    config_free(self.config);
    json_decref(self.findings);
    return self.counts[DOCTOR_FAIL] > 0 ? CMD_REFUSED : CMD_DONE;
}

const struct cmd cmd_doctor = {
    "doctor",
    "[--config FILE] [--all]",
    "say what is wrong with this installation, and what to do",
    options,
    0,
    0,
    run,
};
