/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_symbols.c - programs compiled here, whose marked places must be called what the source says: with DWARF in the
 * file, beside it, by build id, without any; and never by another build's file.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "symbols/symbols.h"
#include "target/object.h"

/* Line numbers below are those of this text. MARK gives an instruction a name in the symbol table. */
static const char source_c[] =
	"#define MARK(name) __asm__ volatile(\".globl \" #name \"\\n\" #name \": nop\" : : : \"memory\")\n"
	"static inline __attribute__((always_inline)) void innermost(void)\n"
	"{\n"
	"	MARK(mark_inner);\n" /* 4 */
	"}\n"
	"static inline __attribute__((always_inline)) void middle(int n)\n"
	"{\n"
	"	while (n--)\n"
	"		innermost();\n" /* 9 */
	"}\n"
	"__attribute__((noinline)) void outer(int n)\n"
	"{\n"
	"	{ volatile int k = n; middle(k); }\n" /* 13 */
	"	MARK(mark_outer);\n"		      /* 14 */
	"}\n"
	"int main(int argc, char **argv)\n"
	"{\n"
	"	(void)argv;\n"
	"	outer(argc);\n"
	"	return 0;\n"
	"}\n";

static const char source_cxx[] =
	"#define MARK(name) __asm__ volatile(\".globl \" #name \"\\n\" #name \": nop\" : : : \"memory\")\n"
	"namespace shop {\n"
	"template <typename T> struct Shelf {\n"
	"	__attribute__((noipa)) int put(T n, const char *label)\n"
	"	{\n"
	"		auto inner = [&](int k) __attribute__((always_inline)) { MARK(mark_lambda); return k + (label != nullptr); };\n"
	"		int got = inner(n);\n"
	"		MARK(mark_method);\n" /* 8 */
	"		return got;\n"
	"	}\n"
	"};\n"
	"}\n"
	"int main(int argc, char **argv)\n"
	"{\n"
	"	shop::Shelf<int> shelf;\n"
	"	return shelf.put(argc, argv[0]) == -1;\n"
	"}\n";

static char dir[256], told[4096];

static void note(void *arg, const char *line)
{
	size_t used = strlen(told);

	(void)arg;
	snprintf(told + used, sizeof(told) - used, "%s\n", line);
}

__attribute__((format(printf, 1, 2))) static int run(const char *fmt, ...)
{
	char command[4096], full[5000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	snprintf(full, sizeof(full), "cd %s && { %s; }", dir, command);
	return system(full);
}

static void write_file(const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* A program as a tape would name it, and where its marks are. */
struct program {
	char path[400], module[600], build_id[128];
	uint64_t inner, outer, lambda, method; /* file offsets, 0: no such mark */
};

static uint64_t mark_of(const struct object *obj, const char *path, const char *name)
{
	char command[700], line[64] = "";
	uint64_t offset = 0;
	FILE *f;

	snprintf(command, sizeof(command), "nm %s | awk '$3 == \"%s\" { print $1 }'", path, name);
	f = popen(command, "r");
	if (f && fgets(line, sizeof(line), f) && object_offset(obj, strtoull(line, NULL, 16), &offset))
		offset = 0;
	if (f)
		pclose(f);
	return offset;
}

static bool build(struct program *p, const char *name, const char *compile)
{
	struct object *obj;

	*p = (struct program){ 0 };
	snprintf(p->path, sizeof(p->path), "%s/%s", dir, name);
	if (run("%s -o %s", compile, name) || object_open_path(p->path, &obj))
		return false;
	snprintf(p->build_id, sizeof(p->build_id), "%s", object_build_id(obj));
	snprintf(p->module, sizeof(p->module), "%s %s", *p->build_id ? p->build_id : "-", p->path);
	p->inner = mark_of(obj, p->path, "mark_inner");
	p->outer = mark_of(obj, p->path, "mark_outer");
	p->lambda = mark_of(obj, p->path, "mark_lambda");
	p->method = mark_of(obj, p->path, "mark_method");
	object_close(obj);
	return true;
}

static bool ends_with(const char *text, const char *tail)
{
	size_t n = strlen(text), k = strlen(tail);

	return n >= k && strcmp(text + n - k, tail) == 0;
}

static struct symbols *open_symbols(const char *const *dirs, size_t nr_dirs)
{
	struct find find = { .debug_dirs = dirs, .nr_debug_dirs = nr_dirs, .root_fd = -1, .tell = note };

	told[0] = 0;
	return symbols_new(&find, NULL);
}

/* "function@line function@line ...", innermost first. */
static const char *names_at(struct symbols *s, const char *module, uint64_t place)
{
	static char text[2048];
	const struct tape_name *names;
	unsigned nr = symbols_find(s, module, place, &names);
	size_t used = 0;

	text[0] = 0;
	for (unsigned i = 0; i < nr; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s@%u", i ? " " : "", names[i].function,
					 names[i].line);
	return text;
}

static const char full_inner[] = "innermost@4 middle@9 outer@13", full_outer[] = "outer@14";

/* What a program is called when all is there. */
static void check_full(const struct program *p, const char *const *dirs, size_t nr_dirs)
{
	struct symbols *s = open_symbols(dirs, nr_dirs);
	const struct tape_name *names;

	CHECK_STR(names_at(s, p->module, p->inner), full_inner);
	CHECK_STR(names_at(s, p->module, p->outer), full_outer);
	CHECK_STR(names_at(s, p->module, p->outer), full_outer); /* known by now */
	CHECK(symbols_find(s, p->module, p->inner, &names) == 3 && ends_with(names[0].file, "/program.c") &&
	      ends_with(names[2].file, "/program.c"));
	CHECK_STR(names_at(s, p->module, 1ull << 40), "");
	CHECK_STR(told, "");
	symbols_free(s);
}

static void check_names(const struct program *p, const char *const *dirs, size_t nr_dirs, const char *inner, const char *outer)
{
	struct symbols *s = open_symbols(dirs, nr_dirs);

	CHECK_STR(names_at(s, p->module, p->inner), inner);
	CHECK_STR(names_at(s, p->module, p->outer), outer);
	symbols_free(s);
}

static void test_dwarf_in_the_file(void)
{
	static const char *const ways[] = {
		"gcc -g -O2 program.c",		 "gcc -g -O0 program.c",	      "gcc -gdwarf-4 -O2 program.c",
		"gcc -g -gz -O2 program.c",	 "gcc -g -O2 -no-pie program.c",      "gcc -g -O2 -static program.c",
		"clang-19 -g -O2 program.c", "clang-19 -g -O2 -fuse-ld=lld-19 program.c",
		"gcc -g -gsplit-dwarf -O2 program.c", "gcc -g -O2 -ffunction-sections -Wl,-z,noseparate-code program.c",
		"gcc -g -O2 -Wl,--build-id=none program.c",
	};
	struct program p;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (!build(&p, "program", ways[i])) {
			printf("SKIP  %s: cannot be built here\n", ways[i]);
			continue;
		}
		printf("%s\n", ways[i]);
		CHECK(p.inner && p.outer);
		check_full(&p, NULL, 0);
	}
}

static void test_return_address_behind_a_call(void)
{
	/* The call is the function's last instruction: the address behind it is the next function's. */
	static const char source[] = "__attribute__((noreturn)) extern void leave(void);\n"
				     "__attribute__((noinline, noreturn)) void last(void)\n{\n	leave();\n}\n"
				     "__asm__(\".globl mark_outer\\nmark_outer:\");\n"
				     "__attribute__((noinline)) void next(void) { __asm__ volatile(\"\"); }\n"
				     "__attribute__((noipa)) void leave(void) { for (;;) __asm__ volatile(\"\"); }\n"
				     "int main(void) { next(); last(); }\n";
	struct tape_frame frames[2];
	struct program p;
	struct symbols *s;

	write_file("last.c", source);
	CHECK(build(&p, "last", "gcc -g -O2 -fno-toplevel-reorder -fno-reorder-functions -falign-functions=1 last.c"));
	CHECK(p.outer);
	frames[0].offset = frames[1].offset = p.outer;
	s = open_symbols(NULL, 0);
	CHECK_STR(names_at(s, p.module, tape_frame_place(frames, 0)), "next@7");
	CHECK_STR(names_at(s, p.module, tape_frame_place(frames, 1)), "last@4");
	symbols_free(s);
}

static void test_symbols_alone(void)
{
	struct program p;

	CHECK(build(&p, "plain", "gcc -O2 program.c"));
	check_names(&p, NULL, 0, "outer@0", "outer@0");
	CHECK(build(&p, "dynamic", "gcc -O2 -rdynamic program.c"));
	CHECK_EQ(run("strip dynamic"), 0);
	check_names(&p, NULL, 0, "outer@0", "outer@0");
	CHECK(build(&p, "bare", "gcc -O2 program.c"));
	CHECK_EQ(run("strip bare"), 0);
	check_names(&p, NULL, 0, "", "");
}

/* As Fedora ships programs: the symbols of functions, packed. */
static void test_gnu_debugdata(void)
{
	struct program p;

	CHECK(build(&p, "packed", "gcc -O2 program.c"));
	if (run("command -v xz >/dev/null")) {
		printf("SKIP  .gnu_debugdata: no xz on this machine\n");
		return;
	}
	CHECK_EQ(run("objcopy --only-keep-debug packed packed.syms && xz -k packed.syms && strip packed && "
		     "objcopy --add-section .gnu_debugdata=packed.syms.xz packed"), 0);
	check_names(&p, NULL, 0, "outer@0", "outer@0");
}

/* A program and its debug file apart; the program is stripped. */
static bool build_apart(struct program *p, const char *name, const char *compile)
{
	if (!build(p, name, compile))
		return false;
	return !run("objcopy --only-keep-debug %s %s.debug && strip %s && objcopy --add-gnu-debuglink=%s.debug %s", name, name, name,
		    name, name);
}

static void test_debug_file_by_build_id(void)
{
	char store[300];
	const char *dirs[] = { "/nonexistent", store };
	struct program p;

	snprintf(store, sizeof(store), "%s/store", dir);
	CHECK(build_apart(&p, "by_id", "gcc -g -O2 program.c"));
	CHECK_EQ(run("mkdir -p store/.build-id/%.2s && mv by_id.debug store/.build-id/%.2s/%s.debug", p.build_id, p.build_id,
		     p.build_id + 2), 0);
	check_names(&p, NULL, 0, "", "");
	check_full(&p, dirs, 2);
	/* The debug file alone, the program being gone: laid out by GNU ld, so that its offsets follow. */
	CHECK_EQ(run("rm by_id"), 0);
	check_full(&p, dirs, 2);
}

static void test_debug_file_by_link(void)
{
	static const char *const ways[] = { "gcc -g -O2 program.c", "gcc -g -O2 -Wl,--build-id=none program.c" };
	char store[300];
	const char *dirs[] = { store };
	struct program p;

	snprintf(store, sizeof(store), "%s/links", dir);
	for (size_t i = 0; i < 2; i++) {
		CHECK(build_apart(&p, "linked", ways[i]));
		check_full(&p, NULL, 0); /* beside the program */
		CHECK_EQ(run("mkdir -p .debug && mv linked.debug .debug/"), 0);
		check_full(&p, NULL, 0);
		CHECK_EQ(run("mkdir -p links%s && mv .debug/linked.debug links%s/", dir, dir), 0);
		check_names(&p, NULL, 0, "", "");
		check_full(&p, dirs, 1);
		CHECK_EQ(run("mv links%s/linked.debug links/", dir), 0);
		check_full(&p, dirs, 1);
		CHECK_EQ(run("rm -r links"), 0);
	}
}

static void test_debug_file_of_another_build(void)
{
	char store[300];
	const char *dirs[] = { store };
	struct program p, other;
	struct symbols *s;

	snprintf(store, sizeof(store), "%s/others", dir);
	CHECK(build_apart(&p, "first", "gcc -g -O2 program.c"));
	CHECK(build_apart(&other, "second", "gcc -g -O1 -DOTHER program.c"));
	CHECK_EQ(run("mkdir -p others/.build-id/%.2s && cp second.debug others/.build-id/%.2s/%s.debug && mv second.debug first.debug",
		     p.build_id, p.build_id, p.build_id + 2), 0);
	s = open_symbols(dirs, 1);
	CHECK_STR(names_at(s, p.module, p.inner), "");
	CHECK(strstr(told, "others/.build-id/") && strstr(told, "another build") && strstr(told, other.build_id));
	CHECK(strstr(told, "first.debug is another build"));
	symbols_free(s);
	/* Without build ids the link's checksum tells. */
	CHECK(build_apart(&p, "sum", "gcc -g -O2 -Wl,--build-id=none program.c"));
	CHECK_EQ(run("printf x >>sum.debug"), 0);
	s = open_symbols(NULL, 0);
	CHECK_STR(names_at(s, p.module, p.inner), "");
	CHECK(strstr(told, "checksum"));
	symbols_free(s);
}

static void test_program_of_another_build(void)
{
	struct program p, other;
	struct symbols *s;

	CHECK(build(&p, "app", "gcc -g -O2 program.c"));
	CHECK(build(&other, "app", "gcc -g -O1 -DOTHER program.c"));
	CHECK(strcmp(p.build_id, other.build_id) != 0);
	s = open_symbols(NULL, 0);
	CHECK_STR(names_at(s, p.module, p.inner), "");
	CHECK(strstr(told, "app is another build") && strstr(told, p.build_id) && strstr(told, other.build_id));
	CHECK_EQ(module_state(symbols_module(s, p.module)), MODULE_MISSING);
	CHECK_STR(names_at(s, p.module, p.outer), "");
	CHECK_STR(names_at(s, other.module, other.outer), full_outer);
	symbols_free(s);
	CHECK(build(&p, "app", "gcc -O2 -Wl,--build-id=none program.c"));
	s = open_symbols(NULL, 0);
	snprintf(other.module, sizeof(other.module), "aabbccdd %s", p.path);
	CHECK_STR(names_at(s, other.module, p.outer), "");
	CHECK(strstr(told, "without a build id"));
	symbols_free(s);
}

/* No build id, and a file that is younger than the recording. */
static void test_changed_after_the_recording(void)
{
	struct find find = { .root_fd = -1, .tell = note, .recorded_at = 1000000 };
	struct program p;
	struct symbols *s;

	CHECK(build(&p, "young", "gcc -O2 -Wl,--build-id=none program.c"));
	told[0] = 0;
	s = symbols_new(&find, NULL);
	CHECK_STR(names_at(s, p.module, p.outer), "");
	CHECK(strstr(told, "changed after the recording"));
	symbols_free(s);
}

static void test_what_is_no_program(void)
{
	static const char *const modules[] = {
		"-",	   "",	     "- ",		    "aa /nonexistent/file",  "- /dev/zero",	    "- /etc/passwd", "- /",
		"aa [heap]", "- //anon", "aa relative/path", "zz /bin/sh", "00 /proc/self/mem", "- /proc/kmsg",
	};
	struct symbols *s = open_symbols(NULL, 0);
	char fifo[300];

	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
		CHECK_STR(names_at(s, modules[i], 4096), "");
	snprintf(fifo, sizeof(fifo), "- %s/fifo", dir);
	CHECK_EQ(mkfifo(fifo + 2, 0600), 0);
	CHECK_STR(names_at(s, fifo, 1), ""); /* and does not wait */
	symbols_free(s);
}

/* Every byte of a small program's debug sections may be wrong: never a crash. The build id is trusted, so it stays. */
static void test_damaged_dwarf(void)
{
	struct program p;
	unsigned seed = 12345;
	char path[420];
	long nbytes;
	FILE *f;

	CHECK(build(&p, "damaged", "gcc -g -O2 program.c"));
	snprintf(path, sizeof(path), "%s", p.path);
	f = fopen(path, "r+");
	CHECK(f != NULL);
	fseek(f, 0, SEEK_END);
	nbytes = ftell(f);
	for (unsigned round = 0; round < 300; round++) {
		long at = 0x3000 + (long)(rand_r(&seed) % (unsigned)(nbytes - 0x3000));
		struct symbols *s;
		int was, now = rand_r(&seed) & 255;

		fseek(f, at, SEEK_SET);
		was = fgetc(f);
		fseek(f, at, SEEK_SET);
		fputc(now, f);
		fflush(f);
		s = open_symbols(NULL, 0);
		names_at(s, p.module, p.inner);
		names_at(s, p.module, p.outer);
		symbols_free(s);
		if (round % 10) { /* some damage stays */
			fseek(f, at, SEEK_SET);
			fputc(was, f);
			fflush(f);
		}
	}
	fclose(f);
}

static void test_cxx(void)
{
	static const char method[] = "shop::Shelf<int>::put(int, char const*)";
	char want[256];
	struct program p;
	struct symbols *s;

	CHECK(build(&p, "cxx", "g++ -g -O2 program.cc"));
	s = open_symbols(NULL, 0);
	snprintf(want, sizeof(want), "%s@8", method);
	CHECK_STR(names_at(s, p.module, p.method), want);
	CHECK(strstr(names_at(s, p.module, p.lambda), method) != NULL);
	CHECK(strstr(names_at(s, p.module, p.lambda), "operator()") == names_at(s, p.module, p.lambda) ||
	      strstr(names_at(s, p.module, p.lambda), "lambda") != NULL);
	symbols_free(s);
	CHECK(build(&p, "cxx", "g++ -O2 program.cc")); /* by its symbol */
	s = open_symbols(NULL, 0);
	snprintf(want, sizeof(want), "%s@0", method);
	CHECK_STR(names_at(s, p.module, p.method), want);
	symbols_free(s);
	CHECK(build(&p, "cxx", "g++ -g1 -O2 program.cc")); /* lines, but no linkage names */
	s = open_symbols(NULL, 0);
	snprintf(want, sizeof(want), "%s@8", method);
	CHECK_STR(names_at(s, p.module, p.method), want);
	symbols_free(s);
}

/* As Debian packs debug files: what two of them share is in a third (dwz). */
static void test_shared_debug_file(void)
{
	struct program p, other;
	struct symbols *s;

	if (run("command -v dwz >/dev/null")) {
		printf("SKIP  shared debug files: no dwz on this machine\n");
		return;
	}
	CHECK(build_apart(&p, "one", "gcc -g -O2 -DONE -include stdio.h -include stdlib.h program.c"));
	CHECK(build_apart(&other, "two", "gcc -g -O2 -DTWO -include stdio.h -include stdlib.h program.c"));
	CHECK_EQ(run("dwz -m common.debug -r one.debug two.debug 2>dwz.err"), 0);
	check_full(&p, NULL, 0);
	CHECK_EQ(run("rm common.debug"), 0);
	s = open_symbols(NULL, 0);
	names_at(s, p.module, p.inner);
	CHECK(strstr(told, "shares debug information with common.debug"));
	symbols_free(s);
	CHECK_EQ(run("gcc -g -O3 -include stdlib.h program.c -o x && objcopy --only-keep-debug x common.debug"), 0);
	s = open_symbols(NULL, 0);
	CHECK(!strstr(names_at(s, p.module, p.inner), "@4")); /* nothing of what is no longer known */
	CHECK(strstr(told, "common.debug is another build"));
	symbols_free(s);
}

static void test_vdso(void)
{
	struct symbols *s = open_symbols(NULL, 0);
	bool found = false;

	for (uint64_t place = 0; place < 8192 && !found; place += 16)
		found = strstr(names_at(s, "- [vdso]", place), "gettime") != NULL;
	CHECK(found);
	CHECK_STR(names_at(s, "0011223344 [vdso]", 0x700), "");
	symbols_free(s);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/heaptape-symbols.XXXXXX", tmp ? tmp : "/tmp");
	CHECK(mkdtemp(dir) != NULL);
	write_file("program.c", source_c);
	write_file("program.cc", source_cxx);
	test_dwarf_in_the_file();
	test_return_address_behind_a_call();
	test_symbols_alone();
	test_gnu_debugdata();
	test_debug_file_by_build_id();
	test_debug_file_by_link();
	test_debug_file_of_another_build();
	test_program_of_another_build();
	test_changed_after_the_recording();
	test_what_is_no_program();
	test_damaged_dwarf();
	test_cxx();
	test_shared_debug_file();
	test_vdso();
	run("rm -rf %s", dir);
	return check_done();
}
