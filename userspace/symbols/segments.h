/* SPDX-License-Identifier: BSD-2-Clause */
/* segments.h - from offsets in a file to the addresses that its symbols and DWARF speak of. */
#ifndef HEAPTAPE_SEGMENTS_H
#define HEAPTAPE_SEGMENTS_H

#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEGMENTS_NR_MAX 64

struct segments {
	struct {
		uint64_t offset, vaddr, nbytes;
	} list[SEGMENTS_NR_MAX];
	size_t nr;
};

/* Of a binary. false: nothing of it is code. */
bool segments_of(Elf *elf, struct segments *s);
/*
 * Of the binary whose debug file this is. Where that was split off by objcopy it does not keep the binary's offsets; they
 * are taken to be those that GNU ld gives (addresses less the first one), if the addresses are laid out as GNU ld does.
 */
bool segments_of_debug(Elf *elf, struct segments *s);
bool segments_vaddr(const struct segments *s, uint64_t offset, uint64_t *vaddr_ret);

#endif
