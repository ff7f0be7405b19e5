/* SPDX-License-Identifier: BSD-2-Clause */
/* test_inventory.c - which allocators a process has, in whose order, and those that come later. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "sites/inventory.h"

/* cat, which has started once it gives back what it was given. */
struct cat {
	pid_t pid;
	int in, out;
};

static struct cat cat_start(const char *preload)
{
	char setting[256], *const argv[] = { "cat", NULL }, *const envp[] = { setting, NULL };
	struct cat c = { .pid = -1 };
	int in[2], out[2];
	char byte = 'c';

	snprintf(setting, sizeof(setting), "LD_PRELOAD=%s", preload);
	CHECK(!pipe2(in, O_CLOEXEC) && !pipe2(out, O_CLOEXEC));
	c.pid = fork();
	if (!c.pid) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execve("/bin/cat", argv, envp);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	c.in = in[1];
	c.out = out[0];
	CHECK(write(c.in, &byte, 1) == 1 && read(c.out, &byte, 1) == 1);
	return c;
}

static void cat_end(struct cat *c)
{
	close(c->in);
	close(c->out);
	CHECK_EQ(waitpid(c->pid, NULL, 0), c->pid);
}

/* The names in order, "a b "; all is asked twice, and the second time must bring nothing. */
static void names_of(pid_t pid, char *names, size_t nbytes)
{
	struct inventory *inv = inventory_new();
	unsigned nr_new = 0, again = 7;
	uint64_t start, end;
	struct process p;

	*names = '\0';
	CHECK_EQ(process_open(pid, &p), 0);
	CHECK_EQ(inventory_update(inv, &p, &nr_new), 0);
	CHECK_EQ(nr_new, inventory_nr(inv));
	CHECK_EQ(inventory_update(inv, &p, &again), 0);
	CHECK_EQ(again, 0);
	CHECK(inventory_loader(inv, &start, &end) && start < end);
	CHECK_EQ(inventory_nr_unread(inv), 0);
	for (unsigned i = 0; i < inventory_nr(inv); i++) {
		size_t len = strlen(names);

		snprintf(names + len, nbytes - len, "%s ", inventory_get(inv, i)->name);
		CHECK(object_bias(inventory_get(inv, i)->obj) != 0);
	}
	process_close(&p);
	inventory_free(inv);
}

static void test_libc_alone(void)
{
	struct cat c = cat_start("");
	char names[256];

	names_of(c.pid, names, sizeof(names));
	CHECK_STR(names, "glibc ");
	cat_end(&c);
}

/* The one in force comes first, whatever the order of addresses. */
static void test_preloaded_in_search_order(void)
{
	static const char *const files[] = { "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", "/usr/lib/x86_64-linux-gnu/libmimalloc.so.2" };
	static const char *const names[] = { "jemalloc", "mimalloc" };

	for (int first = 0; first < 2; first++) {
		char preload[200], want[100], got[256];
		struct cat c;

		if (access(files[0], R_OK) || access(files[1], R_OK)) {
			printf("SKIP preloaded allocators: jemalloc and mimalloc are not both installed\n");
			return;
		}
		snprintf(preload, sizeof(preload), "%s:%s", files[first], files[!first]);
		snprintf(want, sizeof(want), "%s %s glibc ", names[first], names[!first]);
		c = cat_start(preload);
		names_of(c.pid, got, sizeof(got));
		CHECK_STR(got, want);
		cat_end(&c);
	}
}

static void test_process_gone(void)
{
	struct inventory *inv = inventory_new();
	struct cat c = cat_start("");
	unsigned nr_new = 7;
	struct process p;

	CHECK_EQ(process_open(c.pid, &p), 0);
	cat_end(&c);
	CHECK(inventory_update(inv, &p, &nr_new) < 0);
	CHECK_EQ(nr_new, 0);
	process_close(&p);
	inventory_free(inv);
	inventory_free(NULL);
}

int main(void)
{
	test_libc_alone();
	test_preloaded_in_search_order();
	test_process_gone();
	return check_done();
}
