/* SPDX-License-Identifier: BSD-2-Clause */
/* elf_image.c - see elf_image.h. */
#include "baseline/elf_image.h"

#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

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

static int load_image(const struct file *f, struct elf_image *im)
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
		im->nbytes_all = ph.p_memsz;
		return 0;
	}
	return -ENOENT;
}

uint64_t elf_image_word(const struct elf_image *im, uint64_t off)
{
	uint64_t word;

	memcpy(&word, im->bytes + off, sizeof(word));
	return word;
}

/* Pointers that RELA entries put in place; RELR's stand in the file already. Thread-local offsets are noted on the way. */
static void relocate(const struct file *f, struct elf_image *im)
{
	uint64_t nbytes = dynamic_value(f, DT_RELASZ);
	const uint8_t *list = at_vaddr(f, dynamic_value(f, DT_RELA), nbytes);

	for (uint64_t at = 0; list && at + sizeof(Elf64_Rela) <= nbytes; at += sizeof(Elf64_Rela)) {
		Elf64_Rela r;

		memcpy(&r, list + at, sizeof(r));
		if (ELF64_R_TYPE(r.r_info) == R_X86_64_RELATIVE && r.r_offset >= im->vaddr && im->nbytes >= 8 &&
		    r.r_offset - im->vaddr <= im->nbytes - 8)
			memcpy(im->bytes + (r.r_offset - im->vaddr), &r.r_addend, 8);
		if (ELF64_R_TYPE(r.r_info) == R_X86_64_TPOFF64 && im->nr_tls_slots < ELF_TLS_SLOTS_MAX)
			im->tls_slots[im->nr_tls_slots++] = r.r_offset;
	}
}

int elf_image_load(const struct object *obj, struct elf_image *im, const char **why_ret)
{
	struct file f = { .elf = object_elf(obj) };
	int err;

	*im = (struct elf_image){ 0 };
	f.bytes = (const uint8_t *)elf_rawfile(f.elf, &f.nbytes);
	if (!f.bytes || elf_getphdrnum(f.elf, &f.nr_segments))
		return *why_ret = "its file cannot be read", -EIO;
	err = load_image(&f, im);
	if (err)
		return *why_ret = "its file has no data", err;
	relocate(&f, im);
	return 0;
}

void elf_image_free(struct elf_image *im)
{
	free(im->bytes);
	*im = (struct elf_image){ 0 };
}
