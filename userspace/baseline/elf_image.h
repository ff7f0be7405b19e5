/* SPDX-License-Identifier: BSD-2-Clause */
/* elf_image.h - the writable data of a mapped file as it is before anything has run, and where its thread-local data is told. */
#ifndef HEAPTAPE_ELF_IMAGE_H
#define HEAPTAPE_ELF_IMAGE_H

#include "target/object.h"

#define ELF_TLS_SLOTS_MAX 64

struct elf_image {
	uint8_t *bytes;      /* relocated, but for the load bias */
	uint64_t vaddr, nbytes;
	uint64_t nbytes_all; /* with what is zero at the start (.bss) */
	uint64_t tls_slots[ELF_TLS_SLOTS_MAX]; /* vaddr of words that hold offsets from the thread pointer, in a process */
	unsigned nr_tls_slots;
};

/* 0; -errno and *why_ret. elf_image_free in any case. */
int elf_image_load(const struct object *obj, struct elf_image *im, const char **why_ret);
/* The word at an offset of bytes. */
uint64_t elf_image_word(const struct elf_image *im, uint64_t off);
void elf_image_free(struct elf_image *im);

#endif
