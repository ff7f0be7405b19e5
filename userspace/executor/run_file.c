/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_file.c - struct run_result as a file: a head that tells the version, the struct as it is in memory, then what it points
 * to. Both sides are the same program; another version's file is refused.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "executor/executor.h"

#define RUN_MAGIC 0x6e75725f70616568ull /* "heap_run" */
#define LIST_MAX (1u << 20)

struct run_file_head {
	uint64_t magic;
	uint32_t head_nbytes, result_nbytes;
	char version[48];
	int32_t err;
	uint32_t unbound;
	uint32_t nr_resident, nr_end_classes, nr_peak_classes;
	uint32_t kind_nbytes, output_nbytes; /* with the NUL; 0: there is none */
};

static int put(int fd, const void *data, size_t nbytes)
{
	const char *p = data;

	while (nbytes) {
		ssize_t n = write(fd, p, nbytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		nbytes -= (size_t)n;
	}
	return 0;
}

static int get(int fd, void *data, size_t nbytes)
{
	char *p = data;

	while (nbytes) {
		ssize_t n = read(fd, p, nbytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		p += n;
		nbytes -= (size_t)n;
	}
	return 0;
}

static uint32_t text_nbytes(const char *text)
{
	return text ? (uint32_t)strnlen(text, LIST_MAX - 1) + 1 : 0;
}

static struct run_file_head head_of(const struct plan *plan, const struct run_result *res)
{
	struct run_file_head h;

	memset(&h, 0, sizeof(h));
	h.magic = RUN_MAGIC;
	h.head_nbytes = sizeof(h);
	h.result_nbytes = sizeof(*res);
	snprintf(h.version, sizeof(h.version), "%s", HEAPTAPE_VERSION);
	h.nr_resident = res->resident ? plan->head.nr_checkpoints : 0;
	h.nr_end_classes = (uint32_t)res->end_classes.nr;
	h.nr_peak_classes = (uint32_t)res->peak_classes.nr;
	h.kind_nbytes = text_nbytes(res->error.kind);
	h.output_nbytes = text_nbytes(res->output);
	return h;
}

int run_file_write(int fd, const struct plan *plan, const struct run_result *res, int err, bool unbound)
{
	struct run_file_head h = head_of(plan, res);
	int failed;

	h.err = err;
	h.unbound = unbound;
	failed = put(fd, &h, sizeof(h));
	if (!failed)
		failed = put(fd, res, sizeof(*res));
	if (!failed)
		failed = put(fd, res->resident, h.nr_resident * sizeof(*res->resident));
	if (!failed)
		failed = put(fd, res->end_classes.list, h.nr_end_classes * sizeof(*res->end_classes.list));
	if (!failed)
		failed = put(fd, res->peak_classes.list, h.nr_peak_classes * sizeof(*res->peak_classes.list));
	if (!failed)
		failed = put(fd, res->error.kind, h.kind_nbytes);
	return failed ? failed : put(fd, res->output, h.output_nbytes);
}

/* A list of so many; NULL and 0 where there are none. */
static int get_list(int fd, size_t nr, size_t nbytes, void **list_ret)
{
	*list_ret = NULL;
	if (!nr)
		return 0;
	*list_ret = calloc(nr, nbytes);
	return *list_ret ? get(fd, *list_ret, nr * nbytes) : -ENOMEM;
}

/* Kinds of errors are few, and stay: the other side's texts are kept as ours would be. */
static int get_kind(int fd, size_t nbytes, const char **kind_ret)
{
	static char *known[32];
	void *text;
	int err = get_list(fd, nbytes, 1, &text);
	unsigned i;

	*kind_ret = NULL;
	if (err || !nbytes) {
		free(text);
		return err;
	}
	((char *)text)[nbytes - 1] = '\0';
	for (i = 0; i < 31 && known[i] && strcmp(known[i], text) != 0; i++)
		;
	if (known[i])
		free(text);
	else
		known[i] = text;
	*kind_ret = known[i];
	return 0;
}

static bool is_ours(const struct run_file_head *h, const struct plan *plan)
{
	return h->magic == RUN_MAGIC && h->head_nbytes == sizeof(*h) && h->result_nbytes == sizeof(struct run_result) &&
	       !strncmp(h->version, HEAPTAPE_VERSION, sizeof(h->version)) &&
	       (!h->nr_resident || h->nr_resident == plan->head.nr_checkpoints) && h->nr_end_classes < LIST_MAX &&
	       h->nr_peak_classes < LIST_MAX && h->kind_nbytes <= LIST_MAX && h->output_nbytes <= LIST_MAX;
}

int run_file_read(int fd, const struct plan *plan, struct run_result *res, int *err_ret, bool *unbound_ret)
{
	struct run_file_head h;
	void *resident, *end_list = NULL, *peak_list = NULL, *output = NULL;
	int err = get(fd, &h, sizeof(h));

	memset(res, 0, sizeof(*res));
	if (!err && !is_ours(&h, plan))
		err = -EBADMSG;
	if (!err)
		err = get(fd, res, sizeof(*res));
	/* What stands there are the other side's addresses. */
	res->resident = NULL;
	res->output = NULL;
	res->error.kind = NULL;
	res->end_classes.list = res->peak_classes.list = NULL;
	if (err) {
		memset(res, 0, sizeof(*res));
		return err;
	}
	err = get_list(fd, h.nr_resident, sizeof(*res->resident), &resident);
	res->resident = resident;
	if (!err)
		err = get_list(fd, h.nr_end_classes, sizeof(*res->end_classes.list), &end_list);
	res->end_classes.list = end_list;
	if (!err)
		err = get_list(fd, h.nr_peak_classes, sizeof(*res->peak_classes.list), &peak_list);
	res->peak_classes.list = peak_list;
	if (!err)
		err = get_kind(fd, h.kind_nbytes, &res->error.kind);
	if (!err)
		err = get_list(fd, h.output_nbytes, 1, &output);
	res->output = output;
	if (output)
		res->output[h.output_nbytes - 1] = '\0';
	res->error.text[sizeof(res->error.text) - 1] = '\0';
	*err_ret = h.err;
	*unbound_ret = h.unbound;
	return err;
}
