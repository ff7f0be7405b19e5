/* SPDX-License-Identifier: BSD-2-Clause */
/* passage.c - see passage.h. */
#include "record/passage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/files.h"

#define CALL_NS 3000000ull /* of running: a realloc that copies 10 MB */
#define NAPS 4    /* looks at which it slept and had run since the one before: no lock of an allocator is waited for that often */
#define RECORDS 2          /* the second one's call began after the first one's end */

struct passage_thread {
	pid_t tid;
	uint64_t run_ns, last_ns; /* had run so long at the beginning, and at the last look */
	unsigned nr_records, nr_naps;
	bool out;
};

/* How long it has run, and whether it sleeps. False: it is gone. */
static bool read_thread(const struct process *p, pid_t tid, uint64_t *run_ns_ret, bool *sleeps_ret)
{
	char name[48], line[512];
	const char *at;

	snprintf(name, sizeof(name), "task/%d/stat", tid);
	if (file_read_line_at(p->proc_fd, name, line, sizeof(line)))
		return false;
	at = strrchr(line, ')');
	*sleeps_ret = at && (at[2] == 'S' || at[2] == 'T');
	snprintf(name, sizeof(name), "task/%d/schedstat", tid);
	*run_ns_ret = file_read_line_at(p->proc_fd, name, line, sizeof(line)) ? 0 : strtoull(line, NULL, 10);
	return at != NULL;
}

static int note_thread(void *arg, pid_t tid)
{
	struct passage *p = arg;
	bool sleeps;

	if (p->nr == p->room) {
		unsigned room = p->room ? 2 * p->room : 64;
		struct passage_thread *threads = realloc(p->threads, room * sizeof(*threads));

		if (!threads)
			return -ENOMEM;
		p->threads = threads;
		p->room = room;
	}
	p->threads[p->nr] = (struct passage_thread){ .tid = tid };
	if (!read_thread(p->process, tid, &p->threads[p->nr].run_ns, &sleeps))
		return 0;
	p->threads[p->nr].last_ns = p->threads[p->nr].run_ns;
	return index_map_set(&p->of, (uint64_t)tid, p->nr++);
}

int passage_begin(struct passage *p, const struct process *process)
{
	*p = (struct passage){ .process = process };
	return index_map_init(&p->of) ? -ENOMEM : process_each_thread(process, note_thread, p);
}

void passage_note(struct passage *p, uint32_t tid)
{
	uint32_t i = index_map_find(&p->of, tid);

	if (i != INDEX_NONE && ++p->threads[i].nr_records >= RECORDS)
		p->threads[i].out = true;
}

unsigned passage_look(struct passage *p)
{
	unsigned nr_asleep = 0, nr_inside = 0;

	for (unsigned i = 0; i < p->nr; i++) {
		struct passage_thread *t = &p->threads[i];
		uint64_t run_ns = 0;
		bool sleeps = false;

		if (t->out)
			continue;
		if (!read_thread(p->process, t->tid, &run_ns, &sleeps) || run_ns >= t->run_ns + CALL_NS)
			t->out = true;
		else if (sleeps && run_ns == t->last_ns)
			nr_asleep++;
		else if (sleeps && ++t->nr_naps >= NAPS)
			t->out = true;
		else
			nr_inside++;
		t->last_ns = run_ns;
	}
	return nr_inside ? nr_inside + nr_asleep : 0;
}

void passage_end(struct passage *p)
{
	index_map_free(&p->of);
	free(p->threads);
	*p = (struct passage){ 0 };
}
