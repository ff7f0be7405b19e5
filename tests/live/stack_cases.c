/* SPDX-License-Identifier: BSD-2-Clause */
/* Ways to be somewhere on a stack that a frame pointer would not find. stack_cases ROUNDS [PLUGIN PLUGIN...] */
#include <alloca.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "stack_truth.h"

static volatile int sink;

KNOWN static void leaf(size_t n)
{
	free(truth_malloc(n));
	sink++;
}

KNOWN static int recursion(int depth, size_t n)
{
	if (depth)
		sink += recursion(depth - 1, n) + 1;
	else
		leaf(n);
	return sink;
}

KNOWN static int with_alloca(int depth, size_t n)
{
	char *room = alloca(n * 3);

	memset(room, depth, n * 3);
	if (depth)
		sink += with_alloca(depth - 1, n + 16) + room[n];
	else
		leaf(n);
	sink += room[0];
	return sink;
}

KNOWN static int with_array(int depth, int n)
{
	int room[n];

	for (int i = 0; i < n; i++)
		room[i] = depth;
	if (depth)
		sink += with_array(depth - 1, n + 7) + room[n - 1];
	else
		leaf((size_t)n);
	return sink + room[0];
}

/* A frame on its own alignment: the CFA is found through a word on the stack. */
KNOWN static int realigned(int depth, size_t n)
{
	char room[256] __attribute__((aligned(64)));

	memset(room, (int)n, sizeof(room));
	__asm__ volatile("" : : "r"(room) : "memory");
	if (depth)
		sink += realigned(depth - 1, n + 1) + room[5];
	else
		leaf(n);
	return sink + room[7];
}

KNOWN static int by_qsort(const void *a, const void *b)
{
	leaf(40);
	return *(const int *)a - *(const int *)b;
}

KNOWN static void callbacks(void)
{
	int v[6] = { 5, 2, 8, 1, 9, 3 };

	qsort(v, 6, sizeof(v[0]), by_qsort);
	sink += v[0];
}

/* Not instrumented, so that what it knows of the interrupted code lies under its own entry. */
KNOWN static void in_handler(void)
{
	leaf(72);
	sink++;
}

KNOWN __attribute__((no_instrument_function)) static void on_signal(int nr, siginfo_t *info, void *context)
{
	(void)nr;
	(void)info;
	truth_interrupted((uint64_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP]);
	in_handler();
	truth_resumed();
	sink++;
}

KNOWN static void signals(int depth)
{
	if (depth) {
		signals(depth - 1);
		sink++;
		return;
	}
	raise(SIGUSR1);
	/* An instruction that is interrupted for its own sake. */
	__asm__ volatile("int3");
	leaf(33);
}

/* Two ways to the same leaf with equal stack pointers, return addresses and depths: only the middle differs. */
KNOWN static int middle_a(int n) { leaf((size_t)n); return sink + 1; }
KNOWN static int middle_b(int n) { leaf((size_t)n); return sink + 2; }
KNOWN static int middle_c(int n) { leaf((size_t)n); return sink + 3; }

KNOWN static void twins(int round)
{
	static int (*const ways[])(int) = { middle_a, middle_b, middle_c };

	for (int i = 0; i < 9; i++)
		sink += ways[(i + round) % 3](64);
}

#if defined(__x86_64__)
/* rbp as a general register, never the same. */
KNOWN static void scrambled(int n)
{
	register long k = n * 7919L;

	__asm__ volatile("mov %0, %%rbp" : : "r"(k) : "rbp");
	leaf(56);
	__asm__ volatile("" : : : "rbp", "rbx", "r12", "r13", "r14", "r15");
	sink++;
}
#endif

KNOWN static void *thread_body(void *arg)
{
	int round = (int)(intptr_t)arg;

	recursion(round % 23, 24);
	with_alloca(round % 5, 32);
	twins(round);
	return NULL;
}

KNOWN static void threads(int round)
{
	pthread_t t[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, thread_body, (void *)(intptr_t)(round + i));
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

/* One plugin after the other, where the loader likes: most often at the address of the one before. */
KNOWN static void plugins(int nr, char **paths)
{
	for (int i = 0; i < nr; i++) {
		void *lib = dlopen(paths[i], RTLD_NOW);
		truth_plugin run = lib ? (truth_plugin)dlsym(lib, "plugin_run") : NULL;

		if (!run) {
			fprintf(stderr, "%s\n", dlerror());
			exit(1);
		}
		for (int k = 0; k < 4; k++)
			sink += run(k);
		printf("plugin %p\n", (void *)run);
		dlclose(lib);
	}
}

KNOWN static void round_of(int round, int nr_plugins, char **paths)
{
	recursion(round % 60, 48);
	with_alloca(round % 7, 24);
	with_array(round % 6, 9);
	realigned(round % 4, 80);
	callbacks();
	signals(round % 4);
	twins(round);
#if defined(__x86_64__)
	scrambled(round);
#endif
	if (round % 8 == 0)
		threads(round);
	if (nr_plugins && round % 8 == 1)
		plugins(nr_plugins, paths);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	int rounds = argc > 1 ? atoi(argv[1]) : 10;

	truth_code(__start_known_text, __stop_known_text);
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGTRAP, &sa, NULL);
	if (getenv("STACK_WAIT") && getchar() == EOF) /* until the recorder is there */
		return 1;
	for (int i = 0; i < rounds; i++)
		round_of(i, argc > 2 ? argc - 2 : 0, argv + 2);
	return 0;
}
