/* The kinds of connectors that there are: those built in, those of loaded modules, an embedder's own.
 * Thread: one until registry_freeze(); after that any, for it does not change any more. */
#ifndef CONNECTOR_REGISTRY_H
#define CONNECTOR_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

#include <bursar/connector.h>

#include "base/buf.h"
#include "config/config.h"

struct registry;

/* With the built-in kinds, or with none. NULL without memory. */
struct registry *registry_new(void);
struct registry *registry_new_empty(void);
/* Modules that were loaded stay in memory: their constants may be in use as long as the process is. */
void registry_free(struct registry *registry);

/* Takes a descriptor's place in the registry; the descriptor itself is borrowed until the registry
 * ends. A kind that is there already is replaced. 0, BURSAR_E_BAD_REQUEST with the reason in error,
 * BURSAR_E_CONFLICT once it is frozen, BURSAR_E_NOMEM. */
int registry_add(struct registry *registry, const struct bursar_connector *module,
                 struct buf *error);
/* 0, BURSAR_E_NOT_FOUND, BURSAR_E_CONFLICT once it is frozen. */
int registry_remove(struct registry *registry, const char *kind);

const struct bursar_connector *registry_find(const struct registry *registry, const char *kind);
size_t registry_count(const struct registry *registry);
/* By kind, in order; NULL behind the last one. */
const struct bursar_connector *registry_item(const struct registry *registry, size_t index);
/* The file that a module was loaded from; NULL for all others. */
const char *registry_file(const struct registry *registry, const char *kind);

void registry_freeze(struct registry *registry);

/* Loads each *.so of a folder (loader.c): a file that others may write, that has no symbol of ours, an
 * other ABI, nonsense in its descriptor, a kind that is there already, or that does not live through
 * its loading (tried in a process of its own first) is refused: one line in errors, ended by NUL. A folder that is not there has no modules. */
void registry_load_folder(struct registry *registry, const char *folder, struct buf *errors);

/* What is wrong with a descriptor, or NULL. */
const char *registry_problem(const struct bursar_connector *module);

/* For config_load(), which may load modules through it as long as it is not frozen. */
const struct config_kinds *registry_kinds(const struct registry *registry);

/* loader.c alone: an added module that came from a file. Borrows file. */
int registry_add_loaded(struct registry *registry, const struct bursar_connector *module,
                        const char *file, struct buf *error);

#endif
