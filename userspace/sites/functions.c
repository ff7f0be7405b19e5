/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of recorded functions. */
#include "functions.h"

#include <stddef.h>
#include <string.h>

#include "formats/tape.h"

#define NR(a) (sizeof(a) / sizeof((a)[0]))

static const struct function functions[] = {
	/* name                kind              size mul ptr old align flags */
	{ "malloc", TAPE_MALLOC, 1, 0, 0, 0, 0, FUNCTION_CORE },
	{ "calloc", TAPE_CALLOC, 2, 1, 0, 0, 0, 0 },
	{ "realloc", TAPE_REALLOC, 2, 0, 0, 1, 0, 0 },
	{ "reallocarray", TAPE_REALLOC, 2, 3, 0, 1, 0, 0 },
	{ "free", TAPE_FREE, 0, 0, 1, 0, 0, FUNCTION_CORE },
	{ "cfree", TAPE_FREE, 0, 0, 1, 0, 0, 0 },
	{ "free_sized", TAPE_FREE, 2, 0, 1, 0, 0, 0 },
	{ "free_aligned_sized", TAPE_FREE, 3, 0, 1, 0, 0, 0 },
	{ "posix_memalign", TAPE_POSIX_MEMALIGN, 3, 0, 1, 0, 2, FUNCTION_BY_POINTER },
	{ "aligned_alloc", TAPE_ALIGNED_ALLOC, 2, 0, 0, 0, 1, 0 },
	{ "memalign", TAPE_MEMALIGN, 2, 0, 0, 0, 1, 0 },
	{ "valloc", TAPE_VALLOC, 1, 0, 0, 0, 0, 0 },
	{ "pvalloc", TAPE_PVALLOC, 1, 0, 0, 0, 0, 0 },
	/* jemalloc */
	{ "mallocx", TAPE_MALLOC, 1, 0, 0, 0, 2, FUNCTION_LG_ALIGN },
	{ "rallocx", TAPE_REALLOC, 2, 0, 0, 1, 3, FUNCTION_LG_ALIGN },
	{ "dallocx", TAPE_FREE, 0, 0, 1, 0, 0, 0 },
	{ "sdallocx", TAPE_SDALLOCX, 2, 0, 1, 0, 0, 0 },
	/* mimalloc (what is not the base name behind mi_) */
	{ "mi_zalloc", TAPE_CALLOC, 1, 0, 0, 0, 0, 0 },
	{ "mi_malloc_small", TAPE_MALLOC, 1, 0, 0, 0, 0, 0 },
	{ "mi_zalloc_small", TAPE_CALLOC, 1, 0, 0, 0, 0, 0 },
	{ "mi_mallocn", TAPE_MALLOC, 2, 1, 0, 0, 0, 0 },
	{ "mi_reallocn", TAPE_REALLOC, 2, 3, 0, 1, 0, 0 },
	{ "mi_reallocf", TAPE_REALLOC, 2, 0, 0, 1, 0, 0 },
	{ "mi_malloc_aligned", TAPE_MEMALIGN, 1, 0, 0, 0, 2, 0 },
	{ "mi_zalloc_aligned", TAPE_MEMALIGN, 1, 0, 0, 0, 2, 0 },
	{ "mi_calloc_aligned", TAPE_MEMALIGN, 2, 1, 0, 0, 3, 0 },
	{ "mi_realloc_aligned", TAPE_REALLOC, 2, 0, 0, 1, 3, 0 },
	{ "mi_heap_malloc", TAPE_MALLOC, 2, 0, 0, 0, 0, 0 },
	{ "mi_heap_zalloc", TAPE_CALLOC, 2, 0, 0, 0, 0, 0 },
	{ "mi_heap_calloc", TAPE_CALLOC, 3, 2, 0, 0, 0, 0 },
	{ "mi_heap_malloc_aligned", TAPE_MEMALIGN, 2, 0, 0, 0, 3, 0 },
	{ "mi_heap_realloc", TAPE_REALLOC, 3, 0, 0, 2, 0, 0 },
	{ "mi_free_size", TAPE_FREE, 2, 0, 1, 0, 0, 0 },
	{ "mi_free_size_aligned", TAPE_FREE, 2, 0, 1, 0, 0, 0 },
	{ "mi_free_aligned", TAPE_FREE, 0, 0, 1, 0, 0, 0 },
	{ "mi_new", TAPE_NEW, 1, 0, 0, 0, 0, FUNCTION_THROWS | FUNCTION_NEW },
	{ "mi_new_nothrow", TAPE_NEW, 1, 0, 0, 0, 0, FUNCTION_NEW },
	{ "mi_new_aligned", TAPE_NEW, 1, 0, 0, 0, 2, FUNCTION_THROWS | FUNCTION_NEW },
	{ "mi_new_aligned_nothrow", TAPE_NEW, 1, 0, 0, 0, 2, FUNCTION_NEW },
	{ "mi_new_n", TAPE_NEW, 2, 1, 0, 0, 0, FUNCTION_THROWS | FUNCTION_NEW },
	/* _at: what is aligned is an address inside the block, so that nothing is said of the block's own */
	{ "mi_malloc_aligned_at", TAPE_MALLOC, 1, 0, 0, 0, 0, 0 },
	{ "mi_zalloc_aligned_at", TAPE_CALLOC, 1, 0, 0, 0, 0, 0 },
	{ "mi_calloc_aligned_at", TAPE_CALLOC, 2, 1, 0, 0, 0, 0 },
	{ "mi_heap_malloc_small", TAPE_MALLOC, 2, 0, 0, 0, 0, 0 },
	{ "mi_heap_mallocn", TAPE_MALLOC, 3, 2, 0, 0, 0, 0 },
	{ "mi_heap_malloc_aligned_at", TAPE_MALLOC, 2, 0, 0, 0, 0, 0 },
	{ "mi_heap_zalloc_aligned", TAPE_MEMALIGN, 2, 0, 0, 0, 3, 0 },
	{ "mi_heap_zalloc_aligned_at", TAPE_CALLOC, 2, 0, 0, 0, 0, 0 },
	{ "mi_heap_calloc_aligned", TAPE_MEMALIGN, 3, 2, 0, 0, 4, 0 },
	{ "mi_heap_calloc_aligned_at", TAPE_CALLOC, 3, 2, 0, 0, 0, 0 },
	{ "mi_realloc_aligned_at", TAPE_REALLOC, 2, 0, 0, 1, 0, 0 },
	{ "mi_rezalloc", TAPE_REALLOC, 2, 0, 0, 1, 0, 0 },
	{ "mi_rezalloc_aligned", TAPE_REALLOC, 2, 0, 0, 1, 3, 0 },
	{ "mi_rezalloc_aligned_at", TAPE_REALLOC, 2, 0, 0, 1, 0, 0 },
	{ "mi_recalloc", TAPE_REALLOC, 3, 2, 0, 1, 0, 0 },
	{ "mi_recalloc_aligned", TAPE_REALLOC, 3, 2, 0, 1, 4, 0 },
	{ "mi_recalloc_aligned_at", TAPE_REALLOC, 3, 2, 0, 1, 0, 0 },
	{ "mi_aligned_recalloc", TAPE_REALLOC, 3, 2, 0, 1, 4, 0 },
	{ "mi_aligned_offset_recalloc", TAPE_REALLOC, 3, 2, 0, 1, 0, 0 },
	{ "mi_heap_reallocf", TAPE_REALLOC, 3, 0, 0, 2, 0, 0 },
	{ "mi_heap_reallocn", TAPE_REALLOC, 4, 3, 0, 2, 0, 0 },
	{ "mi_heap_realloc_aligned", TAPE_REALLOC, 3, 0, 0, 2, 4, 0 },
	{ "mi_heap_realloc_aligned_at", TAPE_REALLOC, 3, 0, 0, 2, 0, 0 },
	{ "mi_heap_rezalloc", TAPE_REALLOC, 3, 0, 0, 2, 0, 0 },
	{ "mi_heap_rezalloc_aligned", TAPE_REALLOC, 3, 0, 0, 2, 4, 0 },
	{ "mi_heap_rezalloc_aligned_at", TAPE_REALLOC, 3, 0, 0, 2, 0, 0 },
	{ "mi_heap_recalloc", TAPE_REALLOC, 4, 3, 0, 2, 0, 0 },
	{ "mi_heap_recalloc_aligned", TAPE_REALLOC, 4, 3, 0, 2, 5, 0 },
	{ "mi_heap_recalloc_aligned_at", TAPE_REALLOC, 4, 3, 0, 2, 0, 0 },
	{ "mi_new_realloc", TAPE_REALLOC, 2, 0, 0, 1, 0, FUNCTION_THROWS | FUNCTION_NEW },
	{ "mi_new_reallocn", TAPE_REALLOC, 3, 2, 0, 1, 0, FUNCTION_THROWS | FUNCTION_NEW },
	{ "mi_heap_alloc_new", TAPE_NEW, 2, 0, 0, 0, 0, FUNCTION_THROWS | FUNCTION_NEW },
	{ "mi_heap_alloc_new_n", TAPE_NEW, 3, 2, 0, 0, 0, FUNCTION_THROWS | FUNCTION_NEW },
	/* tcmalloc */
	{ "tc_malloc_skip_new_handler", TAPE_MALLOC, 1, 0, 0, 0, 0, 0 },
	{ "tc_new", TAPE_NEW, 1, 0, 0, 0, 0, FUNCTION_THROWS | FUNCTION_NEW },
	{ "tc_newarray", TAPE_NEW, 1, 0, 0, 0, 0, FUNCTION_THROWS | FUNCTION_NEW },
	{ "tc_new_nothrow", TAPE_NEW, 1, 0, 0, 0, 0, FUNCTION_NEW },
	{ "tc_newarray_nothrow", TAPE_NEW, 1, 0, 0, 0, 0, FUNCTION_NEW },
	{ "tc_new_aligned", TAPE_NEW, 1, 0, 0, 0, 2, FUNCTION_THROWS | FUNCTION_NEW },
	{ "tc_delete", TAPE_DELETE, 0, 0, 1, 0, 0, FUNCTION_NEW },
	{ "tc_delete_sized", TAPE_DELETE, 2, 0, 1, 0, 0, FUNCTION_NEW },
	{ "tc_free_sized", TAPE_FREE, 2, 0, 1, 0, 0, 0 },
	/* operator new: size_t and std::align_val_t are both unsigned long (m) here */
	{ "_Znwm", TAPE_NEW, 1, 0, 0, 0, 0, FUNCTION_THROWS | FUNCTION_NEW },
	{ "_Znam", TAPE_NEW, 1, 0, 0, 0, 0, FUNCTION_THROWS | FUNCTION_NEW },
	{ "_ZnwmRKSt9nothrow_t", TAPE_NEW, 1, 0, 0, 0, 0, FUNCTION_THROWS | FUNCTION_NEW },
	{ "_ZnamRKSt9nothrow_t", TAPE_NEW, 1, 0, 0, 0, 0, FUNCTION_THROWS | FUNCTION_NEW },
	{ "_ZnwmSt11align_val_t", TAPE_NEW, 1, 0, 0, 0, 2, FUNCTION_THROWS | FUNCTION_NEW },
	{ "_ZnamSt11align_val_t", TAPE_NEW, 1, 0, 0, 0, 2, FUNCTION_THROWS | FUNCTION_NEW },
	{ "_ZnwmSt11align_val_tRKSt9nothrow_t", TAPE_NEW, 1, 0, 0, 0, 2, FUNCTION_THROWS | FUNCTION_NEW },
	{ "_ZnamSt11align_val_tRKSt9nothrow_t", TAPE_NEW, 1, 0, 0, 0, 2, FUNCTION_THROWS | FUNCTION_NEW },
	{ "_ZdlPv", TAPE_DELETE, 0, 0, 1, 0, 0, FUNCTION_NEW },
	{ "_ZdaPv", TAPE_DELETE, 0, 0, 1, 0, 0, FUNCTION_NEW },
	{ "_ZdlPvRKSt9nothrow_t", TAPE_DELETE, 0, 0, 1, 0, 0, FUNCTION_NEW },
	{ "_ZdaPvRKSt9nothrow_t", TAPE_DELETE, 0, 0, 1, 0, 0, FUNCTION_NEW },
	{ "_ZdlPvm", TAPE_DELETE, 2, 0, 1, 0, 0, FUNCTION_NEW },
	{ "_ZdaPvm", TAPE_DELETE, 2, 0, 1, 0, 0, FUNCTION_NEW },
	{ "_ZdlPvSt11align_val_t", TAPE_DELETE, 0, 0, 1, 0, 0, FUNCTION_NEW },
	{ "_ZdaPvSt11align_val_t", TAPE_DELETE, 0, 0, 1, 0, 0, FUNCTION_NEW },
	{ "_ZdlPvSt11align_val_tRKSt9nothrow_t", TAPE_DELETE, 0, 0, 1, 0, 0, FUNCTION_NEW },
	{ "_ZdaPvSt11align_val_tRKSt9nothrow_t", TAPE_DELETE, 0, 0, 1, 0, 0, FUNCTION_NEW },
	{ "_ZdlPvmSt11align_val_t", TAPE_DELETE, 2, 0, 1, 0, 0, FUNCTION_NEW },
	{ "_ZdaPvmSt11align_val_t", TAPE_DELETE, 2, 0, 1, 0, 0, FUNCTION_NEW },
	/* calls that steer an allocator: ptr and size are the two arguments kept */
	{ "mallopt", TAPE_STEER, 2, 0, 1, 0, 0, FUNCTION_STEERS },
	{ "malloc_trim", TAPE_STEER, 0, 0, 1, 0, 0, FUNCTION_STEERS },
	{ "mallctl", TAPE_STEER, 5, 0, 1, 0, 0, FUNCTION_STEERS | FUNCTION_NAMED },
	{ "mallctlbymib", TAPE_STEER, 2, 0, 1, 0, 0, FUNCTION_STEERS },
	{ "mi_collect", TAPE_STEER, 0, 0, 1, 0, 0, FUNCTION_STEERS },
	{ "mi_option_set", TAPE_STEER, 2, 0, 1, 0, 0, FUNCTION_STEERS },
	{ "mi_option_set_default", TAPE_STEER, 2, 0, 1, 0, 0, FUNCTION_STEERS },
	{ "mi_option_set_enabled", TAPE_STEER, 2, 0, 1, 0, 0, FUNCTION_STEERS },
	{ "mi_option_set_enabled_default", TAPE_STEER, 2, 0, 1, 0, 0, FUNCTION_STEERS },
	{ "mi_option_enable", TAPE_STEER, 0, 0, 1, 0, 0, FUNCTION_STEERS },
	{ "mi_option_disable", TAPE_STEER, 0, 0, 1, 0, 0, FUNCTION_STEERS },
	{ "mi_heap_delete", TAPE_STEER, 0, 0, 1, 0, 0, FUNCTION_STEERS },
	{ "mi_heap_destroy", TAPE_STEER, 0, 0, 1, 0, 0, FUNCTION_STEERS }, /* frees all its blocks at once */
	{ "xallocx", TAPE_STEER, 2, 0, 1, 0, 0, FUNCTION_STEERS }, /* resizes in place, or does nothing */
	{ "MallocExtension_ReleaseFreeMemory", TAPE_STEER, 0, 0, 0, 0, 0, FUNCTION_STEERS },
	{ "MallocExtension_ReleaseToSystem", TAPE_STEER, 1, 0, 0, 0, 0, FUNCTION_STEERS },
	{ "MallocExtension_SetNumericProperty", TAPE_STEER, 2, 0, 1, 0, 0, FUNCTION_STEERS | FUNCTION_NAMED },
};

/* In front of a base name of the table. __libc_ and friends are glibc's second names of the same code. */
static const char *const prefixes[] = { "__libc_", "je_", "_rjem_", "__rjem_", "mi_", "tc_", "rp", "sn_", "__" };

static const struct function *row_find(const char *name)
{
	for (size_t i = 0; i < NR(functions); i++)
		if (!strcmp(functions[i].name, name))
			return &functions[i];
	return NULL;
}

const struct function *function_find(const char *symbol)
{
	const struct function *f = row_find(symbol);

	for (size_t i = 0; !f && i < NR(prefixes); i++) {
		size_t len = strlen(prefixes[i]);

		if (strncmp(symbol, prefixes[i], len) != 0)
			continue;
		f = row_find(symbol + len);
		/* A prefix goes with a C name: "__Znwm" is no operator new of ours. */
		if (f && (f->flags & FUNCTION_NEW))
			f = NULL;
	}
	return f;
}

int function_rank(const struct function *f)
{
	return (int)(f - functions);
}

bool function_is_malloc(const struct function *f)
{
	return (f->flags & FUNCTION_CORE) && f->kind == TAPE_MALLOC;
}

bool function_is_free(const struct function *f)
{
	return (f->flags & FUNCTION_CORE) && f->kind == TAPE_FREE;
}
