/* SPDX-License-Identifier: BSD-2-Clause */
/* confine.h - a seccomp filter for a process that runs somebody else's allocator and nothing else. */
#ifndef HEAPTAPE_CONFINE_H
#define HEAPTAPE_CONFINE_H

/* Puts the filter in force for this process and what it executes; no_new_privs is set already. Only system calls: may run
 * between fork and exec. -errno. */
int confine_system_calls(void);

#endif
