/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stack_text.h - a call stack as one line for people: the functions that matter, innermost first, "a < b < c".
 *
 * Frames inside the allocators are left out at the beginning, as is what inlined wrappers of operator new add; a name is
 * cut where it is longer than a person reads. One thread at a time.
 */
#ifndef HEAPTAPE_STACK_TEXT_H
#define HEAPTAPE_STACK_TEXT_H

#include <stddef.h>

#include "formats/tape.h"
#include "symbols/naming.h"

/* Frame at which the program's own code begins, innermost 0; 0 if all of it is the allocator's. */
uint32_t stack_text_first(const struct tape_reader *r, const struct tape_frame *frames, uint32_t nr);
/* At most nr_frames names into buf, which is returned: "[no stack]" for number 0. */
const char *stack_text(const struct tape_reader *r, struct naming *naming, uint32_t stack, unsigned nr_frames, char *buf, size_t nbytes);

#endif
