/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * overlay.h - where else the content of a file on an overlay stands, by a process's mountinfo.
 *
 * A file of a lower layer that was mapped stays mapped from there when it is copied up (by a chmod, say), while every name
 * of it, /proc/PID/map_files too, leads to the copy in the upper layer from then on.
 */
#ifndef HEAPTAPE_OVERLAY_H
#define HEAPTAPE_OVERLAY_H

#include <stddef.h>

/* The path of a file in the n-th layer, the lower ones from the top, then the upper one, of the overlay that `path` is on.
 * mountinfo: text of /proc/PID/mountinfo; path: as the process sees it. Layers are named as whoever mounted them saw them.
 * 0; -ENOENT: no overlay, or it has no such layer; -ENAMETOOLONG. */
int overlay_layer(const char *mountinfo, const char *path, unsigned n, char *layer_ret, size_t layer_nbytes);

#endif
