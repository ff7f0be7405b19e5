/* SPDX-License-Identifier: BSD-2-Clause */
/* cache_dir.h - where heaptape keeps what it can compute again. */
#ifndef HEAPTAPE_CACHE_DIR_H
#define HEAPTAPE_CACHE_DIR_H

#include <stddef.h>
#include <stdint.h>

/* HEAPTAPE_CACHE, else $XDG_CACHE_HOME/heaptape, else /var/cache/heaptape for root and ~/.cache/heaptape for others; made if it is not
 * there (mode 0700). -ENOENT: none is wanted (HEAPTAPE_CACHE=off) or none can be had; -ENAMETOOLONG; -EPERM: it is not the
 * user's own, or others may write to it. */
int cache_dir(char *path, size_t path_nbytes);

/* Takes files of a folder away, those not used for longest first, until the others are no more than so many bytes. What
 * cannot be read or removed stays. */
void trim_folder(const char *path, uint64_t nbytes_max);

#endif
