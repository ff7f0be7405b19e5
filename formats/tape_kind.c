/* SPDX-License-Identifier: BSD-2-Clause */
/* tape_kind.c - the names of what stands on a tape. They are the words of `dump`: part of the interface. */
#include "tape.h"

static const char *const kind_names[] = {
	[TAPE_MALLOC] = "malloc",
	[TAPE_CALLOC] = "calloc",
	[TAPE_REALLOC] = "realloc",
	[TAPE_POSIX_MEMALIGN] = "posix_memalign",
	[TAPE_ALIGNED_ALLOC] = "aligned_alloc",
	[TAPE_MEMALIGN] = "memalign",
	[TAPE_VALLOC] = "valloc",
	[TAPE_PVALLOC] = "pvalloc",
	[TAPE_NEW] = "new",
	[TAPE_FREE] = "free",
	[TAPE_DELETE] = "delete",
	[TAPE_SDALLOCX] = "sdallocx",
	[TAPE_GIVE_UP] = "give_up",
	[TAPE_MMAP] = "mmap",
	[TAPE_MUNMAP] = "munmap",
	[TAPE_MREMAP] = "mremap",
	[TAPE_BRK] = "brk",
	[TAPE_MADVISE] = "madvise",
	[TAPE_THREAD_START] = "thread_start",
	[TAPE_THREAD_NAME] = "thread_name",
	[TAPE_THREAD_EXIT] = "thread_exit",
	[TAPE_FAULT] = "fault",
	[TAPE_RSS] = "rss",
	[TAPE_EXEC] = "exec",
	[TAPE_STEER] = "steer",
	[TAPE_LOST] = "lost",
	[TAPE_MARK] = "mark",
	[TAPE_COUNTER] = "counter",
	[TAPE_SUSPEND] = "suspend",
	[TAPE_SPAN] = "span",
	[TAPE_SPAN_FREE] = "span_free",
	[TAPE_FIGURE] = "figure",
};

static const char *const loss_names[] = {
	[TAPE_LOSS_RING_FULL] = "ring_full",
	[TAPE_LOSS_STASH_FULL] = "stash_full",
	[TAPE_LOSS_MAP_FULL] = "map_full",
	[TAPE_LOSS_STACK] = "stack",
	[TAPE_LOSS_CALL_CUT] = "call_cut",
	[TAPE_LOSS_PLAN] = "plan",
};

static const char *const by_names[] = {
	[TAPE_BY_UNKNOWN] = "unknown",
	[TAPE_BY_ALLOCATOR] = "allocator",
	[TAPE_BY_PROGRAM] = "program",
	[TAPE_BY_LOADER] = "loader",
};

static const char *name_of(const char *const *names, unsigned nr, unsigned i)
{
	return i < nr ? names[i] : NULL;
}

bool tape_kind_is_call(unsigned kind)
{
	return kind >= TAPE_MALLOC && kind <= TAPE_SDALLOCX;
}

bool tape_kind_is_alloc(unsigned kind)
{
	return kind >= TAPE_MALLOC && kind <= TAPE_NEW;
}

bool tape_kind_has_string(unsigned kind)
{
	return kind == TAPE_THREAD_START || kind == TAPE_THREAD_NAME || kind == TAPE_EXEC || kind == TAPE_STEER ||
	       (kind >= TAPE_SPAN && kind <= TAPE_FIGURE);
}

const char *tape_kind_name(unsigned kind)
{
	return name_of(kind_names, sizeof(kind_names) / sizeof(kind_names[0]), kind);
}

const char *tape_loss_name(unsigned loss)
{
	return name_of(loss_names, sizeof(loss_names) / sizeof(loss_names[0]), loss);
}

const char *tape_mark_name(unsigned mark)
{
	static const char *const names[TAPE_MARK_NR] = { [TAPE_MARK_START] = "start",
							 [TAPE_MARK_END] = "end",
							 [TAPE_MARK_NO_FREE_STACKS] = "no-free-stacks",
							 [TAPE_MARK_THINNED] = "thinned",
							 [TAPE_MARK_DETACHED] = "detached" };

	return name_of(names, TAPE_MARK_NR, mark);
}

const char *tape_by_name(unsigned by)
{
	return name_of(by_names, sizeof(by_names) / sizeof(by_names[0]), by);
}
