/* SPDX-License-Identifier: BSD-2-Clause */
/* ELF files of a target, found by the ways that lead to the very file it has mapped. */
#include "object.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/extents.h"
#include "target/mapped_file.h"

#define OBJECT_NBYTES_MAX (4ll << 30) /* larger programs than any known; bounds what a hostile file makes us map */
#define SEGMENTS_MAX 64
#define BUILD_ID_MAX 32 /* bytes; ld makes 20 */

struct segment {
	uint64_t vaddr, offset, nbytes; /* nbytes: in the file */
};

struct object {
	int fd;
	Elf *elf;
	char *path;
	char way[MAPPED_FILE_WAY_MAX];
	unsigned way_nr;
	struct map_region region; /* it was opened for; its path is this object's */
	char build_id[2 * BUILD_ID_MAX + 1];
	uint64_t bias;
	bool executable;
	struct segment text[SEGMENTS_MAX];
	size_t nr_text;
	const uint8_t *image;
	size_t image_nbytes;
	struct extents extents;
};

/* A position-independent program says so in DT_FLAGS_1. An interpreter is no sign: libc.so.6 names one too. */
static bool dynamic_says_pie(const struct object *obj, const GElf_Phdr *ph)
{
	Elf_Data *data = elf_getdata_rawchunk(obj->elf, (int64_t)ph->p_offset, ph->p_filesz, ELF_T_DYN);
	GElf_Dyn dyn;

	for (int i = 0; data && gelf_getdyn(data, i, &dyn) && dyn.d_tag != DT_NULL; i++)
		if (dyn.d_tag == DT_FLAGS_1)
			return dyn.d_un.d_val & DF_1_PIE;
	return false;
}

static int object_read_headers(struct object *obj)
{
	GElf_Ehdr ehdr;
	size_t nr_phdrs;

	if (elf_kind(obj->elf) != ELF_K_ELF || !gelf_getehdr(obj->elf, &ehdr) || gelf_getclass(obj->elf) != ELFCLASS64)
		return -ENOEXEC;
#if defined(__x86_64__)
	if (ehdr.e_machine != EM_X86_64)
		return -ENOEXEC;
#endif
	obj->executable = ehdr.e_type == ET_EXEC;
	if (elf_getphdrnum(obj->elf, &nr_phdrs))
		return -ENOEXEC;
	for (size_t i = 0; i < nr_phdrs; i++) {
		GElf_Phdr ph;

		if (!gelf_getphdr(obj->elf, (int)i, &ph))
			return -ENOEXEC;
		if (ph.p_type == PT_GNU_EH_FRAME && ph.p_offset <= obj->image_nbytes && ph.p_filesz <= obj->image_nbytes - ph.p_offset)
			extents_read(obj->image + ph.p_offset, ph.p_filesz, ph.p_vaddr, &obj->extents);
		if (ph.p_type == PT_DYNAMIC && dynamic_says_pie(obj, &ph))
			obj->executable = true;
		if (ph.p_type != PT_LOAD || !(ph.p_flags & PF_X) || obj->nr_text == SEGMENTS_MAX)
			continue;
		if (ph.p_offset > obj->image_nbytes || ph.p_filesz > obj->image_nbytes - ph.p_offset)
			return -ENOEXEC; /* cut off, or lying */
		obj->text[obj->nr_text++] = (struct segment){ ph.p_vaddr, ph.p_offset, ph.p_filesz };
	}
	return obj->nr_text ? 0 : -ENOEXEC;
}

static void object_read_build_id(struct object *obj)
{
	size_t nr_phdrs = 0;

	if (elf_getphdrnum(obj->elf, &nr_phdrs))
		return;
	for (size_t i = 0; i < nr_phdrs; i++) {
		size_t at = 0, name_at, desc_at;
		Elf_Data *data;
		GElf_Nhdr note;
		GElf_Phdr ph;

		if (!gelf_getphdr(obj->elf, (int)i, &ph) || ph.p_type != PT_NOTE)
			continue;
		data = elf_getdata_rawchunk(obj->elf, (int64_t)ph.p_offset, ph.p_filesz,
					    ph.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
		while (data && (at = gelf_getnote(data, at, &note, &name_at, &desc_at)) > 0) {
			const uint8_t *desc = (const uint8_t *)data->d_buf + desc_at;

			if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != 4 || note.n_descsz > BUILD_ID_MAX ||
			    memcmp((const char *)data->d_buf + name_at, "GNU", 4) != 0)
				continue;
			for (size_t k = 0; k < note.n_descsz; k++)
				snprintf(obj->build_id + 2 * k, 3, "%02x", desc[k]);
			return;
		}
	}
}

/* Shared: into a private mapping of the file, as libelf would make, the kernel writes the breakpoints of everybody who
 * probes this file in all processes. */
static int object_map(struct object *obj, size_t nbytes)
{
	void *image = nbytes ? mmap(NULL, nbytes, PROT_READ, MAP_SHARED, obj->fd, 0) : MAP_FAILED;

	if (image == MAP_FAILED)
		return nbytes && errno == ENOMEM ? -ENOMEM : -ENOEXEC;
	obj->image = image;
	obj->image_nbytes = nbytes;
	elf_version(EV_CURRENT);
	obj->elf = elf_memory(image, nbytes);
	return obj->elf ? 0 : -ENOEXEC;
}

/* Takes fd over in any case. */
static int object_from_fd(int fd, const char *path, const char *way, struct object **obj_ret)
{
	struct object *obj = calloc(1, sizeof(*obj));
	struct stat st;
	int err;

	*obj_ret = NULL;
	if (!obj) {
		close(fd);
		return -ENOMEM;
	}
	obj->fd = fd;
	snprintf(obj->way, sizeof(obj->way), "%s", way);
	obj->path = strdup(path);
	err = obj->path ? 0 : -ENOMEM;
	if (!err && fstat(fd, &st))
		err = -errno;
	if (!err && !S_ISREG(st.st_mode))
		err = -ENOENT;
	if (!err && st.st_size > OBJECT_NBYTES_MAX)
		err = -EFBIG;
	if (!err)
		err = object_map(obj, (size_t)st.st_size);
	if (!err)
		err = object_read_headers(obj);
	if (err) {
		object_close(obj);
		return err;
	}
	object_read_build_id(obj);
	*obj_ret = obj;
	return 0;
}

static int object_open_from(const struct process *p, const struct map_region *region, unsigned way, struct object **obj_ret)
{
	char name[MAPPED_FILE_WAY_MAX];
	struct object *obj;
	int fd, err;

	*obj_ret = NULL;
	if (!region->inode)
		return -ENOENT;
	fd = mapped_file_open(p, region, &way, name);
	if (fd < 0)
		return fd;
	err = object_from_fd(fd, region->path, name, &obj);
	if (err)
		return err;
	obj->way_nr = way;
	obj->region = *region;
	obj->region.path = obj->path;
	for (size_t i = 0; i < obj->nr_text; i++) {
		const struct segment *seg = &obj->text[i];
		uint64_t seg_page = seg->offset & ~4095ull;

		if (region->offset >= seg_page && region->offset < seg->offset + seg->nbytes)
			obj->bias = region->start - (seg->vaddr - seg->offset + region->offset);
	}
	*obj_ret = obj;
	return 0;
}

int object_open(const struct process *p, const struct map_region *region, struct object **obj_ret)
{
	return object_open_from(p, region, 0, obj_ret);
}

int object_open_other(const struct process *p, const struct object *obj, struct object **obj_ret)
{
	return object_open_from(p, &obj->region, obj->way_nr + 1, obj_ret);
}

int object_open_path(const char *path, struct object **obj_ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	*obj_ret = NULL;
	if (fd < 0)
		return -errno;
	return object_from_fd(fd, path, "path", obj_ret);
}

void object_close(struct object *obj)
{
	if (!obj)
		return;
	if (obj->elf)
		elf_end(obj->elf);
	if (obj->image)
		munmap((void *)(uintptr_t)obj->image, obj->image_nbytes);
	close(obj->fd);
	free(obj->path);
	free(obj);
}

const char *object_path(const struct object *obj)
{
	return obj->path;
}

const char *object_way(const struct object *obj)
{
	return obj->way;
}

const char *object_build_id(const struct object *obj)
{
	return obj->build_id;
}

int object_fd(const struct object *obj)
{
	return obj->fd;
}

uint64_t object_bias(const struct object *obj)
{
	return obj->bias;
}

bool object_is_executable(const struct object *obj)
{
	return obj->executable;
}

bool object_segment_at(const struct object *obj, unsigned i, uint64_t *vaddr_ret, uint64_t *nbytes_ret, uint64_t *offset_ret)
{
	if (i >= obj->nr_text)
		return false;
	*vaddr_ret = obj->text[i].vaddr;
	*nbytes_ret = obj->text[i].nbytes;
	*offset_ret = obj->text[i].offset;
	return true;
}

Elf *object_elf(const struct object *obj)
{
	return obj->elf;
}

void object_text(const struct object *obj, uint64_t *start_ret, uint64_t *end_ret)
{
	*start_ret = UINT64_MAX;
	*end_ret = 0;
	for (size_t i = 0; i < obj->nr_text; i++) {
		const struct segment *seg = &obj->text[i];

		if (seg->vaddr < *start_ret)
			*start_ret = seg->vaddr;
		if (seg->vaddr + seg->nbytes > *end_ret)
			*end_ret = seg->vaddr + seg->nbytes;
	}
}

static const struct segment *object_segment(const struct object *obj, uint64_t vaddr)
{
	for (size_t i = 0; i < obj->nr_text; i++)
		if (vaddr >= obj->text[i].vaddr && vaddr - obj->text[i].vaddr < obj->text[i].nbytes)
			return &obj->text[i];
	return NULL;
}

int object_offset(const struct object *obj, uint64_t vaddr, uint64_t *offset_ret)
{
	const struct segment *seg = object_segment(obj, vaddr);

	if (!seg)
		return -ERANGE;
	*offset_ret = vaddr - seg->vaddr + seg->offset;
	return 0;
}

const uint8_t *object_code(const struct object *obj, uint64_t vaddr, size_t *nbytes_avail_ret)
{
	const struct segment *seg = object_segment(obj, vaddr);

	if (!seg)
		return NULL;
	*nbytes_avail_ret = seg->nbytes - (vaddr - seg->vaddr);
	return obj->image + seg->offset + (vaddr - seg->vaddr);
}

unsigned object_direct_calls(const struct object *obj, uint64_t target, uint64_t start, uint64_t end, uint64_t *behind,
			     unsigned max)
{
	enum { CALL_NBYTES = 5 }; /* e8 and a distance of 32 bits, counted from behind the call */
	unsigned nr = 0;

	for (size_t i = 0; i < obj->nr_text; i++) {
		const uint8_t *code = obj->image + obj->text[i].offset;

		for (uint64_t at = 0; at + CALL_NBYTES <= obj->text[i].nbytes && nr < max; at++) {
			uint64_t vaddr = obj->text[i].vaddr + at;
			int32_t distance;

			if (code[at] != 0xe8 || vaddr < start || vaddr >= end)
				continue;
			memcpy(&distance, code + at + 1, sizeof(distance));
			if (vaddr + CALL_NBYTES + (uint64_t)(int64_t)distance == target)
				behind[nr++] = vaddr + CALL_NBYTES;
		}
	}
	return nr;
}

static bool section_slot_function(const struct object *obj, Elf_Scn *scn, const GElf_Shdr *shdr, uint64_t slot,
				  uint64_t *vaddr_ret)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	size_t nr = data && shdr->sh_entsize ? data->d_size / shdr->sh_entsize : 0;

	for (size_t i = 0; i < nr; i++) {
		Elf_Scn *symtab;
		Elf_Data *syms;
		GElf_Rela rela;
		GElf_Sym sym;

		if (!gelf_getrela(data, (int)i, &rela) || rela.r_offset != slot)
			continue;
		symtab = elf_getscn(obj->elf, shdr->sh_link);
		syms = symtab ? elf_getdata(symtab, NULL) : NULL;
		if (!syms || !gelf_getsym(syms, (int)GELF_R_SYM(rela.r_info), &sym) || sym.st_shndx == SHN_UNDEF)
			return false;
		*vaddr_ret = sym.st_value + (uint64_t)rela.r_addend;
		return object_segment(obj, *vaddr_ret) != NULL;
	}
	return false;
}

bool object_slot_function(const struct object *obj, uint64_t slot, uint64_t *vaddr_ret)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(obj->elf, scn))) {
		GElf_Shdr shdr;

		if (gelf_getshdr(scn, &shdr) && shdr.sh_type == SHT_RELA &&
		    section_slot_function(obj, scn, &shdr, slot, vaddr_ret))
			return true;
	}
	return false;
}

bool object_has_moving_stacks(const struct object *obj)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	size_t names;

	if (elf_getshdrstrndx(obj->elf, &names))
		return false;
	while ((scn = elf_nextscn(obj->elf, scn))) {
		const char *name = gelf_getshdr(scn, &shdr) ? elf_strptr(obj->elf, names, shdr.sh_name) : NULL;

		/* The Go linker's table, which strip leaves in place; .data.rel.ro in front of it in a PIE. */
		if (name && (!strcmp(name, ".gopclntab") || !strcmp(name, ".data.rel.ro.gopclntab")))
			return true;
	}
	return false;
}

bool object_has_symbols(const struct object *obj)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;

	while ((scn = elf_nextscn(obj->elf, scn)))
		if (gelf_getshdr(scn, &shdr) && shdr.sh_type == SHT_SYMTAB)
			return true;
	return false;
}

bool object_extent(const struct object *obj, uint64_t vaddr, uint64_t *start_ret, uint64_t *end_ret)
{
	return extents_find(&obj->extents, vaddr, start_ret, end_ret);
}

static int section_each_function(const struct object *obj, Elf *names, Elf_Scn *scn, const GElf_Shdr *shdr,
				 int (*fn)(void *arg, const struct object_symbol *sym), void *arg)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	size_t nr_syms = data && shdr->sh_entsize ? data->d_size / shdr->sh_entsize : 0;
	int result = 0;

	for (size_t i = 0; i < nr_syms && !result; i++) {
		struct object_symbol sym;
		GElf_Sym s;

		if (!gelf_getsym(data, (int)i, &s) || s.st_shndx == SHN_UNDEF || GELF_ST_TYPE(s.st_info) != STT_FUNC)
			continue;
		sym.name = elf_strptr(names, shdr->sh_link, s.st_name);
		sym.vaddr = s.st_value;
		sym.nbytes = s.st_size;
		if (sym.name && *sym.name && object_segment(obj, sym.vaddr))
			result = fn(arg, &sym);
	}
	return result;
}

int object_each_function(const struct object *obj, int (*fn)(void *arg, const struct object_symbol *sym), void *arg)
{
	return object_each_function_in(obj, obj->elf, fn, arg);
}

int object_each_function_in(const struct object *obj, Elf *names, int (*fn)(void *arg, const struct object_symbol *sym), void *arg)
{
	static const GElf_Word types[] = { SHT_DYNSYM, SHT_SYMTAB };
	int result = 0;

	for (size_t t = 0; t < 2; t++) {
		Elf_Scn *scn = NULL;

		while (!result && (scn = elf_nextscn(names, scn))) {
			GElf_Shdr shdr;

			if (gelf_getshdr(scn, &shdr) && shdr.sh_type == types[t])
				result = section_each_function(obj, names, scn, &shdr, fn, arg);
		}
	}
	return result;
}
