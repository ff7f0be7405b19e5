/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* threads.h - what threads.bpf.c tells of each thread. */
#ifndef HEAPTAPE_BPF_THREADS_H
#define HEAPTAPE_BPF_THREADS_H

#include <linux/types.h>

struct ht_thread_pointer {
	__u64 tid;     /* in the first pid namespace */
	__u64 pointer; /* x86-64: the base of segment fs, which thread-local variables are addressed by */
};

#endif
