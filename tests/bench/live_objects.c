/* SPDX-License-Identifier: BSD-2-Clause */
/* live_objects NR SECONDS: waits for a line, makes NR objects that live, then ever another one in the place of an old one. For the recorder's memory. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define CALLS_A_NAP 200 /* 200,000 a second: enough to touch all that a recorder holds */
#define NAP_US 1000

int main(int argc, char **argv)
{
	size_t nr = argc == 3 ? strtoull(argv[1], NULL, 10) : 0;
	void **objects = calloc(nr ? nr : 1, sizeof(*objects));
	uint64_t random = 1;
	time_t end;

	if (!nr || !objects)
		return 2;
	puts("ready");
	fflush(stdout);
	getchar();
	for (size_t i = 0; i < nr; i++)
		objects[i] = malloc(16 + i * 7 % 64);
	puts("all live");
	fflush(stdout);
	for (end = time(NULL) + atoi(argv[2]); time(NULL) < end; usleep(NAP_US))
		for (int i = 0; i < CALLS_A_NAP; i++) {
			size_t k = (size_t)((random = random * 6364136223846793005u + 1442695040888963407u) >> 33) % nr;

			free(objects[k]);
			objects[k] = malloc(16 + k % 64);
		}
	return 0;
}
