/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sleeping_owner BLOCKS KIB ROUNDS MODE - a thread fills a table with blocks and sleeps; another replaces them all, so
 * that it frees what the first one owns.
 *   main    as said
 *   thread  a third thread builds the table, and ends before the replacing begins
 *   poke    the owner allocates and frees a little now and then
 *   same    the owner replaces its blocks itself
 * After each step it prints "phase NAME" and waits for a line on its input.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	void **blocks;
	unsigned nr, rounds;
	size_t nbytes;
	_Atomic int done;
} table;

static void phase(const char *name, unsigned number)
{
	char line[64];
	int nbytes = snprintf(line, sizeof(line), "phase %s%.0u\n", name, number);

	if (write(STDOUT_FILENO, line, (size_t)nbytes) != nbytes)
		exit(1);
	do {
		if (read(STDIN_FILENO, line, 1) != 1)
			exit(1);
	} while (line[0] != '\n');
}

static void *filled_block(void)
{
	void *block = malloc(table.nbytes);

	if (!block)
		exit(1);
	return memset(block, 7, table.nbytes);
}

static void *build(void *arg)
{
	for (unsigned i = 0; i < table.nr; i++)
		table.blocks[i] = filled_block();
	return arg;
}

static void *replace_all(void *arg)
{
	for (unsigned round = 0; round < table.rounds; round++) {
		for (unsigned i = 0; i < table.nr; i++) {
			void *old = table.blocks[i];

			table.blocks[i] = filled_block();
			free(old);
			if (i % (table.nr / 10 + 1) == 0)
				usleep(20000);
		}
		phase("replaced", round + 1);
	}
	table.done = 1;
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	const char *mode = argc == 5 ? argv[4] : "";

	if (argc != 5)
		return 2;
	table.nr = (unsigned)atoi(argv[1]);
	table.nbytes = (size_t)atoi(argv[2]) << 10;
	table.rounds = (unsigned)atoi(argv[3]);
	table.blocks = calloc(table.nr, sizeof(*table.blocks));
	if (!table.blocks)
		return 1;
	phase("start", 0);
	if (!strcmp(mode, "thread")) {
		if (pthread_create(&thread, NULL, build, NULL) || pthread_join(thread, NULL))
			return 1;
	} else {
		build(NULL);
	}
	phase("built", 0);
	if (!strcmp(mode, "same")) {
		replace_all(NULL);
		return 0;
	}
	if (pthread_create(&thread, NULL, replace_all, NULL))
		return 1;
	while (!table.done) {
		usleep(1000);
		if (!strcmp(mode, "poke")) {
			void *volatile little = malloc(16);

			free(little);
		}
	}
	return pthread_join(thread, NULL) != 0;
}
