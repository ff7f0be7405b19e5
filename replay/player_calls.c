/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which function stands for each recorded call. The one place that knows:
 *
 *   recorded               played as
 *   malloc calloc realloc free posix_memalign aligned_alloc memalign valloc pvalloc   themselves
 *   operator new           the allocator's operator new (nothrow) where its object has one, else malloc
 *   ... with alignment     the same with alignment, else aligned_alloc
 *   operator delete        the allocator's operator delete where its operator new was used, else free
 *   ... sized              with the size, for objects that were born by plain operator new of that size
 *   sdallocx               free (the flags of the recorded call are not on the tape)
 *
 * Functions that the allocator's object lacks come from wherever the dynamic linker finds them; the parent is
 * told which (control.from_elsewhere), and warns.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>

#include "replay/player.h"

#if !defined(__PIE__) && !defined(__PIC__)
#error "the player must be position independent (-fPIE): elsewhere a function's address is that of its own stub"
#endif

struct nothrow {
	char nothing;
};
static const struct nothrow nothrow;

/* Itanium C++ ABI names; size_t is unsigned long. */
void *new_plain(size_t size, const struct nothrow *tag) __asm__("_ZnwmRKSt9nothrow_t") __attribute__((weak));
void *new_aligned(size_t size, size_t align, const struct nothrow *tag)
	__asm__("_ZnwmSt11align_val_tRKSt9nothrow_t") __attribute__((weak));
void delete_plain(void *addr) __asm__("_ZdlPv") __attribute__((weak));
void delete_sized(void *addr, size_t size) __asm__("_ZdlPvm") __attribute__((weak));

size_t (*player_usable_size)(void *addr);
static bool has_new, has_new_aligned, has_delete, has_delete_sized;

static const void *base_of(const void *function)
{
	Dl_info info;
	return function && dladdr(function, &info) ? info.dli_fbase : NULL;
}

/*
 * `function` is what this program's own calls go to. dlsym would not tell: it finds versions of a symbol that
 * calls do not bind to.
 */
static void note_function(enum control_function fn, const void *function)
{
	struct control *c = player.control;
	c->function_at[fn] = (uint64_t)function;
	if (!function)
		c->absent |= 1u << fn;
	else if (base_of(function) != base_of((const void *)c->function_at[CONTROL_FN_MALLOC]))
		c->from_elsewhere |= 1u << fn;
}

static bool is_own(enum control_function fn)
{
	const struct control *c = player.control;
	return !((c->absent | c->from_elsewhere) & 1u << fn);
}

void player_calls_resolve(void)
{
	note_function(CONTROL_FN_MALLOC, malloc);
	note_function(CONTROL_FN_FREE, free);
	note_function(CONTROL_FN_CALLOC, calloc);
	note_function(CONTROL_FN_REALLOC, realloc);
	note_function(CONTROL_FN_POSIX_MEMALIGN, posix_memalign);
	note_function(CONTROL_FN_ALIGNED_ALLOC, aligned_alloc);
	note_function(CONTROL_FN_MEMALIGN, memalign);
	note_function(CONTROL_FN_VALLOC, valloc);
	note_function(CONTROL_FN_PVALLOC, pvalloc);
	note_function(CONTROL_FN_USABLE_SIZE, malloc_usable_size);
	note_function(CONTROL_FN_NEW, new_plain);
	note_function(CONTROL_FN_NEW_ALIGNED, new_aligned);
	note_function(CONTROL_FN_DELETE, delete_plain);
	note_function(CONTROL_FN_DELETE_SIZED, delete_sized);
	player_usable_size = is_own(CONTROL_FN_USABLE_SIZE) ? malloc_usable_size : NULL;
	has_delete = is_own(CONTROL_FN_DELETE);
	has_delete_sized = has_delete && is_own(CONTROL_FN_DELETE_SIZED);
	/* Never new without the delete that belongs to it. */
	has_new = has_delete && is_own(CONTROL_FN_NEW);
	has_new_aligned = has_new && is_own(CONTROL_FN_NEW_ALIGNED);
}

void *player_call_birth(const struct plan_op *op)
{
	size_t align = (size_t)1 << op->align_log2;
	void *addr = NULL;
	switch (op->kind) {
	case PLAN_POSIX_MEMALIGN:
		align = align < sizeof(void *) ? sizeof(void *) : align;
		return posix_memalign(&addr, align, op->arg) ? NULL : addr;
	case PLAN_ALIGNED_ALLOC: return aligned_alloc(align, op->arg);
	case PLAN_MEMALIGN: return memalign(align, op->arg);
	case PLAN_VALLOC: return valloc(op->arg);
	case PLAN_PVALLOC: return pvalloc(op->arg);
	case PLAN_NEW:
		if (op->align_log2)
			return has_new_aligned ? new_aligned(op->arg, align, &nothrow) : aligned_alloc(align, op->arg);
		return has_new ? new_plain(op->arg, &nothrow) : malloc(op->arg);
	case PLAN_CALLOC: return calloc(1, op->arg);
	default: return malloc(op->arg);
	}
}

void player_call_death(const struct plan_op *op, void *addr)
{
	if (op->kind != PLAN_DELETE || !has_new)
		free(addr);
	else if (op->flags & PLAN_SIZED && has_delete_sized)
		delete_sized(addr, op->arg);
	else
		delete_plain(addr);
}
