/* SPDX-License-Identifier: BSD-2-Clause */
/* glibc_layout.c - see glibc_layout.h. */
#include "baseline/glibc_layout.h"

#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_NBYTES_MIN 0x700 /* up to its link: 254 bins of 8 bytes and some more */
#define ARENA_NBYTES_MAX 0x1000
#define DEFAULT_THRESHOLD 0x20000u /* M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD as built */
#define ARENA_TEST_64BIT 8
#define N_MMAPS_MAX 0x10000u /* DEFAULT_MMAP_MAX */

/* The writable segment as it is in memory before anything ran, but for the load bias. */
struct image {
	uint8_t *bytes;
	uint64_t vaddr, nbytes;
};

struct file {
	const uint8_t *bytes;
	size_t nbytes;
	Elf *elf;
	size_t nr_segments;
};

static bool segment_at(const struct file *f, size_t i, GElf_Phdr *ph)
{
	return gelf_getphdr(f->elf, (int)i, ph) && ph->p_offset <= f->nbytes && ph->p_filesz <= f->nbytes - ph->p_offset;
}

/* The file's bytes at vaddr, if so many are there. */
static const uint8_t *at_vaddr(const struct file *f, uint64_t vaddr, uint64_t nbytes)
{
	GElf_Phdr ph;

	for (size_t i = 0; i < f->nr_segments; i++)
		if (segment_at(f, i, &ph) && ph.p_type == PT_LOAD && vaddr >= ph.p_vaddr && vaddr - ph.p_vaddr <= ph.p_filesz &&
		    nbytes <= ph.p_filesz - (vaddr - ph.p_vaddr))
			return f->bytes + ph.p_offset + (vaddr - ph.p_vaddr);
	return NULL;
}

static uint64_t dynamic_value(const struct file *f, int64_t tag)
{
	GElf_Phdr ph;

	for (size_t i = 0; i < f->nr_segments; i++) {
		if (!segment_at(f, i, &ph) || ph.p_type != PT_DYNAMIC)
			continue;
		for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= ph.p_filesz; at += sizeof(Elf64_Dyn)) {
			Elf64_Dyn d;

			memcpy(&d, f->bytes + ph.p_offset + at, sizeof(d));
			if (d.d_tag == tag)
				return d.d_un.d_val;
		}
	}
	return 0;
}

static int load_image(const struct file *f, struct image *im)
{
	GElf_Phdr ph;

	for (size_t i = 0; i < f->nr_segments; i++) {
		if (!segment_at(f, i, &ph) || ph.p_type != PT_LOAD || !(ph.p_flags & PF_W) || !ph.p_filesz)
			continue;
		im->bytes = malloc(ph.p_filesz);
		if (!im->bytes)
			return -ENOMEM;
		memcpy(im->bytes, f->bytes + ph.p_offset, ph.p_filesz);
		im->vaddr = ph.p_vaddr;
		im->nbytes = ph.p_filesz;
		return 0;
	}
	return -ENOENT;
}

static uint64_t word_at(const struct image *im, uint64_t off)
{
	uint64_t word;

	memcpy(&word, im->bytes + off, sizeof(word));
	return word;
}

/* Pointers that RELA entries put in place; RELR's stand in the file already. Thread-local offsets are noted on the way. */
static void relocate(const struct file *f, struct image *im, struct glibc_layout *layout)
{
	uint64_t nbytes = dynamic_value(f, DT_RELASZ);
	const uint8_t *list = at_vaddr(f, dynamic_value(f, DT_RELA), nbytes);

	for (uint64_t at = 0; list && at + sizeof(Elf64_Rela) <= nbytes; at += sizeof(Elf64_Rela)) {
		Elf64_Rela r;

		memcpy(&r, list + at, sizeof(r));
		if (ELF64_R_TYPE(r.r_info) == R_X86_64_RELATIVE && r.r_offset >= im->vaddr && im->nbytes >= 8 &&
		    r.r_offset - im->vaddr <= im->nbytes - 8)
			memcpy(im->bytes + (r.r_offset - im->vaddr), &r.r_addend, 8);
		if (ELF64_R_TYPE(r.r_info) == R_X86_64_TPOFF64 && !ELF64_R_SYM(r.r_info) &&
		    layout->nr_tls_slots < GLIBC_TLS_SLOTS_MAX)
			layout->tls_slots[layout->nr_tls_slots++] = r.r_offset;
	}
}

static bool is_zero(const struct image *im, uint64_t from, uint64_t to)
{
	for (; from < to; from++)
		if (im->bytes[from])
			return false;
	return true;
}

/* A structure that is all zero but for a pointer to its own start, no next free one, and one thread attached. */
static unsigned find_arena(const struct image *im, struct glibc_layout *layout)
{
	unsigned nr = 0;

	for (uint64_t off = 0; off + 40 <= im->nbytes; off += 8) {
		uint64_t start = word_at(im, off) - im->vaddr;

		if (start >= off || off - start < ARENA_NBYTES_MIN || off - start >= ARENA_NBYTES_MAX || start % 16 ||
		    word_at(im, off + 8) || word_at(im, off + 16) != 1 || !is_zero(im, start, off))
			continue;
		layout->main_arena = im->vaddr + start;
		layout->next_off = off - start;
		nr++;
	}
	return nr;
}

static bool find_n_mmaps(const struct image *im, uint64_t off, uint64_t *maps_off_ret)
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

static unsigned find_params(const struct image *im, struct glibc_layout *layout)
{
	unsigned nr = 0;

	for (uint64_t off = 0; off + 128 <= im->nbytes; off += 8) {
		if (word_at(im, off) != DEFAULT_THRESHOLD || word_at(im, off + 8) != DEFAULT_THRESHOLD ||
		    word_at(im, off + 16) != DEFAULT_THRESHOLD || word_at(im, off + 24) != ARENA_TEST_64BIT ||
		    !find_n_mmaps(im, off, &layout->maps_off))
			continue;
		layout->params = im->vaddr + off;
		nr++;
	}
	return nr;
}

int glibc_layout_find(const struct object *obj, struct glibc_layout *layout, const char **why_ret)
{
	struct file f = { .elf = object_elf(obj) };
	struct image im = { 0 };
	int err;

	*layout = (struct glibc_layout){ 0 };
	f.bytes = (const uint8_t *)elf_rawfile(f.elf, &f.nbytes);
	if (!f.bytes || elf_getphdrnum(f.elf, &f.nr_segments))
		return *why_ret = "its file cannot be read", -EIO;
	err = load_image(&f, &im);
	if (err)
		return *why_ret = "its file has no data", err;
	relocate(&f, &im, layout);
	if (find_arena(&im, layout) != 1)
		err = (*why_ret = "main_arena is not found in it", -ENOENT);
	else if (find_params(&im, layout) != 1)
		err = (*why_ret = "mp_ is not found in it", -ENOENT);
	free(im.bytes);
	return err;
}
