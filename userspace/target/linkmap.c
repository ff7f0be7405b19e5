/* SPDX-License-Identifier: BSD-2-Clause */
/* Follows r_debug (elf/link.h) in the target's memory: auxv -> program headers -> DT_DEBUG -> link_map list. */
#include "linkmap.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

static uint64_t auxv_find(const struct process *p, uint64_t type)
{
	uint64_t value = 0;
	size_t nbytes;
	char *text;

	if (file_read_all_at(p->proc_fd, "auxv", &text, &nbytes))
		return 0;
	for (size_t at = 0; at + sizeof(Elf64_auxv_t) <= nbytes; at += sizeof(Elf64_auxv_t)) {
		Elf64_auxv_t aux;

		memcpy(&aux, text + at, sizeof(aux));
		if (aux.a_type == type)
			value = aux.a_un.a_val;
	}
	free(text);
	return value;
}

/* The program's dynamic section and load bias, from its headers in memory. */
static int find_dynamic(const struct process *p, uint64_t *dynamic_ret, uint64_t *nbytes_ret)
{
	uint64_t phdr_addr = auxv_find(p, AT_PHDR), nr = auxv_find(p, AT_PHNUM), bias = 0;
	Elf64_Phdr ph;
	int err;

	*dynamic_ret = 0;
	if (!phdr_addr || nr > 256)
		return -ENOENT;
	for (uint64_t i = 0; i < nr; i++) {
		err = process_read(p, phdr_addr + i * sizeof(ph), &ph, sizeof(ph));
		if (err)
			return err;
		if (ph.p_type == PT_PHDR)
			bias = phdr_addr - ph.p_vaddr;
		if (ph.p_type == PT_DYNAMIC) {
			*dynamic_ret = ph.p_vaddr;
			*nbytes_ret = ph.p_memsz;
		}
	}
	if (!*dynamic_ret)
		return -ENOENT;
	*dynamic_ret += bias;
	return 0;
}

static uint64_t find_r_debug(const struct process *p)
{
	uint64_t dynamic, nbytes;
	Elf64_Dyn dyn;

	if (find_dynamic(p, &dynamic, &nbytes))
		return 0;
	for (uint64_t at = 0; at < nbytes && at < 65536; at += sizeof(dyn)) {
		if (process_read(p, dynamic + at, &dyn, sizeof(dyn)) || dyn.d_tag == DT_NULL)
			return 0;
		if (dyn.d_tag == DT_DEBUG)
			return dyn.d_un.d_ptr;
	}
	return 0;
}

int linkmap_read(const struct process *p, uint64_t biases[LINKMAP_MAX], unsigned *nr_ret)
{
	struct r_debug debug;
	struct link_map map;
	uint64_t at;
	int err;

	*nr_ret = 0;
	if (p->mem_fd < 0)
		return -EACCES;
	at = find_r_debug(p);
	if (!at)
		return 0;
	err = process_read(p, at, &debug, sizeof(debug));
	if (err)
		return err;
	for (at = (uint64_t)(uintptr_t)debug.r_map; at && *nr_ret < LINKMAP_MAX; at = (uint64_t)(uintptr_t)map.l_next) {
		err = process_read(p, at, &map, sizeof(map));
		if (err)
			return err;
		biases[(*nr_ret)++] = map.l_addr;
	}
	return 0;
}

uint64_t linkmap_interpreter(const struct process *p)
{
	return auxv_find(p, AT_BASE);
}
