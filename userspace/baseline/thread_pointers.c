/* SPDX-License-Identifier: BSD-2-Clause */
/* thread_pointers.c - see thread_pointers.h. */
#include "baseline/thread_pointers.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "bpf/threads.skel.h"

#define READ_NBYTES 16384

struct thread_pointers {
	struct threads_bpf *skel;
	struct bpf_link *link;
	struct ht_thread_pointer *list;
	size_t nbytes, room;
};

/* Linux 6.1 and later list one process; those before list all, and the program picks. */
static int attach(struct thread_pointers *tp, pid_t pid, bool all)
{
	union bpf_iter_link_info info = { .task = { .pid = (__u32)pid } };
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
	int err;

	tp->skel = threads_bpf__open();
	if (!tp->skel)
		return -errno;
	if (all)
		tp->skel->rodata->only_tgid = (__u32)pid;
	err = threads_bpf__load(tp->skel);
	if (err)
		return err;
	tp->link = bpf_program__attach_iter(tp->skel->progs.list_threads, all ? NULL : &opts);
	return tp->link ? 0 : -errno;
}

int thread_pointers_open(pid_t pid, struct thread_pointers **tp_ret)
{
	struct thread_pointers *tp = calloc(1, sizeof(*tp));
	int err = tp ? attach(tp, pid, false) : -ENOMEM;

	if (err && tp) {
		threads_bpf__destroy(tp->skel);
		err = attach(tp, pid, true);
	}
	if (err) {
		thread_pointers_close(tp);
		tp = NULL;
	}
	*tp_ret = tp;
	return err;
}

static int read_more(struct thread_pointers *tp, int fd)
{
	ssize_t got;

	if (tp->nbytes + READ_NBYTES > tp->room) {
		struct ht_thread_pointer *list = realloc(tp->list, tp->room + 4 * READ_NBYTES);

		if (!list)
			return -ENOMEM;
		tp->list = list;
		tp->room += 4 * READ_NBYTES;
	}
	got = read(fd, (char *)tp->list + tp->nbytes, READ_NBYTES);
	if (got < 0)
		return errno == EINTR || errno == EAGAIN ? 1 : -errno;
	tp->nbytes += (size_t)got;
	return got > 0;
}

long thread_pointers_list(struct thread_pointers *tp, const struct ht_thread_pointer **list_ret)
{
	int fd = bpf_iter_create(bpf_link__fd(tp->link)), more;

	if (fd < 0)
		return -errno;
	tp->nbytes = 0;
	while ((more = read_more(tp, fd)) > 0)
		;
	close(fd);
	*list_ret = tp->list;
	return more < 0 ? more : (long)(tp->nbytes / sizeof(*tp->list));
}

void thread_pointers_close(struct thread_pointers *tp)
{
	if (!tp)
		return;
	bpf_link__destroy(tp->link);
	threads_bpf__destroy(tp->skel);
	free(tp->list);
	free(tp);
}
