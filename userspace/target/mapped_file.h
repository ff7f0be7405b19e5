/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mapped_file.h - the file behind a mapping of a process, by every way that may lead to it.
 *
 * Files are replaced, removed, and lie in other mount namespaces; no single way leads to all of them, and none says
 * whether it led to the very file that is mapped (on an overlay not even device and inode do). So ways have an order and
 * whoever probes the file and finds that the probes do not show takes the next.
 */
#ifndef HEAPTAPE_MAPPED_FILE_H
#define HEAPTAPE_MAPPED_FILE_H

#include "target/maps.h"
#include "target/process.h"

#define MAPPED_FILE_WAY_MAX 256

/* Opens the file of a region by the first way of number *way or later that leads to a file, and puts that way's number
 * into *way and its words into `name` ("map_files", "root", "exe", "overlay layer /PATH"). The descriptor, or -errno:
 * -ENOENT: no way leads to it; -EACCES, -EPERM: one may, but the right lacks. */
int mapped_file_open(const struct process *p, const struct map_region *region, unsigned *way, char name[MAPPED_FILE_WAY_MAX]);

#endif
