/* SPDX-License-Identifier: BSD-2-Clause */
/* test_object.c - ELF files as they come from anywhere: right, damaged, cut off, or no files at all. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "random_tape.h"
#include "sites/survey.h"
#include "target/files.h"
#include "target/object.h"

/* A file that lives in memory; its path is good for opening again. */
struct memory_file {
	int fd;
	char path[64];
};

static struct memory_file memory_file(const void *bytes, size_t nbytes)
{
	struct memory_file m = { .fd = memfd_create("object", MFD_CLOEXEC) };

	snprintf(m.path, sizeof(m.path), "/proc/self/fd/%d", m.fd);
	CHECK_EQ(write(m.fd, bytes, nbytes), (ssize_t)nbytes);
	return m;
}

static int open_bytes(const void *bytes, size_t nbytes, struct object **obj_ret)
{
	struct memory_file m = memory_file(bytes, nbytes);
	int err = object_open_path(m.path, obj_ret);

	close(m.fd);
	return err;
}

struct find {
	const char *name;
	uint64_t vaddr;
};

static int find_symbol(void *arg, const struct object_symbol *sym)
{
	struct find *find = arg;

	if (strcmp(sym->name, find->name) != 0)
		return 0;
	find->vaddr = sym->vaddr;
	return 1;
}

__attribute__((noinline)) int known_function(int n)
{
	__asm__ volatile("" : "+r"(n));
	return n + 7;
}

/* ---- right files ---- */

static void test_own_program_as_it_is_mapped(void)
{
	uint64_t here = (uint64_t)(uintptr_t)known_function, start, end, offset;
	struct find find = { .name = "known_function" };
	const struct map_region *region;
	struct object *obj = NULL;
	struct process p;
	struct maps maps;
	size_t avail = 0;
	const uint8_t *code;

	CHECK_EQ(known_function(1), 8);
	CHECK_EQ(process_open(getpid(), &p), 0);
	CHECK_EQ(maps_read(p.proc_fd, &maps), 0);
	region = maps_find(&maps, here);
	CHECK(region != NULL);
	CHECK_EQ(object_open(&p, region, &obj), 0);
	CHECK_EQ(object_each_function(obj, find_symbol, &find), 1);
	CHECK_EQ(find.vaddr + object_bias(obj), here);
	CHECK(object_is_executable(obj));
	CHECK_STR(object_path(obj), region->path);
	CHECK(!strcmp(object_way(obj), "map_files") || !strcmp(object_way(obj), "root"));
	object_text(obj, &start, &end);
	CHECK(start <= find.vaddr && find.vaddr < end);
	code = object_code(obj, find.vaddr, &avail);
	CHECK(code && avail >= 4 && !memcmp(code, (const void *)(uintptr_t)here, 4));
	CHECK_EQ(object_offset(obj, find.vaddr, &offset), 0);
	CHECK_EQ(object_offset(obj, end, &offset), -ERANGE);
	CHECK_EQ(object_offset(obj, UINT64_MAX, &offset), -ERANGE);
	CHECK(!object_code(obj, end, &avail) && !object_code(obj, start - 1, &avail));
	CHECK(!object_slot_function(obj, 0, &offset));
	object_close(obj);
	maps_free(&maps);
	process_close(&p);
}

/* The stack is memory of no file. */
static void test_region_without_a_file(void)
{
	struct map_region region = { .start = 0x1000, .end = 0x2000, .path = "" };
	struct process p;
	struct object *obj;

	CHECK_EQ(process_open(getpid(), &p), 0);
	CHECK_EQ(object_open(&p, &region, &obj), -ENOENT);
	CHECK(!obj);
	region.inode = 1; /* of a file that is not where the path says, nor mapped there */
	region.path = "/proc/self/status";
	CHECK(object_open(&p, &region, &obj) < 0);
	CHECK(!obj);
	process_close(&p);
}

/* Code mapped from a file that has lost its name since. */
static void test_deleted_file(void)
{
	char path[] = "/tmp/heaptape_test_object.XXXXXX", *bytes;
	const struct map_region *region;
	struct object *obj = NULL;
	struct process p;
	struct maps maps;
	size_t nbytes;
	void *at;
	int fd = mkstemp(path), err;

	CHECK_EQ(file_read_all_at(AT_FDCWD, "/proc/self/exe", &bytes, &nbytes), 0);
	CHECK_EQ(write(fd, bytes, nbytes), (ssize_t)nbytes);
	free(bytes);
	at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED) {
		printf("SKIP deleted file: /tmp holds no programs\n");
		unlink(path);
		close(fd);
		return;
	}
	unlink(path);
	close(fd);
	CHECK_EQ(process_open(getpid(), &p), 0);
	CHECK_EQ(maps_read(p.proc_fd, &maps), 0);
	region = maps_find(&maps, (uint64_t)(uintptr_t)at);
	CHECK(region && region->deleted && !strcmp(region->path, path));
	err = object_open(&p, region, &obj);
	if (err == -EPERM || err == -EACCES || err == -ENOENT)
		printf("SKIP deleted file: needs the right to read map_files\n");
	else
		CHECK_EQ(err, 0);
	object_close(obj);
	maps_free(&maps);
	process_close(&p);
	munmap(at, 4096);
}

/* ---- no files of ours ---- */

static void test_refused(void)
{
	char fifo[] = "/tmp/heaptape_test_fifo.XXXXXX";
	struct memory_file huge;
	struct object *obj;

	CHECK_EQ(object_open_path("/nonexistent", &obj), -ENOENT);
	CHECK(!obj);
	CHECK_EQ(object_open_path("/tmp", &obj), -ENOENT);
	CHECK_EQ(object_open_path("/dev/null", &obj), -ENOENT);
	CHECK_EQ(object_open_path("/dev/zero", &obj), -ENOENT);
	CHECK(mkdtemp(fifo) && !rmdir(fifo) && !mkfifo(fifo, 0600));
	CHECK_EQ(object_open_path(fifo, &obj), -ENOENT); /* at once, without waiting for a writer */
	unlink(fifo);
	CHECK(!obj);
	CHECK_EQ(open_bytes("", 0, &obj), -ENOEXEC);
	CHECK_EQ(open_bytes("#!/bin/sh\n", 10, &obj), -ENOEXEC);
	CHECK_EQ(open_bytes("!<arch>\n", 8, &obj), -ENOEXEC);
	huge = memory_file(ELFMAG, SELFMAG);
	if (!ftruncate(huge.fd, 5ll << 30))
		CHECK_EQ(object_open_path(huge.path, &obj), -EFBIG);
	close(huge.fd);
	CHECK(!obj);
	object_close(NULL);
}

static void test_other_machines(const char *bytes, size_t nbytes)
{
	char *copy = malloc(nbytes);
	Elf64_Ehdr *ehdr = (void *)copy;
	struct object *obj;

	memcpy(copy, bytes, nbytes);
	CHECK_EQ(open_bytes(copy, nbytes, &obj), 0);
	object_close(obj);
	ehdr->e_machine = EM_S390;
	CHECK_EQ(open_bytes(copy, nbytes, &obj), -ENOEXEC);
	memcpy(copy, bytes, nbytes);
	copy[EI_CLASS] = ELFCLASS32;
	CHECK_EQ(open_bytes(copy, nbytes, &obj), -ENOEXEC);
	memcpy(copy, bytes, nbytes);
	copy[EI_DATA] = ELFDATA2MSB;
	CHECK_EQ(open_bytes(copy, nbytes, &obj), -ENOEXEC);
	free(copy);
}

/* ---- damaged files ---- */

/* Uses all that can be asked of an object, and reads the bytes it points at. Returns whether it was opened. */
static bool exercise(const void *bytes, size_t nbytes, struct rng *rng)
{
	struct allocator *a = NULL;
	uint64_t start, end, value, behind[4];
	struct object *obj;
	unsigned sum = 0;
	int err = open_bytes(bytes, nbytes, &obj);

	if (err) {
		CHECK(err == -ENOEXEC && !obj);
		return false;
	}
	object_text(obj, &start, &end);
	CHECK(strlen(object_build_id(obj)) <= 64);
	for (int i = 0; i < 20; i++) {
		uint64_t vaddr = i < 10 ? rng_magnitude(rng) : start + rng_below(rng, end > start ? end - start : 1);
		size_t avail;
		const uint8_t *code = object_code(obj, vaddr, &avail);

		CHECK(!code == !!object_offset(obj, vaddr, &value));
		if (code)
			sum += code[0] + code[avail - 1];
		object_slot_function(obj, vaddr & ~7ull, &value);
		sum += object_direct_calls(obj, vaddr, start, end, behind, 4);
	}
	__asm__ volatile("" : : "r"(sum));
	if (survey_object(obj, &a) == 1)
		allocator_free(a);
	else
		object_close(obj);
	return true;
}

static void test_cut_off(const char *bytes, size_t nbytes, struct rng *rng)
{
	unsigned nr_opened = 0;

	CHECK(exercise(bytes, nbytes, rng));
	for (size_t len = 0; len < nbytes; len += len < 1024 ? 1 + len / 64 : 1 + rng_below(rng, nbytes / 60))
		nr_opened += exercise(bytes, len, rng);
	CHECK(nr_opened > 0); /* what is cut off behind the code has lost its sections only */
}

static void test_random_damage(const char *bytes, size_t nbytes, struct rng *rng)
{
	char *copy = malloc(nbytes);
	const Elf64_Ehdr *ehdr = (const void *)bytes;
	unsigned nr_opened = 0;

	for (int round = 0; round < 500; round++) {
		int nr_hits = 1 + (int)rng_below(rng, 12);

		memcpy(copy, bytes, nbytes);
		for (int i = 0; i < nr_hits; i++) {
			uint64_t where = rng_below(rng, 3);
			/* Program headers and dynamic section; section headers; anywhere. */
			uint64_t at = where == 0 ? sizeof(Elf64_Ehdr) / 2 + rng_below(rng, 1000) :
				      where == 1 ? ehdr->e_shoff + rng_below(rng, nbytes - ehdr->e_shoff) :
						   rng_below(rng, nbytes);

			if (rng_below(rng, 2))
				copy[at % nbytes] = (char)rng_u64(rng);
			else
				copy[at % nbytes] ^= (char)(1 << rng_below(rng, 8));
		}
		nr_opened += exercise(copy, nbytes, rng);
	}
	CHECK(nr_opened > 50); /* or nothing behind the headers was tried */
	free(copy);
}

int main(void)
{
	static const char *const samples[] = { "/usr/lib/x86_64-linux-gnu/libc_malloc_debug.so.0", "/usr/lib64/libc_malloc_debug.so.0",
					       "/usr/lib/libc_malloc_debug.so.0", "/proc/self/exe" };
	struct rng rng = rng_seeded("object");
	char *bytes = NULL;
	size_t nbytes = 0;

	test_own_program_as_it_is_mapped();
	test_region_without_a_file();
	test_deleted_file();
	test_refused();
	for (size_t i = 0; !bytes && i < sizeof(samples) / sizeof(samples[0]); i++)
		file_read_all_at(AT_FDCWD, samples[i], &bytes, &nbytes);
	CHECK(bytes != NULL);
	test_other_machines(bytes, nbytes);
	test_cut_off(bytes, nbytes, &rng);
	test_random_damage(bytes, nbytes, &rng);
	free(bytes);
	return check_done();
}
