/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sick DISEASE - a program whose heap has one of the diseases that heaptape report knows, each by a function of that name:
 * leak, pinned, peak, growth (by realloc), churn (of large blocks), brief, regions; healthy has none. Takes about a second.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { KEPT_NR = 200000, STEPS = 40 };

static void *kept[KEPT_NR];
static volatile unsigned sink;

static void pause_ms(unsigned ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000l }, NULL);
}

/* Written whole, as a program that needs it would. */
static void *filled(size_t nbytes)
{
	char *block = malloc(nbytes);

	if (!block)
		exit(1);
	memset(block, 1, nbytes);
	return block;
}

/* What every program does a little of: it allocates, keeps some of it, frees the rest. */
static void work(unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		unsigned slot = KEPT_NR - 1 - i % 2000;

		free(kept[slot]);
		kept[slot] = filled(100 + i * 7 % 400);
	}
}

__attribute__((noinline)) static void leak(void)
{
	for (unsigned step = 0; step < STEPS; step++) {
		for (unsigned i = 0; i < 2000; i++)
			sink += (unsigned)(size_t)filled(300) & 1;
		work(1000);
		pause_ms(20);
	}
}

/* One small block between twenty that go. */
__attribute__((noinline)) static void pinned(void)
{
	for (unsigned i = 0; i < 100000; i++)
		kept[i] = filled(400);
	for (unsigned i = 0; i < 100000; i++)
		if (i % 20) {
			free(kept[i]);
			kept[i] = NULL;
		}
	work(20000);
}

/* A peak whose last block keeps the heap's end where it was. */
__attribute__((noinline)) static void peak(void)
{
	for (unsigned i = 0; i < 150000; i++)
		kept[i] = filled(300);
	kept[150000] = filled(100);
	for (unsigned i = 0; i < 150000; i++) {
		free(kept[i]);
		kept[i] = NULL;
	}
	work(20000);
}

__attribute__((noinline)) static void growth(void)
{
	char *text = NULL;
	size_t nbytes = 0;

	for (unsigned i = 0; i < 3000; i++) {
		text = realloc(text, nbytes + 500);
		if (!text)
			exit(1);
		memset(text + nbytes, 2, 500);
		nbytes += 500;
		work(2);
	}
	sink += (unsigned)text[77];
}

__attribute__((noinline)) static void churn(void)
{
	for (unsigned i = 0; i < 2000; i++) {
		char *buffer = malloc(300000);

		if (!buffer)
			exit(1);
		buffer[i] = 1;
		free(buffer);
	}
}

__attribute__((noinline)) static void brief(void)
{
	for (unsigned i = 0; i < 200000; i++) {
		char *little = malloc(64);

		if (!little)
			exit(1);
		*(volatile char *)little = 1;
		free(little);
	}
}

/* What a request builds goes as a whole when it is answered. */
__attribute__((noinline)) static void regions(void)
{
	for (unsigned request = 0; request < 1000; request++) {
		for (unsigned i = 0; i < 150; i++)
			kept[i] = filled(40 + i % 16);
		for (unsigned i = 0; i < 150; i++)
			free(kept[i]);
	}
}

__attribute__((noinline)) static void healthy(void)
{
	for (unsigned i = 0; i < 100000; i++)
		kept[i] = filled(300);
	for (unsigned step = 0; step < STEPS; step++) {
		work(3000);
		pause_ms(10);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} diseases[] = { { "leak", leak },     { "pinned", pinned }, { "peak", peak },	   { "growth", growth },
			 { "churn", churn },   { "brief", brief },   { "regions", regions },
			 { "healthy", healthy } };

	for (size_t i = 0; argc == 2 && i < sizeof(diseases) / sizeof(*diseases); i++) {
		if (strcmp(diseases[i].name, argv[1]) != 0)
			continue;
		diseases[i].run();
		pause_ms(400); /* the recorder looks at the resident set now and then, and so do the tests, when all stands still */
		_exit(0);      /* nothing is freed at the end */
	}
	return 2;
}
