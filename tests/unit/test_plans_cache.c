/* SPDX-License-Identifier: BSD-2-Clause */
/* test_plans_cache.c - plans remembered: the same again, and nothing at all from files that are damaged, others' or for others. */
#include <dlfcn.h>
#include <fcntl.h>
#include <dirent.h>
#include <gnu/libc-version.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "check/plans_cache.h"
#include "sites/cost.h"

static char dir[] = "/tmp/test_plans_cache.XXXXXX", path[512];
static struct plan_rules rules;

static struct allocator *open_libc(void)
{
	struct allocator *a = NULL;
	struct object *obj;
	Dl_info libc;

	CHECK(dladdr((void *)(uintptr_t)gnu_get_libc_version, &libc));
	CHECK_EQ(object_open_path(libc.dli_fname, &obj), 0);
	CHECK_EQ(survey_object(obj, &a), 1);
	return a;
}

static void find_file(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (strstr(e->d_name, ".plans"))
			snprintf(path, sizeof(path), "%s/%.255s", dir, e->d_name);
	if (d)
		closedir(d);
}

/* 1 if the plans come back, and then they are the same. */
static int load(const struct allocator *want)
{
	struct allocator *a = open_libc();
	struct plans_note note = { 0 };
	int result = plans_cache_load(a, &rules, &note);

	if (result == 1) {
		CHECK_EQ(note.nr_calls, 12345);
		for (unsigned i = 0; i < a->nr_plans; i++) {
			const struct plan *p = &a->plans[i], *q = &want->plans[i];

			CHECK(p->nr_sites == q->nr_sites && p->by_flow == q->by_flow && p->check == q->check);
			CHECK(!memcmp(&p->traps, &q->traps, sizeof(p->traps)));
			CHECK(!memcmp(p->sites, q->sites, p->nr_sites * sizeof(p->sites[0])));
			CHECK_STR(p->why, q->why);
		}
	}
	allocator_free(a);
	return result;
}

static void change_byte(off_t at)
{
	int fd = open(path, O_RDWR);
	uint8_t byte;

	CHECK(pread(fd, &byte, 1, at) == 1);
	byte ^= 0x40;
	CHECK(pwrite(fd, &byte, 1, at) == 1);
	close(fd);
}

static void test_damage(const struct allocator *a)
{
	struct stat st;

	CHECK_EQ(stat(path, &st), 0);
	for (off_t at = 0; at < st.st_size; at += 1 + st.st_size / 200) {
		change_byte(at);
		CHECK_EQ(load(a), 0);
		change_byte(at);
	}
	CHECK_EQ(load(a), 1);
	CHECK_EQ(truncate(path, st.st_size - 1), 0);
	CHECK_EQ(load(a), 0);
}

static void test_others(const struct allocator *a)
{
	struct plan_rules before = rules;

	CHECK_EQ(chmod(path, 0622), 0);
	CHECK_EQ(load(a), 0); /* anybody may have written it */
	CHECK_EQ(chmod(path, 0600), 0);
	CHECK_EQ(load(a), 1);
	rules.no_return = "its stacks move";
	CHECK_EQ(load(a), 0); /* for a target that forbids something */
	rules = before;
	rules.no_calls = true;
	CHECK_EQ(load(a), 0);
	rules = before;
	CHECK_EQ(chmod(dir, 0777), 0);
	CHECK_EQ(load(a), 0);
	CHECK_EQ(chmod(dir, 0700), 0);
	setenv("HEAPTAPE_CACHE", "off", 1);
	CHECK_EQ(load(a), 0);
	setenv("HEAPTAPE_CACHE", dir, 1);
	CHECK_EQ(load(a), 1);
}

int main(void)
{
	struct plans_note note = { .nr_checked = 9, .nr_calls = 12345 };
	struct allocator *a;

	CHECK(mkdtemp(dir));
	setenv("HEAPTAPE_CACHE", dir, 1);
	rules.cost = cost_here();
	a = open_libc();
	if (!a)
		return check_done();
	CHECK_EQ(load(a), 0);
	allocator_plan(a, &rules);
	CHECK_EQ(plans_cache_store(a, &rules, &note), 0);
	find_file();
	CHECK_EQ(load(a), 1);
	test_others(a);
	test_damage(a);
	unlink(path);
	rmdir(dir);
	allocator_free(a);
	return check_done();
}
