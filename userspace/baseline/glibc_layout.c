/* SPDX-License-Identifier: BSD-2-Clause */
/* glibc_layout.c - see glibc_layout.h. */
#include "baseline/glibc_layout.h"

#include <errno.h>
#include <string.h>

#define ARENA_NBYTES_MIN 0x700 /* up to its link: 254 bins of 8 bytes and some more */
#define ARENA_NBYTES_MAX 0x1000
#define DEFAULT_THRESHOLD 0x20000u /* M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD as built */
#define ARENA_TEST_64BIT 8
#define N_MMAPS_MAX 0x10000u /* DEFAULT_MMAP_MAX */

static bool is_zero(const struct elf_image *im, uint64_t from, uint64_t to)
{
	for (; from < to; from++)
		if (im->bytes[from])
			return false;
	return true;
}

/* A structure that is all zero but for a pointer to its own start, no next free one, and one thread attached. */
static unsigned find_arena(const struct elf_image *im, struct glibc_layout *layout)
{
	unsigned nr = 0;

	for (uint64_t off = 0; off + 40 <= im->nbytes; off += 8) {
		uint64_t start = elf_image_word(im, off) - im->vaddr;

		if (start >= off || off - start < ARENA_NBYTES_MIN || off - start >= ARENA_NBYTES_MAX || start % 16 ||
		    elf_image_word(im, off + 8) || elf_image_word(im, off + 16) != 1 || !is_zero(im, start, off))
			continue;
		layout->main_arena = im->vaddr + start;
		layout->next_off = off - start;
		nr++;
	}
	return nr;
}

static bool find_n_mmaps(const struct elf_image *im, uint64_t off, uint64_t *maps_off_ret)
{
	for (uint64_t k = 40; k <= 80 && off + k + 4 <= im->nbytes; k += 4) {
		uint32_t max;

		memcpy(&max, im->bytes + off + k, sizeof(max));
		if (max != N_MMAPS_MAX)
			continue;
		*maps_off_ret = k - 4; /* n_mmaps stands in front of its limit */
		return true;
	}
	return false;
}

static unsigned find_params(const struct elf_image *im, struct glibc_layout *layout)
{
	unsigned nr = 0;

	for (uint64_t off = 0; off + 128 <= im->nbytes; off += 8) {
		if (elf_image_word(im, off) != DEFAULT_THRESHOLD || elf_image_word(im, off + 8) != DEFAULT_THRESHOLD ||
		    elf_image_word(im, off + 16) != DEFAULT_THRESHOLD || elf_image_word(im, off + 24) != ARENA_TEST_64BIT ||
		    !find_n_mmaps(im, off, &layout->maps_off))
			continue;
		layout->params = im->vaddr + off;
		nr++;
	}
	return nr;
}

int glibc_layout_find(const struct object *obj, struct glibc_layout *layout, const char **why_ret)
{
	struct elf_image im;
	int err = elf_image_load(obj, &im, why_ret);

	*layout = (struct glibc_layout){ .nr_tls_slots = im.nr_tls_slots };
	memcpy(layout->tls_slots, im.tls_slots, sizeof(layout->tls_slots));
	if (!err && find_arena(&im, layout) != 1)
		err = (*why_ret = "main_arena is not found in it", -ENOENT);
	else if (!err && find_params(&im, layout) != 1)
		err = (*why_ret = "mp_ is not found in it", -ENOENT);
	elf_image_free(&im);
	return err;
}
