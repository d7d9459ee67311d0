/* The broker in somebody else's process, with that process's own connectors.
 * Thread: one; the broker makes threads of its own.
 *
 * bursard is this and a main function: the same configuration file, the same sockets, which the
 * process's other threads and all other programs use through libbursar. Link with -lbursar-broker
 * (pkg-config bursar-broker). One broker a process: the locked memory for secrets and the log are the
 * process's. The process should ignore SIGPIPE, and forbid core files as bursard does. */
#ifndef BURSAR_BROKER_H
#define BURSAR_BROKER_H

#include <stdbool.h>
#include <stddef.h>

#include <bursar/connector.h>
#include <bursar/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the registry ---------------------------------------------------------------------------- */

/* The kinds of connectors that a configuration can name. It is filled before the broker starts, and
 * frozen by that. */
struct bursar_registry;

/* With bursar's own kinds; `_empty` with none. NULL without memory. */
struct bursar_registry *bursar_registry_new(void);
struct bursar_registry *bursar_registry_new_empty(void);
void bursar_registry_free(struct bursar_registry *registry);

/* Adds a kind, in place of one of the same name. The descriptor and all it points to are borrowed as
 * long as the registry lives. BURSAR_OK, BURSAR_E_BAD_REQUEST (error gets why, cut to size bytes),
 * BURSAR_E_CONFLICT where the registry is frozen, BURSAR_E_NOMEM. */
int bursar_registry_add(struct bursar_registry *registry, const struct bursar_connector *connector,
                        char *error, size_t size);
/* BURSAR_OK, BURSAR_E_NOT_FOUND, BURSAR_E_CONFLICT where the registry is frozen. */
int bursar_registry_remove(struct bursar_registry *registry, const char *kind);
/* Loads the modules of a folder. BURSAR_OK, or BURSAR_E_CONFIG with the first reason in error where one
 * or more were refused; the others are loaded then. */
int bursar_registry_load(struct bursar_registry *registry, const char *folder, char *error,
                         size_t size);

/* NULL where there is no such kind. */
const struct bursar_connector *bursar_registry_get(const struct bursar_registry *registry,
                                                   const char *kind);
bool bursar_registry_has(const struct bursar_registry *registry, const char *kind);
size_t bursar_registry_count(const struct bursar_registry *registry);
/* By kind, in order; NULL behind the last one. */
const struct bursar_connector *bursar_registry_item(const struct bursar_registry *registry,
                                                    size_t index);

/* ---- the broker ------------------------------------------------------------------------------ */

struct bursar_broker;

/* Starts the broker of a configuration file and returns when it takes jobs. Takes the registry in every
 * case; NULL is bursar's own kinds. BURSAR_OK, BURSAR_E_CONFIG, BURSAR_E_STORE_UNAVAILABLE,
 * BURSAR_E_CONFLICT where this process has one already, BURSAR_E_NOMEM; error gets one or more lines
 * for people, cut to size bytes, never a secret. */
int bursar_broker_start(const char *config_path, struct bursar_registry *registry,
                        struct bursar_broker **out_broker, char *error, size_t size);
/* Takes no more jobs, finishes what is under way, commits, and ends the threads; NULL is fine. Waits for
 * at most half a minute. */
void bursar_broker_stop(struct bursar_broker *broker);

#ifdef __cplusplus
}
#endif
#endif
