/* SPDX-License-Identifier: BSD-2-Clause */
/* vdso.c - see vdso.h. */
#include "vdso.h"

#include <elf.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "formats/io.h"

int vdso_open(void)
{
	const Elf64_Ehdr *head = (const Elf64_Ehdr *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);
	int fd;

	if (!head)
		return -1;
	fd = memfd_create("vdso", MFD_CLOEXEC);
	/* Its section headers stand last. */
	if (fd >= 0 && io_write_all(fd, head, head->e_shoff + (size_t)head->e_shentsize * head->e_shnum)) {
		close(fd);
		fd = -1;
	}
	return fd;
}
