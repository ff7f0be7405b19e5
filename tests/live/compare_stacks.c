/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compare_stacks [--cut-ok] [--least SAMPLES] [--share PERCENT] TAPE LOG - stacks of the tape against a log of stack_log.h,
 * frame by frame and in depth. --cut-ok: stacks marked truncated may be shorter (but what they hold must be right).
 */
#include <inttypes.h>
#include <stdbool.h>

#include "formats/tape.h"
#include "stack_log.h"


enum { ENDS_MAX = 32, THREADS_MAX = 4096, FUNCTION_NBYTES_MAX = 1024 };

struct thread {
	uint32_t tid;
	struct tape_event last; /* its last allocation that did not fail */
};

static struct thread threads[THREADS_MAX];
static struct { uint64_t equal, cut, shorter, longer, differ, no_stack, unmatched, followed; } count;
/* The outermost frames of stacks that are known whole: those that go on where the log could not must end in one, too. */
static struct tape_frame ends[ENDS_MAX];
static unsigned nr_ends;
static char *real_names[STACK_LOG_MODULES];
static bool cut_ok;
static unsigned shown;

static struct thread *thread_of(uint32_t tid)
{
	for (int i = 0; i < THREADS_MAX; i++) {
		if (!threads[i].tid)
			threads[i].tid = tid;
		if (threads[i].tid == tid)
			return &threads[i];
	}
	abort();
}

/* The path by which the tape knows a module of the log. */
static const char *real_name(const struct stack_log *log, unsigned m)
{
	const char *name = log->modules[m].name;

	if (real_names[m])
		return real_names[m];
	if (strstr(name, "vdso"))
		real_names[m] = strdup("[vdso]");
	else
		real_names[m] = realpath(name, NULL);
	if (!real_names[m])
		real_names[m] = strdup(name);
	return real_names[m];
}

static const char *path_of(const char *module)
{
	const char *space = module ? strchr(module, ' ') : NULL;

	return space ? space + 1 : "";
}

static bool same_frame(const struct stack_log *log, const struct tape_reader *r, uint64_t want, const struct tape_frame *got)
{
	unsigned m = (unsigned)(want >> 48 & 0x7fff);
	uint64_t offset = want & ((1ull << 48) - 1);

	if (want & STACK_LOG_WITHIN ? got->offset <= offset || got->offset > offset + FUNCTION_NBYTES_MAX : offset != got->offset)
		return false;
	return !m || !strcmp(real_name(log, m), path_of(tape_reader_string(r, got->module)));
}

static bool in_ranges(const struct stack_log *log, const struct tape_reader *r, const struct tape_frame *f)
{
	for (uint32_t i = 0; i < log->nr_ranges; i++) {
		unsigned m = (unsigned)(log->ranges[i].start >> 48);
		uint64_t mask = (1ull << 48) - 1;

		if (f->offset > (log->ranges[i].start & mask) && f->offset <= (log->ranges[i].end & mask) &&
		    !strcmp(real_name(log, m), path_of(tape_reader_string(r, f->module))))
			return true;
	}
	return false;
}

static bool is_oracle(const struct tape_reader *r, const struct tape_frame *f)
{
	return strstr(path_of(tape_reader_string(r, f->module)), "libstack_oracle") != NULL;
}

static bool log_is_oracle(const struct stack_log *log, uint64_t frame)
{
	return strstr(real_name(log, (unsigned)(frame >> 48)), "libstack_oracle") != NULL;
}

/* What of the tape's stack is to be compared, and from which frame of the log on. */
static uint32_t choose(const struct stack_log *log, const struct tape_reader *r, const struct tape_frame *frames, uint32_t nr,
		       const struct stack_log_sample *s, struct tape_frame *chosen, uint32_t *from_ret)
{
	uint32_t i = 0, n = 0;

	*from_ret = 0;
	if (log->nr_ranges) {
		for (; i < nr; i++)
			if (in_ranges(log, r, &frames[i]))
				chosen[n++] = frames[i];
		return n;
	}
	while (i < nr && !is_oracle(r, &frames[i]))
		i++;
	while (i < nr && is_oracle(r, &frames[i]))
		i++;
	while (*from_ret < s->nr && log_is_oracle(log, s->frames[*from_ret]))
		++*from_ret;
	for (; i < nr; i++)
		chosen[n++] = frames[i];
	return n;
}

static void show(const struct stack_log *log, const struct tape_reader *r, const struct stack_log_sample *s, uint32_t from,
		 const struct tape_frame *got, uint32_t nr, const char *what)
{
	uint32_t most = s->nr - from > nr ? s->nr - from : nr, i = 0;

	if (shown++ >= 3)
		return;
	while (i < nr && from + i < s->nr && same_frame(log, r, s->frames[from + i], &got[i]))
		i++;
	printf("%s: %llu bytes at %#llx, after %u equal frames, the log | the tape\n", what, (unsigned long long)s->size,
	       (unsigned long long)s->addr, i);
	for (i = i > 2 ? i - 2 : 0; i < most; i++) {
		uint64_t want = from + i < s->nr ? s->frames[from + i] : 0;

		printf("  %-40.40s %8llx | %-40.40s %8llx\n", want >> 48 & 0x7fff ? real_name(log, (unsigned)(want >> 48 & 0x7fff)) : "",
		       want & ((1ull << 48) - 1), i < nr ? path_of(tape_reader_string(r, got[i].module)) : "",
		       i < nr ? (unsigned long long)got[i].offset : 0);
	}
}

static bool is_end(const struct tape_frame *f)
{
	for (unsigned i = 0; i < nr_ends; i++)
		if (ends[i].module == f->module && ends[i].offset == f->offset)
			return true;
	return false;
}

static void note_end(const struct tape_frame *f)
{
	if (!is_end(f) && nr_ends < ENDS_MAX)
		ends[nr_ends++] = *f;
}

static void compare(const struct stack_log *log, const struct tape_reader *r, const struct stack_log_sample *s,
		    const struct tape_event *ev)
{
	static struct tape_frame chosen[4096];
	const struct tape_frame *frames;
	uint32_t nr, from, i;
	bool cut;

	if (ev->addr != s->addr || ev->size != s->size) {
		count.unmatched++;
		return;
	}
	nr = tape_reader_stack(r, ev->stack, &frames, &cut);
	if (!nr) {
		count.no_stack++;
		return;
	}
	nr = choose(log, r, frames, nr, s, chosen, &from);
	for (i = 0; i < nr && from + i < s->nr; i++)
		if (!same_frame(log, r, s->frames[from + i], &chosen[i])) {
			count.differ++;
			show(log, r, s, from, chosen, nr, "differs");
			return;
		}
	if (s->open && nr > s->nr - from && !cut && is_end(&chosen[nr - 1])) {
		count.followed++;
		return;
	}
	if (nr == s->nr - from) {
		count.equal++;
		if (!s->open && !cut)
			note_end(&chosen[nr - 1]);
	} else if (cut && nr < s->nr - from)
		count.cut++;
	else if (nr < s->nr - from)
		count.shorter++;
	else
		count.longer++;
	if (nr != s->nr - from)
		show(log, r, s, from, chosen, nr, cut ? "truncated" : nr < s->nr - from ? "too short" : "too long");
}

static int run(struct tape_reader *r, const struct stack_log *log)
{
	struct tape_event ev;
	int got;

	while ((got = tape_reader_next(r, &ev)) == 1) {
		struct thread *t;

		if (!tape_kind_is_alloc(ev.kind))
			continue;
		t = thread_of(ev.tid);
		if (ev.size >= STACK_LOG_MARK && ev.size - STACK_LOG_MARK < STACK_LOG_SAMPLES) {
			const struct stack_log_sample *s = &log->samples[ev.size - STACK_LOG_MARK];

			if (s->nr && s->tid == ev.tid)
				compare(log, r, s, &t->last);
		} else if (!(ev.flags & TAPE_FAILED)) {
			t->last = ev;
		}
	}
	return got;
}

int main(int argc, char **argv)
{
	static struct stack_log log;
	uint64_t least = 1, all, right;
	struct tape_reader *r;
	double share = 100;
	FILE *f;
	int i;

	for (i = 1; i < argc - 2; i++) {
		if (!strcmp(argv[i], "--cut-ok"))
			cut_ok = true;
		else if (!strcmp(argv[i], "--least"))
			least = strtoull(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--share"))
			share = strtod(argv[++i], NULL);
	}
	f = argc > 2 ? fopen(argv[argc - 1], "rb") : NULL;
	if (!f || fread(&log, sizeof(log), 1, f) != 1 || tape_reader_open(argv[argc - 2], NULL, &r)) {
		fprintf(stderr, "compare_stacks: tape or log cannot be read\n");
		return 2;
	}
	if (run(r, &log) < 0)
		return 2;
	all = count.equal + count.followed + count.cut + count.shorter + count.longer + count.differ + count.no_stack;
	right = count.equal + count.followed + (cut_ok ? count.cut : 0);
	printf("%" PRIu64 " stacks compared: %" PRIu64 " equal, %" PRIu64 " equal as far as the log goes and whole, %" PRIu64
	       " truncated, %" PRIu64 " too short, %" PRIu64 " too long, %" PRIu64
	       " differ, %" PRIu64 " without a stack (%.2f %%); %" PRIu64 " samples not on the tape\n", all, count.equal, count.followed, count.cut,
	       count.shorter, count.longer, count.differ, count.no_stack, all ? 100.0 * (double)right / (double)all : 0.0, count.unmatched);
	fclose(f);
	return all < least || (double)right < share / 100 * (double)all;
}
