/* SPDX-License-Identifier: BSD-2-Clause */
/* segments.c - see segments.h. */
#include "segments.h"

#include <gelf.h>

#define PAGE 4096u

static bool next_load(Elf *elf, size_t *i, GElf_Phdr *ph)
{
	size_t nr;

	if (elf_getphdrnum(elf, &nr))
		return false;
	while (*i < nr && gelf_getphdr(elf, (int)(*i)++, ph))
		if (ph->p_type == PT_LOAD)
			return true;
	return false;
}

static void add(struct segments *s, uint64_t offset, uint64_t vaddr, uint64_t nbytes)
{
	if (s->nr == SEGMENTS_NR_MAX || !nbytes)
		return;
	s->list[s->nr].offset = offset;
	s->list[s->nr].vaddr = vaddr;
	s->list[s->nr++].nbytes = nbytes;
}

bool segments_of(Elf *elf, struct segments *s)
{
	GElf_Phdr ph;

	s->nr = 0;
	for (size_t i = 0; next_load(elf, &i, &ph);)
		if (ph.p_flags & PF_X)
			add(s, ph.p_offset, ph.p_vaddr, ph.p_filesz);
	return s->nr > 0;
}

bool segments_of_debug(Elf *elf, struct segments *s)
{
	uint64_t first = 0, end = 0;
	bool begun = false;
	GElf_Phdr ph;

	if (segments_of(elf, s))
		return true; /* split off by a tool that keeps the binary's program headers */
	s->nr = 0;
	for (size_t i = 0; next_load(elf, &i, &ph);) {
		uint64_t page = ph.p_vaddr & ~(uint64_t)(PAGE - 1);

		if (!begun)
			first = end = page;
		begun = true;
		if (!(ph.p_flags & PF_X)) {
			end = ph.p_vaddr + ph.p_memsz;
			continue;
		}
		/* Each on the page behind the one before: offsets and addresses run alike. */
		if (page != ph.p_vaddr || page != ((end + PAGE - 1) & ~(uint64_t)(PAGE - 1)))
			break;
		add(s, ph.p_vaddr - first, ph.p_vaddr, ph.p_memsz);
		end = ph.p_vaddr + ph.p_memsz;
	}
	return s->nr > 0;
}

bool segments_vaddr(const struct segments *s, uint64_t offset, uint64_t *vaddr_ret)
{
	for (size_t i = 0; i < s->nr; i++) {
		if (offset < s->list[i].offset || offset - s->list[i].offset >= s->list[i].nbytes)
			continue;
		*vaddr_ret = s->list[i].vaddr + (offset - s->list[i].offset);
		return true;
	}
	return false;
}
