/* SPDX-License-Identifier: BSD-2-Clause */
/* test_maps.c - /proc/PID/maps: real, and as a folder of the test's own may have it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "check.h"
#include "target/maps.h"

/* Reads `text` as the maps of a process. */
static int maps_of(const char *text, struct maps *maps)
{
	char folder[] = "/tmp/heaptape_test_maps.XXXXXX", path[64];
	int dir_fd, fd, err;

	CHECK(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/maps", folder);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	CHECK_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	dir_fd = open(folder, O_RDONLY | O_DIRECTORY);
	err = maps_read(dir_fd, maps);
	close(dir_fd);
	unlink(path);
	rmdir(folder);
	return err;
}

static void test_fields(void)
{
	struct maps maps;

	CHECK_EQ(maps_of("00400000-00452000 r-xp 00001000 08:02 173521                             /usr/bin/a program\n"
			 "00e03000-00e24000 rw-p 00000000 00:00 0                                  [heap]\n"
			 "7f00deadb000-7f00deadd000 ---s fffffffff000 fd:10f 42                    /tmp/x (deleted)\n"
			 "7f00deadd000-7f00deade000 rwxp 00000000 00:00 0 \n"
			 "7ffffffff000-ffffffffff600000 --xp 00000000 00:00 0                      /tmp/new\\012line\n",
			 &maps),
		 0);
	CHECK_EQ(maps.nr_regions, 5);
	if (maps.nr_regions == 5) {
		const struct map_region *r = maps.regions;

		CHECK(r[0].start == 0x400000 && r[0].end == 0x452000 && r[0].offset == 0x1000 && r[0].inode == 173521);
		CHECK_EQ(r[0].dev, makedev(8, 2));
		CHECK(r[0].readable && !r[0].writable && r[0].executable && !r[0].shared && !r[0].deleted);
		CHECK_STR(r[0].path, "/usr/bin/a program");
		CHECK_STR(r[1].path, "[heap]");
		CHECK(!r[2].readable && !r[2].writable && !r[2].executable && r[2].shared && r[2].deleted);
		CHECK_EQ(r[2].dev, makedev(0xfd, 0x10f));
		CHECK_EQ(r[2].offset, 0xfffffffff000);
		CHECK_STR(r[2].path, "/tmp/x");
		CHECK_STR(r[3].path, "");
		CHECK_EQ(r[4].end, (int64_t)0xffffffffff600000);
		CHECK_STR(r[4].path, "/tmp/new\\012line");
	}
	CHECK(!maps_find(&maps, 0x3fffff) && !maps_find(&maps, 0x452000) && !maps_find(&maps, UINT64_MAX));
	CHECK(maps_find(&maps, 0x400000) == &maps.regions[0] && maps_find(&maps, 0x451fff) == &maps.regions[0]);
	CHECK(maps_find(&maps, 0x7f00deadd000) == &maps.regions[3]);
	maps_free(&maps);
}

static void test_odd_texts(void)
{
	static const char *const bad[] = { "nonsense\n", "\n", "0040-0050 r-xp 0 08:02\n", "00400000 r-xp 0 08:02 1 /x\n" };
	struct maps maps;

	CHECK_EQ(maps_of("", &maps), 0); /* a kernel thread's */
	CHECK_EQ(maps.nr_regions, 0);
	CHECK(!maps_find(&maps, 0));
	maps_free(&maps);
	CHECK_EQ(maps_of("00400000-00452000 r-xp 00000000 08:02 1 /x\n00500000-0060", &maps), 0); /* cut off */
	CHECK_EQ(maps.nr_regions, 1);
	maps_free(&maps);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_EQ(maps_of(bad[i], &maps), -EBADMSG);
		maps_free(&maps);
	}
}

static void test_own_maps(void)
{
	int proc_fd = open("/proc/self", O_RDONLY | O_DIRECTORY);
	void *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const struct map_region *r;
	struct maps maps;

	CHECK_EQ(maps_read(proc_fd, &maps), 0);
	r = maps_find(&maps, getauxval(AT_EXECFN));
	CHECK(r && !strcmp(r->path, "[stack]"));
	r = maps_find(&maps, (uint64_t)(uintptr_t)test_own_maps);
	CHECK(r && r->executable && r->inode);
	r = maps_find(&maps, (uint64_t)(uintptr_t)page);
	CHECK(r && r->shared && r->readable && !r->writable);
	for (size_t i = 1; i < maps.nr_regions; i++)
		CHECK(maps.regions[i - 1].end <= maps.regions[i].start || maps.regions[i].start >= 1ull << 63);
	maps_free(&maps);
	munmap(page, 4096);
	close(proc_fd);
}

int main(void)
{
	test_fields();
	test_odd_texts();
	test_own_maps();
	return check_done();
}
