/* SPDX-License-Identifier: BSD-2-Clause */
/* test_rows.c - unwind rows of known code, of damaged files, from the cache, and as the kernel would find them. */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <link.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "target/files.h"
#include "unwind/rows_cache.h"
#include "unwind/store.h"
#include "unwind/tables.h"

#if defined(__x86_64__)
/* One row a byte of code. */
__asm__(".text\n"
	".globl rows_known\n"
	"rows_known:\n"
	".cfi_startproc\n"
	"	nop\n" /* 0: as at an entry */
	".cfi_def_cfa_offset 16\n.cfi_offset rbp, -16\n"
	"	nop\n" /* 1: rbp is pushed */
	".cfi_def_cfa_register rbp\n"
	"	nop\n" /* 2: by rbp */
	".cfi_escape 0x0f, 0x03, 0x76, 0x78, 0x06\n"
	"	nop\n" /* 3: the word at rbp - 8 (a realigned frame) */
	".cfi_escape 0x10, 0x06, 0x02, 0x76, 0x00\n"
	"	nop\n" /* 4: and rbp where rbp points */
	".cfi_def_cfa rsp, 40000\n.cfi_same_value rbp\n"
	"	nop\n" /* 5: a large frame */
	".cfi_escape 0x0f, 0x0b, 0x77, 0x08, 0x80, 0x00, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22\n"
	"	nop\n" /* 6: a PLT entry, the push is its 11th byte */
	".cfi_def_cfa rbx, 16\n"
	"	nop\n" /* 7: by a register that is not followed */
	".cfi_def_cfa rsp, 8\n.cfi_undefined rip\n"
	"	nop\n" /* 8: the outermost frame */
	".cfi_endproc\n"
	"rows_handler:\n"
	".cfi_startproc\n"
	".cfi_signal_frame\n"
	".cfi_escape 0x0f, 0x04, 0x77, 0xa0, 0x01, 0x06\n"
	".cfi_escape 0x10, 0x06, 0x03, 0x77, 0xf8, 0x00\n"
	".cfi_escape 0x10, 0x10, 0x03, 0x77, 0xa8, 0x01\n"
	"	nop\n" /* 9: a signal's return */
	".cfi_endproc\n"
	"rows_bare:\n"
	"	nop\n" /* 10: no row at all */
	"	ret\n");
extern const char rows_known[];
#endif

static uint64_t own_bias;

static int first_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	own_bias = info->dlpi_addr;
	return 1;
}

static struct object *own_object(void)
{
	struct object *obj = NULL;

	dl_iterate_phdr(first_object, NULL);
	CHECK_EQ(object_open_path("/proc/self/exe", &obj), 0);
	return obj;
}

static void test_known_rules(void)
{
	static const struct ht_rule want[] = {
		{ .cfa = HT_CFA_SP, .cfa_off = 8, .ra_off = -8 },
		{ .cfa = HT_CFA_SP, .cfa_off = 16, .ra_off = -8, .bp = HT_BP_CFA, .bp_off = -16 },
		{ .cfa = HT_CFA_BP, .cfa_off = 16, .ra_off = -8, .bp = HT_BP_CFA, .bp_off = -16 },
		{ .cfa = HT_CFA_BP_DEREF, .cfa_off = -8, .ra_off = -8, .bp = HT_BP_CFA, .bp_off = -16 },
		{ .cfa = HT_CFA_BP_DEREF, .cfa_off = -8, .ra_off = -8, .bp = HT_BP_BP },
		{ .cfa = HT_CFA_SP, .cfa_off = 40000, .ra_off = -8 },
		{ .cfa = HT_CFA_PLT, .cfa_off = 8, .cfa_add = 11, .ra_off = -8 },
		{ .cfa = HT_CFA_NONE, .cfa_off = HT_CUT_RULE, .ra_off = -8 },
		{ .ra = HT_RA_END },
		{ .cfa = HT_CFA_SP_DEREF, .cfa_off = 160, .ra = HT_RA_SP, .ra_off = 168, .bp = HT_BP_SP, .bp_off = 120,
		  .flags = HT_RULE_SIGNAL },
		{ .cfa = HT_CFA_NONE, .cfa_off = HT_CUT_NO_ROW, .ra_off = -8 },
	};
	struct object *obj = own_object();
	struct rows *rows = NULL;

	CHECK_EQ(rows_build(obj, &rows), 0);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		const struct ht_rule *got = rows_find(rows, (uint64_t)(uintptr_t)rows_known - own_bias + i);

		CHECK(got);
		if (!got)
			continue;
		if (memcmp(got, &want[i], sizeof(*got)) != 0)
			fprintf(stderr, "row %zu: cfa %d %d %d, bp %d %d, ra %d %d, flags %d\n", i, got->cfa, got->cfa_off, got->cfa_add,
				got->bp, got->bp_off, got->ra, got->ra_off, got->flags);
		CHECK(!memcmp(got, &want[i], sizeof(*got)));
	}
	CHECK(!rows_find(rows, 0) || rows->base == 0);
	CHECK(!rows_find(rows, rows->base + ((uint64_t)rows->nr_pages << ROWS_PAGE_SHIFT)));
	rows_free(rows);
	object_close(obj);
}

static bool find_section(Elf *elf, const char *name, uint64_t *offset_ret, uint64_t *nbytes_ret)
{
	Elf_Scn *scn = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return false;
	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr shdr;

		if (!gelf_getshdr(scn, &shdr) || strcmp(elf_strptr(elf, names, shdr.sh_name), name) != 0)
			continue;
		*offset_ret = shdr.sh_offset;
		*nbytes_ret = shdr.sh_size;
		return true;
	}
	return false;
}

/* Whatever stands in .eh_frame: rows or an error, never a crash, and rows that are sound. */
static void test_garbage_frames(void)
{
	struct object *obj = own_object(), *bad;
	uint64_t offset = 0, nbytes = 0, state = 12345;
	struct rows *rows;
	size_t size;
	char *bytes, path[64];
	int fd = memfd_create("rows", MFD_CLOEXEC);

	CHECK_EQ(file_read_all_at(AT_FDCWD, "/proc/self/exe", &bytes, &size), 0);
	CHECK(find_section(object_elf(obj), ".eh_frame", &offset, &nbytes) && nbytes > 64);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (int round = 0; round < 60; round++) {
		CHECK_EQ(pwrite(fd, bytes, size, 0), (ssize_t)size);
		for (int i = 0; i < 1 + round * 4; i++) {
			char byte;

			state = state * 6364136223846793005ull + 1442695040888963407ull;
			byte = (char)(state >> 56);
			CHECK_EQ(pwrite(fd, &byte, 1, (off_t)(offset + (state >> 20) % nbytes)), 1);
		}
		CHECK_EQ(object_open_path(path, &bad), 0);
		if (!rows_build(bad, &rows))
			CHECK(rows_are_sound(rows));
		rows_free(rows);
		object_close(bad);
	}
	close(fd);
	free(bytes);
	object_close(obj);
}

static void cache_file(const char *folder, char *path, size_t room)
{
	char command[512], *nl;
	FILE *f;

	snprintf(command, sizeof(command), "ls %s/heaptape/*.rows", folder);
	f = popen(command, "r");
	if (!f || !fgets(path, (int)room, f))
		path[0] = '\0';
	nl = strchr(path, '\n');
	if (nl)
		*nl = '\0';
	if (f)
		pclose(f);
}

/* What was stored is what is loaded; one changed byte, a cut, or another's folder, and it is not believed. */
static void test_cache(void)
{
	char folder[] = "/tmp/heaptape-rows.XXXXXX", path[512], command[600];
	struct object *obj = own_object();
	struct rows *built = NULL, *loaded;
	struct stat st;
	int fd;

	CHECK(mkdtemp(folder));
	unsetenv("HEAPTAPE_CACHE");
	setenv("XDG_CACHE_HOME", folder, 1);
	CHECK_EQ(rows_build(obj, &built), 0);
	CHECK(!rows_cache_load(obj));
	rows_cache_store(obj, built);
	loaded = rows_cache_load(obj);
	CHECK(loaded && loaded->base == built->base && loaded->nr_rows == built->nr_rows && loaded->nr_rules == built->nr_rules);
	CHECK(loaded && !memcmp(loaded->rows, built->rows, built->nr_rows * sizeof(uint32_t)));
	rows_free(loaded);
	cache_file(folder, path, sizeof(path));
	fd = open(path, O_RDWR);
	CHECK(fd >= 0 && !fstat(fd, &st));
	for (off_t at = 0; at < st.st_size; at += 1 + st.st_size / 97) {
		char byte, other;

		CHECK_EQ(pread(fd, &byte, 1, at), 1);
		other = (char)(byte ^ 0x10);
		CHECK_EQ(pwrite(fd, &other, 1, at), 1);
		CHECK(!rows_cache_load(obj));
		CHECK_EQ(pwrite(fd, &byte, 1, at), 1);
	}
	CHECK(!ftruncate(fd, st.st_size - 1));
	CHECK(!rows_cache_load(obj));
	close(fd);
	snprintf(command, sizeof(command), "%s/heaptape", folder);
	CHECK(!chmod(command, 0777));
	rows_cache_store(obj, built);
	CHECK(!rows_cache_load(obj));
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	CHECK_EQ(system(command), 0);
	unsetenv("XDG_CACHE_HOME");
	setenv("XDG_CACHE_HOME", "/nonexistent", 1);
	rows_free(built);
	object_close(obj);
}

/* The kernel's side, in this process's own memory. */
static struct unwind_kernel fake_kernel(void)
{
	struct unwind_kernel uk = { .shards_fd = -1 };

	uk.texts = calloc(2, sizeof(*uk.texts));
	uk.pages = calloc(HT_PAGES_MAX, sizeof(*uk.pages));
	uk.rules = calloc(HT_RULES_MAX, sizeof(*uk.rules));
	uk.text_changes = calloc(HT_TEXT_CHANGES, sizeof(*uk.text_changes));
	uk.texts_version = calloc(4, sizeof(uint64_t));
	uk.text_gen = uk.texts_version + 1;
	uk.map_seq = uk.texts_version + 2;
	uk.texts_wanted = (uint32_t *)(void *)(uk.texts_version + 3);
	return uk;
}

static void fake_kernel_free(struct unwind_kernel *uk)
{
	free(uk->texts);
	free(uk->pages);
	free(uk->rules);
	free(uk->text_changes);
	free(uk->texts_version);
}

/* Two objects in the store: each finds its own rules. */
static void test_store(void)
{
	struct unwind_kernel uk = fake_kernel();
	struct store *store = store_new(&uk);
	struct object *obj = own_object();
	struct rows *rows = NULL;
	uint32_t first, second;
	unsigned wrong = 0;

	CHECK_EQ(rows_build(obj, &rows), 0);
	CHECK_EQ(store_add(store, rows, &first), 0);
	CHECK_EQ(store_add(store, rows, &second), 0);
	CHECK_EQ(second, first + rows->nr_pages);
	CHECK_EQ(store_nr_rows(store), 2 * (uint64_t)rows->nr_rows);
	for (uint64_t off = 0; off < (uint64_t)rows->nr_pages << ROWS_PAGE_SHIFT; off += 3) {
		const struct ht_rule *want = rows_find(rows, rows->base + off);
		uint32_t page = (uint32_t)(off >> ROWS_PAGE_SHIFT), low = off & 0xffff;

		wrong += memcmp(store_find(store, first + page, low), want, sizeof(*want)) != 0;
		wrong += memcmp(store_find(store, second + page, low), want, sizeof(*want)) != 0;
	}
	CHECK_EQ(wrong, 0);
	store_reset(store);
	CHECK_EQ(store_nr_rows(store), 0);
	rows_free(rows);
	object_close(obj);
	store_free(store);
	fake_kernel_free(&uk);
}

static const struct ht_text *find_text(const struct unwind_kernel *uk, uint64_t addr)
{
	const struct ht_texts *list = &uk->texts[*uk->texts_version & 1];

	for (uint32_t i = 0; i < list->nr; i++)
		if (addr >= list->texts[i].start && addr < list->texts[i].end)
			return &list->texts[i];
	return NULL;
}

/* A list of this very process; what the kernel tells while it is made becomes void in it. */
static void test_tables(void)
{
	struct unwind_kernel uk = fake_kernel();
	struct tables *t = tables_new(&uk, HT_STACKS_EH);
	uint64_t own = (uint64_t)(uintptr_t)rows_known;
	const struct ht_text *text;
	struct process self;
	bool changed;

	CHECK_EQ(process_open(getpid(), &self), 0);
	CHECK(tables_are_stale(t)); /* there is none yet */
	CHECK_EQ(tables_update(t, &self, &changed), 0);
	CHECK(changed && !tables_are_stale(t));
	text = find_text(&uk, own);
	CHECK(text && text->kind == HT_TEXT_ROWS && text->nr_pages && tables_module(t, text->object));
	text = find_text(&uk, (uint64_t)(uintptr_t)getppid);
	CHECK(text && strstr(tables_module(t, text->object), "libc"));
	CHECK_EQ(tables_update(t, &self, &changed), 0);
	CHECK(!changed && uk.texts[*uk.texts_version & 1].confirmed);
	++*uk.map_seq; /* something was mapped, but where is not told: the list cannot be relied on */
	CHECK(tables_are_stale(t));
	++*uk.text_gen;
	CHECK_EQ(tables_update(t, &self, &changed), 0);
	CHECK(!tables_are_stale(t));
	CHECK(!tables_module(t, 60000) && !strcmp(tables_module(t, 0), "- //anon"));
	tables_free(t);
	process_close(&self);
	fake_kernel_free(&uk);
}

int main(void)
{
	test_known_rules();
	test_garbage_frames();
	test_cache();
	test_store();
	test_tables();
	return check_done();
}
