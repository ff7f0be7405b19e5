/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_planner.c - libFuzzer target: any bytes as an allocator's function, planned within a time limit, and each plan that
 * rests on data flow held against all ways through that code (tests/unit/ways.h).
 *
 *   fuzz_planner -max_total_time=60 CORPUS_DIR tests/fuzz/seeds
 *
 * Byte 0 is the kind of input: even, the bytes from 3 on are a function; odd, byte 2 chooses a function of this machine's
 * libc and the rest are flips in it (two bytes where, one what). Byte 1 chooses which function it is taken for.
 */
#include <dlfcn.h>
#include <elf.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "formats/tape.h"
#include "sites/cost.h"
#include "sites/survey.h"
#include "tests/unit/ways.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes);

enum {
	CODE_VADDR = 0x10000,
	CODE_NBYTES_MAX = 32768,
	OTHER_BEHIND = 8,
	AROUND_NBYTES = 4096,       /* of a real function's surroundings, which it may jump to */
	LIBC_FUNCTIONS_MAX = 64,
	PLAN_NS_MAX = 2000000000,   /* of one function, under the sanitizers */
	WAYS_INSNS_MAX = 20000,
};

/* As which the code is planned: one of each form. The other recorded function is malloc. */
static const char *const names[] = { "malloc", "calloc", "realloc", "free", "posix_memalign", "memalign", "aligned_alloc", "_Znwm",
				     "_ZdlPvm", "mallocx", "reallocarray", "mallctl", "sdallocx" };

struct real {
	uint64_t vaddr, nbytes;
};

static struct object *libc_object;
static struct real reals[LIBC_FUNCTIONS_MAX];
static unsigned nr_reals;
static uint64_t other_vaddr;

static int keep_real(void *arg, const struct object_symbol *sym)
{
	(void)arg;
	if (function_find(sym->name) && sym->nbytes && nr_reals < LIBC_FUNCTIONS_MAX)
		reals[nr_reals++] = (struct real){ sym->vaddr, sym->nbytes };
	return 0;
}

static void open_libc(void)
{
	Dl_info libc;

	if (libc_object)
		return;
	if (!dladdr((void *)(uintptr_t)gnu_get_libc_version, &libc) || object_open_path(libc.dli_fname, &libc_object))
		abort();
	object_each_function(libc_object, keep_real, NULL);
	if (!nr_reals)
		abort();
}

static const struct function *malloc_is_at(void *arg, uint64_t vaddr)
{
	(void)arg;
	return vaddr == other_vaddr ? function_find("malloc") : NULL;
}

static struct object *make_object(const uint8_t *code, size_t nbytes, uint64_t vaddr)
{
	struct {
		Elf64_Ehdr ehdr;
		Elf64_Phdr phdr;
	} head = { .ehdr = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			     .e_type = ET_DYN,
			     .e_machine = EM_X86_64,
			     .e_version = EV_CURRENT,
			     .e_phoff = sizeof(Elf64_Ehdr),
			     .e_ehsize = sizeof(Elf64_Ehdr),
			     .e_phentsize = sizeof(Elf64_Phdr),
			     .e_phnum = 1 },
		   .phdr = { .p_type = PT_LOAD,
			     .p_flags = PF_R | PF_X,
			     .p_offset = sizeof(head),
			     .p_vaddr = vaddr,
			     .p_filesz = nbytes,
			     .p_memsz = nbytes } };
	struct object *obj;
	char path[64];
	int fd = memfd_create("code", MFD_CLOEXEC);

	if (fd < 0 || write(fd, &head, sizeof(head)) != sizeof(head) || write(fd, code, nbytes) != (ssize_t)nbytes)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (object_open_path(path, &obj))
		abort();
	close(fd);
	return obj;
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void check_site(const struct object *obj, const struct plan_site *ps)
{
	uint64_t offset;
	size_t avail;
	const uint8_t *code = object_code(obj, ps->vaddr, &avail);

	if (!code || *code != ps->first_byte || object_offset(obj, ps->vaddr, &offset) || offset != ps->offset)
		abort();
}

static void check_ways(const struct object *obj, const struct plan *plan)
{
	struct code_reader *reader = code_reader_new();
	struct ways ways = { .obj = obj, .reader = reader, .plan = plan, .other_vaddr = other_vaddr, .insns_max = WAYS_INSNS_MAX };

	ways_walk(&ways);
	if (*ways.wrong) {
		fprintf(stderr, "a wrong plan: %s\n", ways.wrong);
		for (unsigned i = 0; i < plan->nr_sites; i++)
			fprintf(stderr, "  role %u at +0x%llx: %s\n", plan->sites[i].site.role,
				(unsigned long long)(plan->sites[i].vaddr - plan->vaddr), plan->sites[i].insn);
		abort();
	}
	code_reader_free(reader);
}

static void plan_code(const uint8_t *code, size_t nbytes, uint64_t vaddr, uint64_t at, uint64_t function_nbytes, uint8_t as)
{
	struct object *obj = make_object(code, nbytes, vaddr);
	struct plan_env env = { .obj = obj, .function_at = malloc_is_at, .cost = cost_here() };
	const char *name = names[as % (sizeof(names) / sizeof(names[0]))];
	static struct plan plan; /* large */
	uint64_t begin = cpu_ns();

	plan.function = function_find(name);
	plan.vaddr = at;
	plan.nbytes = function_nbytes;
	plan_function(&env, &plan);
	if (cpu_ns() - begin > PLAN_NS_MAX) {
		fprintf(stderr, "one function took %llu ms to plan\n", (unsigned long long)(cpu_ns() - begin) / 1000000);
		abort();
	}
	if (plan.nr_sites > PLAN_SITES_MAX || (!plan.nr_sites && !*plan.why))
		abort();
	for (unsigned i = 0; i < plan.nr_sites; i++)
		check_site(obj, &plan.sites[i]);
	if (plan.by_flow)
		check_ways(obj, &plan);
	object_close(obj);
}

static void plan_raw(const uint8_t *data, size_t nbytes)
{
	size_t code_nbytes = nbytes - 3 < CODE_NBYTES_MAX ? nbytes - 3 : CODE_NBYTES_MAX;

	/* Byte 2: how much of the code the symbol says is the function's. The other function lies a little behind it. */
	size_t own_nbytes = code_nbytes - code_nbytes * data[2] / 512;

	other_vaddr = CODE_VADDR + own_nbytes + OTHER_BEHIND;
	plan_code(data + 3, code_nbytes, CODE_VADDR, CODE_VADDR, own_nbytes, data[1]);
}

static void plan_flipped(const uint8_t *data, size_t nbytes)
{
	static uint8_t code[CODE_NBYTES_MAX];
	const struct real *real;
	uint64_t from;
	const uint8_t *bytes;
	size_t avail;

	open_libc();
	real = &reals[data[2] % nr_reals];
	from = real->vaddr > AROUND_NBYTES ? real->vaddr - AROUND_NBYTES : 0;
	bytes = object_code(libc_object, from, &avail);
	if (!bytes)
		return;
	if (avail > real->nbytes + 2 * AROUND_NBYTES)
		avail = real->nbytes + 2 * AROUND_NBYTES;
	if (avail > sizeof(code))
		avail = sizeof(code);
	memcpy(code, bytes, avail);
	for (size_t i = 3; i + 3 <= nbytes; i += 3)
		code[(real->vaddr - from + (data[i] | data[i + 1] << 8) % real->nbytes) % avail] ^= data[i + 2];
	other_vaddr = reals[0].vaddr == real->vaddr ? 0 : reals[0].vaddr;
	plan_code(code, avail, from, real->vaddr, real->nbytes, data[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
	if (nbytes < 4)
		return 0;
	if (data[0] & 1)
		plan_flipped(data, nbytes);
	else
		plan_raw(data, nbytes);
	return 0;
}
