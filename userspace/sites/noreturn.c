/* SPDX-License-Identifier: BSD-2-Clause */
/* Functions that do not come back, found by following them. */
#include "noreturn.h"

#include <stdlib.h>
#include <string.h>

enum {
	MEMO_SLOTS = 2048, /* a power of two */
	INSNS_MAX = 512,   /* of one function: those that end the program are short */
	DEPTH_MAX = 4,     /* assert, message, abort ... */
};

struct noreturn_memo {
	struct {
		uint64_t vaddr;
		bool known, noreturn;
	} slots[MEMO_SLOTS];
};

struct walk {
	const struct object *obj;
	struct code_reader *reader;
	struct noreturn_memo *memo;
	uint64_t seen[INSNS_MAX];
	uint64_t todo[INSNS_MAX];
	unsigned nr_seen, nr_todo;
};

struct noreturn_memo *noreturn_memo_new(void)
{
	return calloc(1, sizeof(struct noreturn_memo));
}

void noreturn_memo_free(struct noreturn_memo *memo)
{
	free(memo);
}

static bool is_seen(const struct walk *w, uint64_t vaddr)
{
	for (unsigned i = 0; i < w->nr_seen; i++)
		if (w->seen[i] == vaddr)
			return true;
	return false;
}

static bool ask(const struct object *obj, struct code_reader *reader, struct noreturn_memo *memo, uint64_t vaddr, int depth);

/* Straight on from vaddr; false: something comes back, or cannot be followed. */
static bool run_on(struct walk *w, uint64_t vaddr, int depth)
{
	for (;;) {
		struct code_insn in;
		const uint8_t *bytes;
		size_t avail;

		if (is_seen(w, vaddr))
			return true;
		bytes = object_code(w->obj, vaddr, &avail);
		if (w->nr_seen == INSNS_MAX || !bytes || !code_decode(w->reader, bytes, avail, vaddr, &in))
			return false;
		w->seen[w->nr_seen++] = vaddr;
		switch (in.flow) {
		case CODE_RETURN:
		case CODE_INDIRECT: return false;
		case CODE_STOP: return true;
		case CODE_JUMP: vaddr = in.target; continue;
		case CODE_CALL:
			if (in.target && ask(w->obj, w->reader, w->memo, in.target, depth + 1))
				return true;
			break;
		case CODE_BRANCH:
			if (w->nr_todo == INSNS_MAX)
				return false;
			w->todo[w->nr_todo++] = in.target;
			break;
		case CODE_NEXT: break;
		}
		vaddr += in.nbytes;
	}
}

static bool follow(const struct object *obj, struct code_reader *reader, struct noreturn_memo *memo, uint64_t vaddr, int depth)
{
	struct walk *w = calloc(1, sizeof(*w));
	bool ends = w;

	if (!w)
		return false;
	w->obj = obj;
	w->reader = reader;
	w->memo = memo;
	w->todo[w->nr_todo++] = vaddr;
	while (ends && w->nr_todo)
		ends = run_on(w, w->todo[--w->nr_todo], depth);
	free(w);
	return ends;
}

static bool ask(const struct object *obj, struct code_reader *reader, struct noreturn_memo *memo, uint64_t vaddr, int depth)
{
	unsigned slot = (unsigned)(vaddr * 0x9e3779b97f4a7c15u >> 53) & (MEMO_SLOTS - 1);
	bool noreturn;

	if (depth > DEPTH_MAX)
		return false;
	if (memo && memo->slots[slot].known && memo->slots[slot].vaddr == vaddr)
		return memo->slots[slot].noreturn;
	noreturn = follow(obj, reader, memo, vaddr, depth);
	/* An answer from deep down may only mean that it was not followed any further. */
	if (memo && (noreturn || depth == 0)) {
		memo->slots[slot].vaddr = vaddr;
		memo->slots[slot].known = true;
		memo->slots[slot].noreturn = noreturn;
	}
	return noreturn;
}

bool noreturn_function(const struct object *obj, struct code_reader *reader, struct noreturn_memo *memo, uint64_t vaddr)
{
	return ask(obj, reader, memo, vaddr, 0);
}
