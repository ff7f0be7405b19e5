/* SPDX-License-Identifier: BSD-2-Clause */
/* machine.h - what a tape says about the machine and the target (formats/TAPE.md, "Meta keys"). */
#ifndef HEAPTAPE_MACHINE_H
#define HEAPTAPE_MACHINE_H

#include <stdbool.h>

#include "formats/tape.h"
#include "target/process.h"

/* Facts that allocators ask the machine for. What cannot be read is left out. */
int machine_write(struct tape_writer *w, const struct process *p);
/* pid, program, arguments (unless left out), allocator settings from the environment. */
int target_write(struct tape_writer *w, const struct process *p, bool with_cmdline);

#endif
