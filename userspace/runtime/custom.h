/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * custom.h - an allocator that the user has described (custom_spec.h), as its calls come by.
 *
 * One `struct custom` is one allocator; its functions may lie in several files, each of which is a runtime of its own
 * (runtime.h) that shares it. The sink is handed calls with `ns` set to when the call began, and answers 1 where it is told at
 * another level. For one thread at a time.
 */
#ifndef HEAPTAPE_CUSTOM_H
#define HEAPTAPE_CUSTOM_H

#include "runtime/custom_spec.h"
#include "runtime/runtime.h"

struct custom;

/* spec must live as long. NULL: no memory. */
struct custom *custom_new(const struct custom_spec *spec);
void custom_free(struct custom *c);
/* Another program has taken the place of the one that was recorded: nothing lives any more. */
void custom_forget(struct custom *c);
/* Which of the functions were in some file so far, as bits. */
uint32_t custom_found(const struct custom *c);

/* What obj has of it, as a runtime whose probes are numbered from `first`. -ENOENT: none of its functions, or the file's name is
 * not the one that was asked for; -ENOTSUP: it has some, and return probes would kill it; -E2BIG: more than nr_max probes;
 * -ENOMEM. *rt_ret is NULL then. */
int custom_open(struct custom *c, const struct object *obj, unsigned first, unsigned nr_max, bool free_stacks,
		const struct runtime_sink *sink, struct runtime **rt_ret);

#endif
