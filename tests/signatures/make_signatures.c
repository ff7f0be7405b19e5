/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * make_signatures [LIBC.a NAME]...: prints userspace/sites/signatures_table.c: for each function of each archive that heaptape
 * records, what signatures.h says.
 * make_signatures --known LIBC.a: status 0 if the table that this was built with has all those functions of the archive.
 */
#include <err.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sites/code.h"
#include "sites/functions.h"
#include "sites/signatures.h"

enum {
	FIXED_MIN = 24,   /* bytes that must stay; fewer only count in malloc's own section */
	FUNCTIONS_MAX = 256,
	MOVED_MAX = 4096,
	ALIGN_MAX = 16,
	REWRITTEN = 3,    /* in front of a relocation for a table of addresses: a linker may exchange the instruction */
};

struct row {
	struct signature sig;
	uint64_t start; /* in its section */
	uint32_t moved[MOVED_MAX];
	uint8_t *is_moved;
	const uint8_t *bytes;
};

static struct row *rows[FUNCTIONS_MAX];
static unsigned nr_rows, nr_sections;

/* Beside what is recorded: what tells musl by, and whose frees are no program's. */
static bool is_wanted(const char *name)
{
	return function_find(name) || !strcmp(name, "__libc_malloc_impl") || !strcmp(name, "__malloc_arena_thread_freeres") ||
	       !strcmp(name, "tcache_thread_shutdown");
}

/* Musl's simple malloc is a weak stand-in for programs that never free: where free is, the real one is too. */
static bool is_stand_in(const GElf_Sym *sym, const char *name)
{
	return GELF_ST_BIND(sym->st_info) == STB_WEAK && !strcmp(name, "__libc_malloc_impl");
}

/* Bytes of the section, as far as the function has them. */
static void move(struct row *row, uint64_t at, uint64_t nbytes)
{
	for (uint64_t i = at; i < at + nbytes; i++)
		if (i >= row->start && i - row->start < row->sig.nbytes)
			row->is_moved[i - row->start] = 1;
}

static void apply(struct row *row, const GElf_Rela *r)
{
	if (r->r_offset + 8 < row->start || r->r_offset >= row->start + row->sig.nbytes)
		return;
	switch (GELF_R_TYPE(r->r_info)) {
	case R_X86_64_NONE: return;
	case R_X86_64_64: return move(row, r->r_offset, 8);
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
	case R_X86_64_32:
	case R_X86_64_32S:
	case R_X86_64_TPOFF32: return move(row, r->r_offset, 4);
	case R_X86_64_GOTPCREL:
	case R_X86_64_GOTPCRELX:
	case R_X86_64_REX_GOTPCRELX:
	case R_X86_64_GOTTPOFF:
		return move(row, r->r_offset < REWRITTEN ? 0 : r->r_offset - REWRITTEN, 4 + REWRITTEN);
	default: errx(1, "relocation type %lu is not known here", (unsigned long)GELF_R_TYPE(r->r_info));
	}
}

static void read_relocations(Elf *elf, size_t section, struct row *row)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	GElf_Rela rela;

	while ((scn = elf_nextscn(elf, scn))) {
		Elf_Data *data = elf_getdata(scn, NULL);

		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type != SHT_RELA || shdr.sh_info != section || !data)
			continue;
		for (int i = 0; gelf_getrela(data, i, &rela); i++)
			apply(row, &rela);
	}
}

/* Distances to the section's other functions, which the assembler knew: they change when one between them does. */
static void move_distances(struct code_reader *reader, struct row *row)
{
	uint64_t end = row->start + row->sig.nbytes;

	for (uint64_t at = row->start; at < end;) {
		struct code_insn insn;

		if (!code_decode(reader, row->bytes + (at - row->start), end - at, at, &insn))
			errx(1, "%s+%llu is no instruction", row->sig.names[0], (unsigned long long)(at - row->start));
		if ((insn.flow == CODE_JUMP || insn.flow == CODE_BRANCH || insn.flow == CODE_CALL) && insn.target &&
		    (insn.target < row->start || insn.target >= end))
			move(row, at + insn.nbytes - (insn.nbytes == 2 ? 1 : 4), insn.nbytes == 2 ? 1 : 4);
		at += insn.nbytes;
	}
}

/* Runs of moved bytes, of at most 15. */
static void list_moved(struct row *row)
{
	for (uint32_t i = 0, n; i < row->sig.nbytes; i += n) {
		for (n = 0; n < 15 && i + n < row->sig.nbytes && row->is_moved[i + n]; n++)
			;
		if (n && row->sig.nr_moved == MOVED_MAX)
			errx(1, "more than %d relocations in one function", MOVED_MAX);
		if (n)
			row->moved[row->sig.nr_moved++] = i * 16 + n;
		else
			n = 1, row->sig.nr_fixed++;
	}
}

/* A function of these names is noted already: an alias. */
static bool add_alias(unsigned section, const GElf_Sym *sym, const char *name)
{
	for (unsigned i = 0; i < nr_rows; i++) {
		unsigned n = 0;

		if (rows[i]->sig.section != section || rows[i]->start != sym->st_value)
			continue;
		while (n < SIGNATURE_NAMES && rows[i]->sig.names[n])
			n++;
		if (n == SIGNATURE_NAMES)
			errx(1, "%s has more than %d names", name, SIGNATURE_NAMES);
		rows[i]->sig.names[n] = strdup(name);
		/* The plain name first: it is the one that is shown. */
		if (*name != '_') {
			rows[i]->sig.names[n] = rows[i]->sig.names[0];
			rows[i]->sig.names[0] = strdup(name);
		}
		return true;
	}
	return false;
}

static void add_row(const struct signature *like, const GElf_Sym *sym, const char *name, const uint8_t *bytes)
{
	struct row *row = calloc(1, sizeof(*row));

	if (!row || nr_rows == FUNCTIONS_MAX)
		errx(1, "no room for %s", name);
	row->sig = *like;
	row->sig.nbytes = (uint32_t)sym->st_size;
	while (row->sig.align > 1 && sym->st_value % row->sig.align)
		row->sig.align /= 2;
	row->sig.names[0] = strdup(name);
	row->sig.moved = row->moved;
	row->sig.start = (unsigned)sym->st_value;
	row->start = sym->st_value;
	row->bytes = bytes + sym->st_value;
	row->is_moved = calloc(1, sym->st_size + 1);
	rows[nr_rows++] = row;
}

static void read_functions(Elf *elf, size_t section, const struct signature *like, const uint8_t *bytes)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	GElf_Sym sym;

	while ((scn = elf_nextscn(elf, scn))) {
		Elf_Data *data = elf_getdata(scn, NULL);

		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type != SHT_SYMTAB || !data)
			continue;
		for (int i = 0; gelf_getsym(data, i, &sym); i++) {
			const char *name = elf_strptr(elf, shdr.sh_link, sym.st_name);

			if (sym.st_shndx == section && GELF_ST_TYPE(sym.st_info) == STT_FUNC && name && is_wanted(name) &&
			    !is_stand_in(&sym, name) && sym.st_size && !add_alias(like->section, &sym, name))
				add_row(like, &sym, name, bytes);
		}
	}
}

static void finish_row(struct row *row)
{
	for (uint32_t i = 0; i < SIGNATURE_HEAD && i < row->sig.nbytes; i++) {
		row->sig.head_moved[i] = row->is_moved[i] ? 255 : 0;
		row->sig.head[i] = row->is_moved[i] ? 0 : row->bytes[i];
	}
	list_moved(row);
	row->sig.hash = signature_hash(row->bytes, row->sig.nbytes, row->moved, row->sig.nr_moved);
}

static bool has_malloc(unsigned from)
{
	for (unsigned i = from; i < nr_rows; i++)
		for (unsigned k = 0; k < SIGNATURE_NAMES && rows[i]->sig.names[k]; k++)
			if (!strcmp(rows[i]->sig.names[k], "malloc") && rows[i]->sig.nbytes > FIXED_MIN)
				return true;
	return false;
}

static void read_section(Elf *elf, Elf_Scn *scn, const GElf_Shdr *shdr, const char *libc)
{
	static struct code_reader *reader;
	struct signature like = { .libc = libc, .section = nr_sections, .align = shdr->sh_addralign < ALIGN_MAX ? (uint32_t)shdr->sh_addralign : ALIGN_MAX };
	Elf_Data *data = elf_getdata(scn, NULL);
	unsigned first = nr_rows, nr = nr_rows;
	bool is_whole;

	reader = reader ? reader : code_reader_new();
	if (!data || !data->d_buf || !reader)
		errx(1, "a section of %s cannot be read", libc);
	read_functions(elf, elf_ndxscn(scn), &like, data->d_buf);
	nr_sections += nr_rows > first;
	is_whole = has_malloc(first);
	for (unsigned i = first; i < nr_rows; i++) {
		struct row *row = rows[i];

		read_relocations(elf, elf_ndxscn(scn), row);
		move_distances(reader, row);
		finish_row(row);
		if (row->sig.nr_fixed >= FIXED_MIN || is_whole)
			rows[nr++] = row;
	}
	nr_rows = nr;
}

static void read_archive(const char *path, const char *libc)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf_Cmd cmd = ELF_C_READ;
	Elf *archive = fd < 0 ? NULL : elf_begin(fd, cmd, NULL), *elf;

	if (!archive || elf_kind(archive) != ELF_K_AR)
		errx(1, "%s is no archive", path);
	while ((elf = elf_begin(fd, cmd, archive))) {
		Elf_Scn *scn = NULL;
		GElf_Shdr shdr;

		while (elf_kind(elf) == ELF_K_ELF && (scn = elf_nextscn(elf, scn)))
			if (gelf_getshdr(scn, &shdr) && shdr.sh_type == SHT_PROGBITS && shdr.sh_flags & SHF_EXECINSTR &&
			    shdr.sh_size)
				read_section(elf, scn, &shdr, libc);
		cmd = elf_next(elf);
		elf_end(elf);
	}
	elf_end(archive);
	close(fd);
}

static void print_bytes(const char *name, const uint8_t *bytes)
{
	printf("\n\t  .%s = ", name);
	for (int i = 0; i < SIGNATURE_HEAD; i++)
		printf("%s%u", i ? ", " : "{ ", bytes[i]);
	printf(" },");
}

static void print_moved(const struct row *row, unsigned n)
{
	if (!row->sig.nr_moved)
		return;
	printf("static const uint32_t moved_%u[] = {", n);
	for (uint32_t i = 0; i < row->sig.nr_moved; i++)
		printf("%s%u,", i % 16 ? " " : "\n\t", row->moved[i]);
	printf("\n};\n");
}

static void print_row(const struct signature *sig, unsigned n)
{
	printf("\t{ .libc = \"%s\", .section = %u, .start = %u, .names = {", sig->libc, sig->section, sig->start);
	for (unsigned i = 0; i < SIGNATURE_NAMES && sig->names[i]; i++)
		printf("%s\"%s\"", i ? ", " : " ", sig->names[i]);
	printf(" },\n\t  .nbytes = %u, .align = %u, .nr_fixed = %u, .hash = 0x%016llxull,", sig->nbytes, sig->align, sig->nr_fixed,
	       (unsigned long long)sig->hash);
	print_bytes("head", sig->head);
	print_bytes("head_moved", sig->head_moved);
	if (sig->nr_moved)
		printf("\n\t  .moved = moved_%u, .nr_moved = %u", n, sig->nr_moved);
	printf(" },\n");
}

static void print_table(void)
{
	printf("/* SPDX-License-Identifier: BSD-2-Clause */\n/* Made by tests/signatures/update.sh: see signatures.h. */\n"
	       "#include \"signatures.h\"\n\n");
	for (unsigned i = 0; i < nr_rows; i++)
		print_moved(rows[i], i);
	printf("\nconst struct signature signature_table[] = {\n");
	for (unsigned i = 0; i < nr_rows; i++)
		print_row(&rows[i]->sig, i);
	printf("};\n\nconst unsigned signature_table_nr = sizeof(signature_table) / sizeof(signature_table[0]);\n");
}

static int all_known(void)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < nr_rows; i++)
		for (unsigned k = 0; k < signature_table_nr; k++)
			if (signature_table[k].hash == rows[i]->sig.hash && signature_table[k].nbytes == rows[i]->sig.nbytes) {
				nr++;
				break;
			}
	return nr && nr == nr_rows ? 0 : 1;
}

int main(int argc, char **argv)
{
	elf_version(EV_CURRENT);
	if (argc == 3 && !strcmp(argv[1], "--known")) {
		read_archive(argv[2], "");
		return all_known();
	}
	for (int i = 1; i + 1 < argc; i += 2)
		read_archive(argv[i], argv[i + 1]);
	print_table();
	return 0;
}
