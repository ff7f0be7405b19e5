/* SPDX-License-Identifier: BSD-2-Clause */
/* dlopen_allocator LIB N: waits for a line on stdin, opens LIB with RTLD_LOCAL, waits 300 ms, makes N calls of its malloc. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	void *(*alloc)(size_t);
	void (*release)(void *);
	char line[8];
	void *lib;

	if (argc < 3 || read(STDIN_FILENO, line, sizeof(line)) < 0)
		return 2;
	lib = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (!lib) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	*(void **)&alloc = dlsym(lib, "malloc");
	*(void **)&release = dlsym(lib, "free");
	usleep(300000);
	for (int i = 0; i < atoi(argv[2]); i++)
		release(alloc(100));
	return 0;
}
