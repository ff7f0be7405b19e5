/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * thread_pointers.h - where each thread of a process keeps its thread-local data, asked of the kernel: the process is
 * neither stopped nor traced for it. Needs CAP_BPF and CAP_PERFMON. For one thread at a time.
 */
#ifndef HEAPTAPE_THREAD_POINTERS_H
#define HEAPTAPE_THREAD_POINTERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/threads.h"

struct thread_pointers;

int thread_pointers_open(pid_t pid, struct thread_pointers **tp_ret);
/* The threads as they are now: an array that stays valid until the next call. Their number or -errno. */
long thread_pointers_list(struct thread_pointers *tp, const struct ht_thread_pointer **list_ret);
void thread_pointers_close(struct thread_pointers *tp);

#endif
