/* What `bursar doctor` looks at, and how it says what it found.
 * Thread: the program's only one.
 *
 *     cmd_doctor.c         the command, and its report
 *     cmd_doctor_files.c      the configuration and the files that it names
 *     cmd_doctor_principal.c  who may speak
 *     cmd_doctor_daemon.c     the running daemon */
#ifndef CMD_CMD_DOCTOR_H
#define CMD_CMD_DOCTOR_H

#include <jansson.h>

#include "cmd/cmd.h"
#include "config/config.h"

enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct doctor {
    const struct cmd_args *args;
    json_t *findings;
    size_t counts[DOCTOR_FAIL + 1];
    struct config *config; /* NULL where it could not be read, or has errors */
};

/* One line of the report. advice is what to do, or NULL where nothing is. */
void doctor_say(struct doctor *self, enum doctor_level level, const char *about, const char *advice,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Reads the configuration (self->config) and looks at what it names. path NULL: where bursard looks. */
void doctor_look_at_files(struct doctor *self, const char *path);
void doctor_look_at_clock(struct doctor *self);
void doctor_look_at_daemon(struct doctor *self);
/* The principals of the configuration. */
void doctor_look_at_principals(struct doctor *self);
/* The same of the daemon, as principal.list answers; NULL where it may not be asked. */
void doctor_compare_principals(struct doctor *self, const json_t *reply);
/* What of the daemon this principal may not ask about, by the answer of whoami. */
void doctor_look_at_roles(struct doctor *self, const json_t *whoami);

#endif
