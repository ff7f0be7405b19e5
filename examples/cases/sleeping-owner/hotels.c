/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hotels NR KIB OWNER - a service in miniature: its main thread loads a table of NR blocks of KIB KiB, starts a refresher and sleeps. The
 * refresher loads each block anew, puts it in the place of the old one, and frees that. OWNER: asleep, or self: the main thread
 * refreshes the table itself.
 *
 * At the end of each step it prints what the program itself knows, and what the kernel counts for it, in bytes:
 *     STEP live BYTES resident BYTES
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REFRESHES = 2, REST_MS = 300 };

static struct {
	void **hotels;
	size_t nr, hotel_nbytes, live_nbytes;
	_Atomic bool done;
} state;

static void rest(void)
{
	usleep(REST_MS * 1000);
}

/* As the kernel counts what is anonymous. */
static size_t resident_nbytes(void)
{
	char text[8192];
	FILE *f = fopen("/proc/self/status", "r");
	size_t kb = 0;

	while (f && fgets(text, sizeof(text), f))
		if (sscanf(text, "RssAnon: %zu kB", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb << 10;
}

static void tell(const char *step)
{
	printf("%s live %zu resident %zu\n", step, state.live_nbytes, resident_nbytes());
	fflush(stdout);
	rest();
}

static void *load_hotel(size_t i)
{
	void *hotel = malloc(state.hotel_nbytes);

	if (!hotel)
		exit(1);
	state.live_nbytes += state.hotel_nbytes;
	return memset(hotel, (int)i + 1, state.hotel_nbytes);
}

static void load_all(void)
{
	for (size_t i = 0; i < state.nr; i++)
		state.hotels[i] = load_hotel(i);
}

static void refresh_all(void)
{
	for (size_t i = 0; i < state.nr; i++) {
		void *old = state.hotels[i];

		state.hotels[i] = load_hotel(i);
		free(old);
		state.live_nbytes -= state.hotel_nbytes;
	}
}

static void *refresher(void *arg)
{
	for (int i = 0; i < REFRESHES; i++) {
		rest(); /* as a service does between two refreshes */
		refresh_all();
		tell("refreshed");
	}
	state.done = true;
	return arg;
}

int main(int argc, char **argv)
{
	bool asleep = argc == 4 && !strcmp(argv[3], "asleep");
	pthread_t thread;

	if (argc != 4 || (!asleep && strcmp(argv[3], "self") != 0)) {
		fprintf(stderr, "usage: hotels NR KIB asleep|self\n");
		return 2;
	}
	state.nr = strtoul(argv[1], NULL, 10);
	state.hotel_nbytes = strtoul(argv[2], NULL, 10) << 10;
	state.hotels = calloc(state.nr + 1, sizeof(*state.hotels));
	if (!state.hotels)
		return 1;
	load_all();
	tell("loaded");
	if (!asleep) {
		refresher(NULL);
		return 0;
	}
	if (pthread_create(&thread, NULL, refresher, NULL))
		return 1;
	while (!state.done)
		usleep(1000);
	return pthread_join(thread, NULL) != 0;
}
