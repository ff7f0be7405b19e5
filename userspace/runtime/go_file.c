/* SPDX-License-Identifier: BSD-2-Clause */
/* See go_file.h. The function table's layout: runtime/symtab.go (pcHeader, functab, _func) of Go 1.18 to 1.23. */
#include "runtime/go_file.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <gelf.h>
#include <stdio.h>
#include <string.h>

#include "runtime/runtime.h"

#define MAGIC_118 0xfffffff0u
#define MAGIC_120 0xfffffff1u
#define BUILDINFO_MAGIC "\xff Go buildinf:"
#define BUILDINFO_HEAD 32

struct section {
	const uint8_t *bytes;
	uint64_t nbytes, vaddr;
};

static bool find_section(const struct object *obj, const char *name, struct section *s_ret)
{
	Elf *elf = object_elf(obj);
	Elf_Scn *scn = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return false;
	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr head;
		const char *its = gelf_getshdr(scn, &head) ? elf_strptr(elf, names, head.sh_name) : NULL;
		Elf_Data *data = its && !strcmp(its, name) ? elf_rawdata(scn, NULL) : NULL;

		if (!data || !data->d_buf)
			continue;
		*s_ret = (struct section){ data->d_buf, data->d_size, head.sh_addr };
		return true;
	}
	return false;
}

static bool find_table(const struct object *obj, struct section *s_ret)
{
	return find_section(obj, ".gopclntab", s_ret) || find_section(obj, ".data.rel.ro.gopclntab", s_ret);
}

bool go_file_recognise(const struct object *obj)
{
	struct section s;

	return find_table(obj, &s) && find_section(obj, ".go.buildinfo", &s);
}

/* From Go 1.18 on the version stands in the section itself: length, text. */
bool go_file_version(const struct object *obj, char *version, size_t nbytes)
{
	struct section s;
	size_t len;

	if (!find_section(obj, ".go.buildinfo", &s) || s.nbytes < BUILDINFO_HEAD + 1 || memcmp(s.bytes, BUILDINFO_MAGIC, strlen(BUILDINFO_MAGIC)) != 0 ||
	    !(s.bytes[15] & 2))
		return false;
	len = s.bytes[BUILDINFO_HEAD];
	if (len >= 128 || len >= nbytes || s.nbytes < BUILDINFO_HEAD + 1 + len)
		return false;
	memcpy(version, s.bytes + BUILDINFO_HEAD + 1, len);
	version[len] = '\0';
	return true;
}

/* ---- functions ---- */

static uint64_t number(const struct section *s, uint64_t at, unsigned nbytes)
{
	uint64_t v = 0;

	if (at <= s->nbytes && s->nbytes - at >= nbytes)
		memcpy(&v, s->bytes + at, nbytes);
	return v;
}

#define NAME_NBYTES_MAX 256 /* those that are looked for are much shorter */

static const char *text(const struct section *s, uint64_t at)
{
	uint64_t most = at < s->nbytes ? s->nbytes - at : 0;

	if (most > NAME_NBYTES_MAX)
		most = NAME_NBYTES_MAX;
	return most && memchr(s->bytes + at, '\0', most) ? (const char *)s->bytes + at : "";
}

int go_file_functions(const struct object *obj, struct go_function *functions, size_t nr)
{
	struct section s;
	uint64_t nr_functions, start, names, table;
	uint32_t magic;

	if (!find_table(obj, &s))
		return -EBADMSG;
	magic = (uint32_t)number(&s, 0, 4);
	if ((magic != MAGIC_118 && magic != MAGIC_120) || number(&s, 7, 1) != 8)
		return -EBADMSG;
	nr_functions = number(&s, 8, 8);
	start = number(&s, 24, 8);
	if (!start) { /* a word to be relocated, in a program of any address */
		struct runtime_symbol first = { .name = "runtime.text" };

		runtime_symbols(obj, &first, 1);
		start = first.vaddr;
	}
	if (!start)
		return -EBADMSG;
	names = number(&s, 32, 8);
	table = number(&s, 64, 8);
	if (nr_functions > s.nbytes / 8)
		return -EBADMSG;
	for (uint64_t i = 0; i < nr_functions; i++) {
		uint64_t entry = number(&s, table + 8 * i, 4), func = table + number(&s, table + 8 * i + 4, 4);
		const char *name = text(&s, names + number(&s, func + 4, 4));

		for (size_t k = 0; k < nr; k++)
			if (!strcmp(functions[k].name, name)) {
				functions[k].start = start + entry;
				functions[k].end = start + number(&s, table + 8 * (i + 1), 4);
			}
	}
	return 0;
}

/* ---- fields ---- */

struct field {
	const char *name;
	size_t at; /* in struct go_span */
};

static const struct field fields[] = {
	{ "startAddr", offsetof(struct go_span, start_addr) },
	{ "npages", offsetof(struct go_span, npages) },
	{ "nelems", offsetof(struct go_span, nelems) },
	{ "gcmarkBits", offsetof(struct go_span, gcmark_bits) },
	{ "state", offsetof(struct go_span, state) },
	{ "spanclass", offsetof(struct go_span, spanclass) },
	{ "elemsize", offsetof(struct go_span, elemsize) },
};

#define FIELDS_NR (sizeof(fields) / sizeof(fields[0]))

static bool read_members(Dwarf_Die *type, void *arg)
{
	struct go_span *span = arg;
	Dwarf_Die member;
	size_t found = 0;

	if (dwarf_child(type, &member))
		return false;
	do {
		const char *name = dwarf_diename(&member);
		Dwarf_Attribute attr;
		Dwarf_Word offset;

		for (size_t i = 0; name && i < FIELDS_NR; i++) {
			Dwarf_Die of;
			int nbytes;

			if (strcmp(name, fields[i].name) != 0 || !dwarf_attr(&member, DW_AT_data_member_location, &attr) ||
			    dwarf_formudata(&attr, &offset))
				continue;
			memcpy((uint8_t *)span + fields[i].at, &offset, sizeof(offset));
			found++;
			if (!strcmp(name, "nelems") && dwarf_attr(&member, DW_AT_type, &attr) && dwarf_formref_die(&attr, &of) &&
			    (nbytes = dwarf_bytesize(&of)) > 0)
				span->nelems_nbytes = (uint8_t)nbytes;
		}
	} while (!dwarf_siblingof(&member, &member));
	for (size_t i = 0; i < FIELDS_NR; i++)
		if (*(const uint64_t *)(const void *)((const uint8_t *)span + fields[i].at) > GO_SPAN_NBYTES - sizeof(uint64_t))
			return false;
	return found == FIELDS_NR && (span->nelems_nbytes == 2 || span->nelems_nbytes == 8);
}

/* Calls fn with the type of that name, once. false: there is no debug information of it, or fn said so. */
static bool with_type(const struct object *obj, const char *name, bool (*fn)(Dwarf_Die *type, void *arg), void *arg)
{
	/* A handle of its own: sections are decompressed in place, which the object's read-only one cannot bear. */
	Elf *elf = elf_begin(object_fd(obj), ELF_C_READ, NULL);
	Dwarf *dwarf = elf ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;
	Dwarf_Off at = 0, next;
	size_t head;
	bool found = false;

	while (dwarf && !found && !dwarf_nextcu(dwarf, at, &next, &head, NULL, NULL, NULL)) {
		Dwarf_Die unit, die;

		if (dwarf_offdie(dwarf, at + head, &unit) && !dwarf_child(&unit, &die))
			do {
				const char *its = dwarf_tag(&die) == DW_TAG_structure_type ? dwarf_diename(&die) : NULL;

				if (its && !strcmp(its, name)) {
					found = fn(&die, arg);
					break;
				}
			} while (!dwarf_siblingof(&die, &die));
		at = next;
	}
	dwarf_end(dwarf);
	elf_end(elf);
	return found;
}

struct wanted {
	const char *field;
	Dwarf_Word offset;
};

static bool read_field(Dwarf_Die *type, void *arg)
{
	struct wanted *w = arg;
	Dwarf_Die member;

	if (dwarf_child(type, &member))
		return false;
	do {
		const char *name = dwarf_diename(&member);
		Dwarf_Attribute attr;

		if (name && !strcmp(name, w->field))
			return dwarf_attr(&member, DW_AT_data_member_location, &attr) && !dwarf_formudata(&attr, &w->offset);
	} while (!dwarf_siblingof(&member, &member));
	return false;
}

bool go_file_field(const struct object *obj, const char *type, const char *field, uint64_t *offset_ret)
{
	struct wanted w = { .field = field };

	if (!with_type(obj, type, read_field, &w))
		return false;
	*offset_ret = w.offset;
	return true;
}

int go_file_span(const struct object *obj, const char *version, struct go_span *span_ret)
{
	/* As debug information of programs built by Debian's compilers tells them (tests/live/runtime.sh holds it against that). */
	static const struct {
		const char *version;
		struct go_span span;
	} known[] = {
		{ "go1.19", { 24, 32, 56, 80, 99, 98, 104, 8 } },
		{ "go1.23", { 24, 32, 50, 72, 99, 98, 104, 2 } },
	};

	if (with_type(obj, "runtime.mspan", read_members, span_ret))
		return 0;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t len = strlen(known[i].version);

		if (!strncmp(version, known[i].version, len) && (version[len] == '.' || version[len] == '\0')) {
			*span_ret = known[i].span;
			return 0;
		}
	}
	return -ENOENT;
}
