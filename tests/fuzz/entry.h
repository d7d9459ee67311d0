/* A provider's entry from memory, for fuzz targets: the file that config_load_entry() wants is one
 * without a name.
 * Thread: one. */
#ifndef TESTS_FUZZ_ENTRY_H
#define TESTS_FUZZ_ENTRY_H

#include "base/buf.h"
#include "base/text.h"
#include "config/config.h"
#include "connector/connector.h"

/* The path of a file with this content, good until the next call. */
const char *entry_file(struct text content);

/* As config_load_entry(). more: further keys, as YAML. */
int entry_load(struct text yaml, const struct config_kinds *kinds, const char *more,
               struct config_provider *out_provider, struct buf *errors);

/* Connectors of entries, once for all inputs, with a registry of their own that lives as long. */
void entries_open(const char *const *entries, size_t count, const char *more,
                  struct connector *out_connectors);

#endif
