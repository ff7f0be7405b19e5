/* SPDX-License-Identifier: BSD-2-Clause */
/* What a runtime holds: random spans, told again for other uses and given back in parts, against an array of pages; objects by page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyze/analysis.h"
#include "check.h"
#include "runtime/runtime.h"
#include "xorshift.h"

enum { PAGES = 300, STEPS = 4000, USES = 4, FIGURES = 3, ROWS_MAX = STEPS };

#define BASE 0x4200000000ull

static const char *const use_names[USES] = { "block", "pinned", "large", "compact" };
static const char *const figure_names[FIGURES] = { "ghc.generation", "ghc.live_blocks", "ghc.megablocks" };

/* What the tape must say. */
static struct {
	uint64_t ns, figures[FIGURES], uses[USES], live, live_nbytes;
} rows[ROWS_MAX];
static size_t nr_rows;
static int use_of[PAGES];      /* -1: none */
static uint64_t object_at[PAGES]; /* bytes of the one object that begins there, 0: none */
static uint64_t unknown_pages, born, collected;

static void put(struct tape_writer *w, struct tape_event ev)
{
	CHECK_EQ(tape_writer_add(w, &ev), 0);
}

static void put_row(struct tape_writer *w, uint64_t ns, const uint32_t *names)
{
	rows[nr_rows].ns = ns;
	for (unsigned k = 0; k < FIGURES; k++) {
		rows[nr_rows].figures[k] = next_random(1000);
		put(w, (struct tape_event){ .kind = TAPE_FIGURE, .ns = ns, .tid = 7, .alloc = TAPE_NO_ALLOC, .size = rows[nr_rows].figures[k], .arg = names[k] });
	}
	memset(rows[nr_rows].uses, 0, sizeof(rows[nr_rows].uses));
	for (unsigned p = 0; p < PAGES; p++) {
		if (use_of[p] >= 0)
			rows[nr_rows].uses[use_of[p]] += LEVELS_PAGE;
		rows[nr_rows].live += object_at[p] != 0;
		rows[nr_rows].live_nbytes += object_at[p];
	}
	nr_rows++;
}

static void step(struct tape_writer *w, uint64_t ns, const uint32_t *uses, const uint32_t *figures)
{
	unsigned first = (unsigned)next_random(PAGES), nr = 1 + (unsigned)next_random(8), use = (unsigned)next_random(USES);
	struct tape_event ev = { .ns = ns, .tid = 7, .addr = BASE + (uint64_t)first * LEVELS_PAGE, .alloc = TAPE_NO_ALLOC };

	if (first + nr > PAGES)
		nr = PAGES - first;
	ev.size = (uint64_t)nr * LEVELS_PAGE;
	switch (next_random(5)) {
	case 0:
	case 1:
		for (unsigned p = first; p < first + nr; p++)
			use_of[p] = (int)use;
		ev.kind = TAPE_SPAN;
		ev.arg = uses[use];
		put(w, ev);
		break;
	case 2:
		for (unsigned p = first; p < first + nr; p++) {
			unknown_pages += use_of[p] < 0;
			use_of[p] = -1;
		}
		ev.kind = TAPE_SPAN_FREE;
		put(w, ev);
		break;
	case 3:
		ev.alloc = 0;
		ev.size = 1 + next_random(3000);
		if (object_at[first]) {
			ev.kind = TAPE_FREE;
			ev.size = 0;
			ev.flags = next_random(2) ? TAPE_COLLECTED : 0;
			collected += ev.flags == TAPE_COLLECTED;
			object_at[first] = 0;
		} else {
			ev.kind = TAPE_MALLOC;
			object_at[first] = ev.size;
			born++;
		}
		put(w, ev);
		break;
	default: put_row(w, ns, figures);
	}
}

static void make_tape(const char *path)
{
	struct tape_writer_opts opts = { .overwrite = true, .time_unit_ns = 1 };
	struct tape_allocator ghc = { "ghc", "/bin/x", "" };
	uint32_t uses[USES], figures[FIGURES];
	struct tape_writer *w;
	uint8_t alloc;

	CHECK_EQ(tape_writer_open(path, &opts, &w), 0);
	tape_writer_meta(w, "runtime", "ghc");
	tape_writer_meta(w, "runtime.levels", "os,pages,objects");
	CHECK_EQ(tape_writer_allocator(w, &ghc, &alloc), 0);
	for (unsigned i = 0; i < USES; i++)
		tape_writer_string(w, use_names[i], &uses[i]);
	for (unsigned i = 0; i < FIGURES; i++)
		tape_writer_string(w, figure_names[i], &figures[i]);
	for (unsigned p = 0; p < PAGES; p++)
		use_of[p] = -1;
	for (unsigned i = 1; i <= STEPS; i++)
		step(w, 1000 * i, uses, figures);
	CHECK_EQ(tape_writer_close(w), 0);
}

static void check_rows(const struct levels *lv)
{
	int at[FIGURES], use[USES];

	for (unsigned k = 0; k < FIGURES; k++)
		at[k] = levels_figure(lv, figure_names[k]);
	for (unsigned k = 0; k < USES; k++)
		use[k] = levels_use(lv, use_names[k]);
	CHECK_EQ(levels_figure(lv, "ghc.nothing"), -1);
	CHECK_EQ(lv->nr_rows, nr_rows);
	for (size_t i = 0; i < nr_rows && i < lv->nr_rows; i++) {
		const struct levels_row *row = &lv->rows[i];

		CHECK_EQ(row->ns, rows[i].ns);
		for (unsigned k = 0; k < FIGURES; k++)
			CHECK_EQ(row->figures[at[k]], rows[i].figures[k]);
		for (unsigned k = 0; k < USES; k++)
			CHECK_EQ(row->uses[use[k]], rows[i].uses[k]);
		CHECK_EQ(row->live, rows[i].live);
		CHECK_EQ(row->live_nbytes, rows[i].live_nbytes);
	}
	CHECK_EQ(lv->unknown_nbytes, unknown_pages * LEVELS_PAGE);
	CHECK_EQ(lv->born, born);
	CHECK_EQ(lv->collected, collected);
}

static void test_levels(void)
{
	struct analysis_opts opts = { .from_ns = 0, .to_ns = UINT64_MAX, .at_ns = UINT64_MAX };
	char path[] = "/tmp/test_levels.XXXXXX";
	struct tape_reader *r;
	struct analysis a;

	close(mkstemp(path));
	make_tape(path);
	CHECK_EQ(tape_reader_open(path, NULL, &r), 0);
	CHECK_EQ(analysis_read(r, &opts, &a), 0);
	check_rows(&a.levels);
	analysis_free(&a);
	tape_reader_close(r);
	unlink(path);
}

/* ---- objects by page ---- */

static uint64_t taken[PAGES];
static unsigned nr_taken;

/* Every third stays. */
static int take(void *arg, uint64_t addr)
{
	(void)arg;
	if (addr % 3 == 0)
		return 0;
	taken[nr_taken++ % PAGES] = addr;
	return 1;
}

static void test_page_objects(void)
{
	struct page_objects *po = page_objects_new(4096);
	bool there[PAGES] = { 0 };

	for (unsigned round = 0; round < 200; round++) {
		unsigned first = (unsigned)next_random(PAGES / 10), nr = 1 + (unsigned)next_random(5), expected = 0;

		for (unsigned n = (unsigned)next_random(40); n; n--) {
			unsigned i = (unsigned)next_random(PAGES);

			if (!there[i])
				CHECK_EQ(page_objects_add(po, BASE + i * 410), 0);
			there[i] = true;
		}
		nr_taken = 0;
		CHECK_EQ(page_objects_take(po, BASE + (uint64_t)first * 4096, (uint64_t)nr * 4096, take, NULL), 0);
		for (unsigned i = 0; i < PAGES; i++) {
			uint64_t addr = BASE + i * 410;

			if (!there[i] || addr < BASE + first * 4096ull || addr >= BASE + (first + nr) * 4096ull || addr % 3 == 0)
				continue;
			there[i] = false;
			expected++;
		}
		CHECK_EQ(nr_taken, expected);
	}
	page_objects_free(po);
	page_objects_free(NULL);
}

int main(void)
{
	test_levels();
	test_page_objects();
	return check_done();
}
