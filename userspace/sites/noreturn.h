/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * noreturn.h - does a called function ever come back? What lies behind a call that does not (assert, abort) is another
 * piece of code, and following it would mix what is known there.
 *
 * A function comes back if a return instruction, or anything that cannot be followed, is reached in it without passing a
 * call that does not. Pure.
 */
#ifndef HEAPTAPE_NORETURN_H
#define HEAPTAPE_NORETURN_H

#include <stdbool.h>
#include <stdint.h>

#include "sites/code.h"
#include "target/object.h"

/* Answers given before; for one object and one thread at a time. */
struct noreturn_memo;

struct noreturn_memo *noreturn_memo_new(void);
void noreturn_memo_free(struct noreturn_memo *memo);
/* True only if the code at vaddr was followed to all its ends and none comes back. memo may be NULL. */
bool noreturn_function(const struct object *obj, struct code_reader *reader, struct noreturn_memo *memo, uint64_t vaddr);

#endif
