/* SPDX-License-Identifier: BSD-2-Clause */
/* tape_path.h - %p, %h, %t and %% in the name of a tape. */
#ifndef HEAPTAPE_TAPE_PATH_H
#define HEAPTAPE_TAPE_PATH_H

#include <stddef.h>
#include <sys/types.h>
#include <time.h>

/* %p the pid, %h the host's name, %t the time (seconds since 1970). -EINVAL: another letter; -ENAMETOOLONG. */
int tape_path_expand(const char *template, pid_t pid, time_t now, char *path, size_t path_nbytes);

#endif
