/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compare TAPE LOGDIR: holds a tape against the oracle's logs.
 *
 * For each thread the tape's calls must be one contiguous run of the log's, in order, with nothing between. Prints the
 * calls compared by family, and with --lost how many are missing instead of failing on the first.
 *   --lost           calls may be missing; print "missing N" (log calls between the first and the last one on the tape
 *                    that it does not have) and the tape's own count, which must be equal
 *   --whole          the tape must hold the log (of the last program, if there were several) from its first call to its last
 *   --any-order      a thread's calls must be the log's, each once, in whatever order (a signal handler's calls stand inside
 *                    other calls, and their order is not the log's)
 *   --baseline       the tape must go on to the target's end, and what it says to have lived at its start must be what all
 *                    calls of the log in front of the tape's left alive. Prints what is missing and what is too many; with
 *                    --tolerate N that may be so many in a million bytes; with
 *                    --inside a block is also met where its pointer leads into it
 *   --need LIST      families (comma separated) that must have been seen on the tape
 */
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/tape.h"
#include "oracle.h"

/* A call reduced to what both sides can know. */
enum family { F_MALLOC, F_CALLOC, F_REALLOC, F_ALIGNED, F_NEW, F_FREE, F_NR };

static const char *const family_names[F_NR] = { "malloc", "calloc", "realloc", "aligned", "new", "free" };

struct call {
	enum family family;
	bool failed;
	uint64_t size, align, old, addr;
};

struct calls {
	uint32_t tid;
	struct call *list;
	size_t nr, room;
};

struct file_name {
	uint32_t tid;
	unsigned seq;
	char name[64];
};

static struct calls tape_threads[16384], log_threads[16384];
static size_t nr_tape_threads, nr_log_threads;
static uint64_t seen[F_NR], seen_failed, tape_lost, tape_calls;
static bool opt_lost, opt_whole, opt_any_order, opt_baseline, opt_inside;
static unsigned long opt_tolerate; /* millionths */

/* A block at the tape's start, or a birth (1) or death (-1) of the log in front of it. */
struct life {
	uint64_t addr, size;
	int delta;
};

static struct life *lives, *kept;
static size_t nr_lives, room_lives, nr_kept, room_kept;
static const char *opt_need;

static struct calls *thread_of(struct calls *threads, size_t *nr, uint32_t tid)
{
	for (size_t i = *nr; i-- > 0;)
		if (threads[i].tid == tid)
			return &threads[i];
	if (*nr == 16384)
		exit(3);
	threads[*nr] = (struct calls){ .tid = tid };
	return &threads[(*nr)++];
}

static void push(struct calls *t, struct call c)
{
	if (t->nr == t->room) {
		t->room = t->room ? 2 * t->room : 1024;
		t->list = realloc(t->list, t->room * sizeof(*t->list));
		if (!t->list)
			exit(3);
	}
	t->list[t->nr++] = c;
}

static void push_life(struct life **list, size_t *nr, size_t *room, struct life l)
{
	if (*nr == *room) {
		*room = *room ? 2 * *room : 65536;
		*list = realloc(*list, *room * sizeof(**list));
		if (!*list)
			exit(3);
	}
	(*list)[(*nr)++] = l;
}

/* ---- the log ---- */

static uint64_t product(uint64_t a, uint64_t b)
{
	uint64_t p;

	return __builtin_mul_overflow(a, b, &p) ? UINT64_MAX : p;
}

/* What heaptape's rules make of a call; false: it is no event at all. */
static bool log_to_call(const struct oracle_call *o, struct call *c)
{
	*c = (struct call){ .size = o->size, .align = o->align, .addr = o->result, .old = o->old, .failed = !o->result };
	switch (o->op) {
	case ORACLE_MALLOC: c->family = F_MALLOC; break;
	case ORACLE_NEW:
		c->family = F_NEW;
		if (c->failed) /* see take_event */
			return false;
		break;
	case ORACLE_CALLOC:
		c->family = F_CALLOC;
		c->size = product(o->size, o->mul);
		break;
	case ORACLE_REALLOCARRAY:
		c->size = product(o->size, o->mul); /* fall through */
	case ORACLE_REALLOC:
		c->family = F_REALLOC;
		if (!o->old) {
			c->family = F_MALLOC;
		} else if (!o->result && !c->size) {
			*c = (struct call){ .family = F_FREE, .addr = o->old };
		}
		break;
	case ORACLE_POSIX_MEMALIGN:
	case ORACLE_ALIGNED_ALLOC:
	case ORACLE_MEMALIGN:
	case ORACLE_VALLOC:
	case ORACLE_PVALLOC: c->family = F_ALIGNED; break;
	default: *c = (struct call){ .family = F_FREE, .addr = o->old }; break;
	}
	return true;
}

static void read_log(int dir_fd, const struct file_name *f)
{
	struct calls *t = thread_of(log_threads, &nr_log_threads, f->tid);
	const struct oracle_call *list;
	struct stat st;
	size_t nr;
	int fd = openat(dir_fd, f->name, O_RDONLY);

	if (fd < 0 || fstat(fd, &st) || !st.st_size) {
		perror(f->name);
		exit(3);
	}
	list = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (list == MAP_FAILED)
		exit(3);
	nr = (size_t)st.st_size / sizeof(*list);
	for (size_t i = 0; i < nr && list[i].op; i++) {
		struct call c;

		if (log_to_call(&list[i], &c))
			push(t, c);
	}
	munmap((void *)list, (size_t)st.st_size);
}

static int by_seq(const void *a, const void *b)
{
	return (int)((const struct file_name *)a)->seq - (int)((const struct file_name *)b)->seq;
}

static void read_logs(const char *path)
{
	static struct file_name files[65536];
	size_t nr = 0;
	DIR *dir = opendir(path);
	struct dirent *e;

	if (!dir) {
		perror(path);
		exit(3);
	}
	while ((e = readdir(dir)))
		if (nr < 65536 && sscanf(e->d_name, "%" SCNu32 ".%u.log", &files[nr].tid, &files[nr].seq) == 2) {
			snprintf(files[nr].name, sizeof(files[nr].name), "%.60s", e->d_name);
			nr++;
		}
	qsort(files, nr, sizeof(files[0]), by_seq);
	for (size_t i = 0; i < nr; i++) {
		/* Before an exec, one thread's log ends and the next program's begins. */
		if (opt_whole)
			thread_of(log_threads, &nr_log_threads, files[i].tid)->nr = 0;
		read_log(dirfd(dir), &files[i]);
	}
	closedir(dir);
}

/* ---- the tape ---- */

static enum family family_of(unsigned kind)
{
	switch (kind) {
	case TAPE_MALLOC: return F_MALLOC;
	case TAPE_CALLOC: return F_CALLOC;
	case TAPE_REALLOC: return F_REALLOC;
	case TAPE_NEW: return F_NEW;
	case TAPE_FREE:
	case TAPE_DELETE:
	case TAPE_SDALLOCX: return F_FREE;
	default: return F_ALIGNED;
	}
}

static void take_event(const struct tape_event *ev)
{
	struct call c = { .family = family_of(ev->kind), .failed = ev->flags & TAPE_FAILED, .size = ev->size, .align = ev->align,
			  .old = ev->old, .addr = ev->addr };

	if (ev->flags & TAPE_KEPT) {
		if (tape_kind_is_alloc(ev->kind))
			push_life(&kept, &nr_kept, &room_kept, (struct life){ ev->addr, ev->size, 1 });
		return;
	}
	if (ev->kind == TAPE_EXEC) {
		for (size_t i = 0; i < nr_tape_threads; i++)
			tape_threads[i].nr = 0;
		return;
	}
	if (ev->kind == TAPE_LOST)
		tape_lost += ev->size;
	if (!tape_kind_is_call(ev->kind))
		return;
	/* A new that does not throw is seen to fail, one that throws is not: neither counts here. */
	if (c.family == F_NEW && c.failed)
		return;
	if (c.family == F_FREE)
		c.size = 0;
	push(thread_of(tape_threads, &nr_tape_threads, ev->tid), c);
	tape_calls++;
	seen[c.family] += !c.failed;
	seen_failed += c.failed;
}

static void read_tape(const char *path)
{
	struct tape_reader *r;
	const struct tape_event *evs;
	long n;

	if (tape_reader_open(path, NULL, &r)) {
		fprintf(stderr, "compare: %s: %s\n", path, tape_reader_error(NULL));
		exit(3);
	}
	while ((n = tape_reader_next_block(r, &evs)) > 0)
		for (long i = 0; i < n; i++)
			take_event(&evs[i]);
	if (n < 0) {
		fprintf(stderr, "compare: %s: %s\n", path, tape_reader_error(r));
		exit(3);
	}
	tape_reader_close(r);
}

/* ---- both ---- */

#define INSIDE_MAX (1u << 20)

/* With --inside a block of before goes by its start, wherever in it the program's pointer leads. */
static bool same_block(uint64_t tape, uint64_t log)
{
	return tape == log || (opt_inside && tape && tape < log && log - tape < INSIDE_MAX);
}

static bool equal(const struct call *t, const struct call *l)
{
	return t->family == l->family && t->failed == l->failed && t->size == l->size && same_block(t->old, l->old) &&
	       (t->family == F_FREE ? same_block(t->addr, l->addr) : t->addr == l->addr) && (t->align == l->align || t->family == F_REALLOC);
}

static void print_call(const char *who, const struct call *c)
{
	fprintf(stderr, "  %-5s %s%s size %" PRIu64 " align %" PRIu64 " old %#" PRIx64 " addr %#" PRIx64 "\n", who,
		family_names[c->family], c->failed ? " FAILED" : "", c->size, c->align, c->old, c->addr);
}

/* How many calls of the tape's thread match the log's from log[at] on. */
static size_t run_length(const struct calls *t, const struct calls *l, size_t at)
{
	size_t n = 0;

	while (n < t->nr && at + n < l->nr && equal(&t->list[n], &l->list[at + n]))
		n++;
	return n;
}

static bool compare_exact(const struct calls *t, const struct calls *l)
{
	size_t best = 0, best_at = 0;

	for (size_t at = 0; at < l->nr && best < t->nr; at++) {
		size_t n = run_length(t, l, at);

		if (n > best) {
			best = n;
			best_at = at;
		}
		if (opt_whole)
			break;
	}
	if (best == t->nr && (!opt_whole || t->nr == l->nr))
		return true;
	fprintf(stderr, "thread %u: %zu calls on the tape, %zu in the log; the longest run ends after %zu (log call %zu):\n",
		t->tid, t->nr, l->nr, best, best_at + best);
	for (size_t i = best >= 2 ? best - 2 : 0; i < best + 4; i++) {
		if (i < t->nr)
			print_call("tape", &t->list[i]);
		if (best_at + i < l->nr)
			print_call("log", &l->list[best_at + i]);
	}
	return false;
}

static int by_call(const void *a, const void *b)
{
	const struct call *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	if (x->family != y->family)
		return x->family < y->family ? -1 : 1;
	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return x->old != y->old ? (x->old < y->old ? -1 : 1) : 0;
}

static bool compare_any_order(struct calls *t, struct calls *l)
{
	size_t nr = t->nr < l->nr ? t->nr : l->nr, i = 0;

	qsort(t->list, t->nr, sizeof(*t->list), by_call);
	qsort(l->list, l->nr, sizeof(*l->list), by_call);
	while (i < nr && equal(&t->list[i], &l->list[i]))
		i++;
	if (i == t->nr && i == l->nr)
		return true;
	fprintf(stderr, "thread %u: %zu calls on the tape, %zu in the log; sorted, they differ from %zu on:\n", t->tid, t->nr, l->nr, i);
	if (i < t->nr)
		print_call("tape", &t->list[i]);
	if (i < l->nr)
		print_call("log", &l->list[i]);
	return false;
}

/* Greedy: each call of the tape is the next equal one of the log; what is passed over is missing on the tape. */
static bool compare_lossy(const struct calls *t, const struct calls *l, uint64_t *missing)
{
	size_t at = 0, i;

	for (i = 0; i < t->nr; i++, at++) {
		size_t from = at;

		while (at < l->nr && !equal(&t->list[i], &l->list[at]))
			at++;
		if (at == l->nr) {
			fprintf(stderr, "thread %u: call %zu of the tape is not in the log behind call %zu:\n", t->tid, i, from);
			print_call("tape", &t->list[i]);
			return false;
		}
	}
	*missing += l->nr - t->nr;
	return true;
}

static bool compare_all(void)
{
	static struct calls none;
	uint64_t missing = 0;
	bool ok = true;

	for (size_t i = 0; i < nr_tape_threads; i++) {
		struct calls *t = &tape_threads[i], *l = &none;

		for (size_t k = 0; k < nr_log_threads; k++)
			if (log_threads[k].tid == t->tid)
				l = &log_threads[k];
		if (t->nr || opt_whole)
			ok &= opt_any_order ? compare_any_order(t, l) : opt_lost ? compare_lossy(t, l, &missing) : compare_exact(t, l);
	}
	if (!opt_lost)
		return ok;
	for (size_t k = 0; k < nr_log_threads; k++) {
		bool on_tape = false;

		for (size_t i = 0; i < nr_tape_threads; i++)
			on_tape |= tape_threads[i].tid == log_threads[k].tid;
		if (!on_tape)
			missing += log_threads[k].nr;
	}
	printf("missing %" PRIu64 ", lost by the tape's own count %" PRIu64 "\n", missing, tape_lost);
	return ok && missing == tape_lost && missing > 0;
}

/* ---- what lived at the start ---- */

static int by_addr(const void *a, const void *b)
{
	const struct life *x = a, *y = b;

	return x->addr != y->addr ? (x->addr < y->addr ? -1 : 1) : y->delta - x->delta;
}

static void live_through(const struct call *c)
{
	if (c->failed)
		return;
	if (c->family == F_REALLOC)
		push_life(&lives, &nr_lives, &room_lives, (struct life){ c->old, 0, -1 });
	push_life(&lives, &nr_lives, &room_lives, (struct life){ c->addr, c->size, c->family == F_FREE ? -1 : 1 });
}

/* A thread's calls on the tape are its last ones. */
static bool split_log(const struct calls *t, const struct calls *l)
{
	size_t before = l->nr - t->nr;

	if (t->nr > l->nr || run_length(t, l, before) != t->nr) {
		fprintf(stderr, "thread %u: its %zu calls on the tape are not the last ones of %zu in the log\n", l->tid, t->nr, l->nr);
		return false;
	}
	for (size_t i = 0; i < before; i++)
		live_through(&l->list[i]);
	return true;
}

/* Births less deaths at an address are 1 where a block lives, in whatever order the threads made them. */
static size_t count_lives(void)
{
	size_t nr = 0;

	qsort(lives, nr_lives, sizeof(*lives), by_addr);
	for (size_t i = 0, end; i < nr_lives; i = end) {
		struct life l = lives[i];

		for (end = i + 1; end < nr_lives && lives[end].addr == l.addr; end++) {
			l.delta += lives[end].delta;
			l.size = lives[end].size > l.size ? lives[end].size : l.size;
		}
		if (l.delta > 0)
			lives[nr++] = l;
	}
	return nr;
}

static void show(const char *what, const struct life *l, size_t nr)
{
	if (nr < 5)
		fprintf(stderr, "  %s: %#" PRIx64 " size %" PRIu64 "\n", what, l->addr, l->size);
}

static bool compare_baseline(void)
{
	static struct calls none;
	size_t nr, missing = 0, wrong = 0, k = 0;
	uint64_t nbytes = 0, bad_nbytes = 0;

	for (size_t i = 0; i < nr_log_threads; i++) {
		const struct calls *t = &none;

		for (size_t j = 0; j < nr_tape_threads; j++)
			if (tape_threads[j].tid == log_threads[i].tid)
				t = &tape_threads[j];
		if (!split_log(t, &log_threads[i]))
			return false;
	}
	nr = count_lives();
	qsort(kept, nr_kept, sizeof(*kept), by_addr);
	for (size_t i = 0; i < nr || k < nr_kept;) {
		nbytes += i < nr ? lives[i].size : 0;
		/* Each kept block is met once: the next block of the log begins behind it. */
		if (opt_inside && i < nr && k < nr_kept && lives[i].addr > kept[k].addr && lives[i].addr < kept[k].addr + kept[k].size) {
			i++;
			k++;
			continue;
		}
		if (k == nr_kept || (i < nr && lives[i].addr < kept[k].addr)) {
			show("missing", &lives[i], missing++);
			bad_nbytes += lives[i++].size;
		} else if (i == nr || kept[k].addr < lives[i].addr) {
			show("not alive", &kept[k], wrong++);
			bad_nbytes += kept[k++].size;
		} else {
			i++;
			k++;
		}
	}
	printf("baseline: %zu blocks of %" PRIu64 " bytes lived; %zu missing, %zu not alive, %.6f %% of the bytes\n", nr, nbytes,
	       missing, wrong, nbytes ? 100.0 * (double)bad_nbytes / (double)nbytes : 0.0);
	return nr && (opt_tolerate ? bad_nbytes * 1000000 <= nbytes * opt_tolerate : !missing && !wrong);
}

static bool check_needed(void)
{
	char list[256], *name, *save = NULL;
	bool ok = true;

	snprintf(list, sizeof(list), "%s", opt_need ? opt_need : "");
	for (name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		uint64_t n = !strcmp(name, "failed") ? seen_failed : 0;

		for (int f = 0; f < F_NR; f++)
			if (!strcmp(family_names[f], name))
				n = seen[f];
		if (n)
			continue;
		fprintf(stderr, "not one %s call is on the tape\n", name);
		ok = false;
	}
	return ok;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "lost", 0, NULL, 'l' },	     { "whole", 0, NULL, 'w' },
						 { "need", 1, NULL, 'N' },	     { "any-order", 0, NULL, 'a' },
						 { "baseline", 0, NULL, 'b' },	     { "tolerate", 1, NULL, 't' },
						 { "inside", 0, NULL, 'i' },
						 { NULL, 0, NULL, 0 } };
	bool ok;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		opt_lost |= c == 'l';
		opt_whole |= c == 'w';
		opt_any_order |= c == 'a';
		opt_baseline |= c == 'b';
		opt_inside |= c == 'i';
		if (c == 't')
			opt_tolerate = strtoul(optarg, NULL, 10);
		if (c == 'N')
			opt_need = optarg;
	}
	if (argc - optind != 2)
		return 2;
	read_tape(argv[optind]);
	read_logs(argv[optind + 1]);
	ok = opt_baseline ? compare_baseline() : compare_all();
	ok &= check_needed();
	if (!tape_calls) {
		fprintf(stderr, "the tape holds no call\n");
		ok = false;
	}
	if (!opt_lost && tape_lost) {
		fprintf(stderr, "%" PRIu64 " calls were lost\n", tape_lost);
		ok = false;
	}
	printf("compared %" PRIu64 " calls of %zu threads:", tape_calls, nr_tape_threads);
	for (int f = 0; f < F_NR; f++)
		printf(" %s %" PRIu64, family_names[f], seen[f]);
	printf(" failed %" PRIu64 "\n", seen_failed);
	return ok ? 0 : 1;
}
