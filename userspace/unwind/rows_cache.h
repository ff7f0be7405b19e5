/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cache.h - rows of objects seen before, on disk.
 *
 * In the folder of cache_dir.h. A file is named by the build
 * id and by a hash of the object's code bounds and .eh_frame, since a container may bring any build id it likes. Files
 * appear whole (rename), are believed only if checksum, version and every index in them hold, and may be deleted at any
 * time. Nothing here is an error: what cannot be cached is made anew.
 */
#ifndef HEAPTAPE_ROWS_CACHE_H
#define HEAPTAPE_ROWS_CACHE_H

#include "unwind/rows.h"

/* NULL if there is none, or none that is sound. */
struct rows *rows_cache_load(const struct object *obj);
void rows_cache_store(const struct object *obj, const struct rows *rows);
/* From the cache, else built and stored. */
int rows_get(const struct object *obj, struct rows **rows_ret);

#endif
