/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a language's runtime shows: rules on its own figures at each collection, and on its spans. Each comes from a published
 * case; examples/cases/ runs them.
 */
#include "analyze/findings_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

#define BLOCK_NBYTES 4096u
#define MEGABLOCK_NBYTES (1u << 20)

/* GHC's figures, by their places in a row. */
struct ghc_figures {
	int generation, live_blocks, megablocks, free_blocks, live, copied, pinned;
};

/* Collections of the oldest generation: only then everything that is dead has gone. */
struct full {
	const struct levels_row **rows;
	size_t nr;
	struct ghc_figures at;
};

static uint64_t figure(const struct levels_row *row, int at)
{
	return at >= 0 ? row->figures[at] : 0;
}

static bool find_full(const struct levels *lv, struct full *full)
{
	struct ghc_figures *at = &full->at;
	uint64_t oldest = levels_oldest(lv);

	*at = (struct ghc_figures){ levels_figure(lv, "ghc.generation"), levels_figure(lv, "ghc.live_blocks"), levels_figure(lv, "ghc.megablocks"),
				    levels_figure(lv, "ghc.free_blocks"), levels_figure(lv, "ghc.live_bytes"), levels_figure(lv, "ghc.copied_bytes"),
				    levels_figure(lv, "ghc.live_pinned") };
	full->nr = 0;
	full->rows = malloc((lv->nr_rows + 1) * sizeof(*full->rows));
	if (!full->rows || at->generation < 0)
		return false;
	for (size_t i = 0; i < lv->nr_rows; i++)
		if (levels_is_full(lv, &lv->rows[i], oldest))
			full->rows[full->nr++] = &lv->rows[i];
	/* A program that ends collects everything: that tells nothing of its life. */
	if (full->nr > 1 && figure(full->rows[full->nr - 1], at->live) < figure(full->rows[full->nr - 2], at->live) / 10)
		full->nr--;
	return full->nr >= 2;
}

static uint64_t born_of(const struct analysis_stack *s) { return s->born_nbytes; }

/*
 * A pinned object holds its whole block. Case: of a million one-byte ByteStrings every tenth stays: nine tenths of the data go,
 * and not one block.
 */
static void rule_pinned_blocks(struct rules *r, const struct full *full)
{
	const struct levels_row *high = full->rows[0], *low = NULL;
	const struct ghc_figures *at = &full->at;
	uint64_t live_before, live, pinned_before, pinned, blocks;
	double share, most = 0;
	struct finding *f;

	for (size_t i = 0; i < full->nr; i++)
		high = figure(full->rows[i], at->live_blocks) > figure(high, at->live_blocks) ? full->rows[i] : high;
	/* Not the last of all: a program that ends gives everything back. */
	for (size_t i = 0; i < full->nr; i++) {
		const struct levels_row *row = full->rows[i];

		share = findings_percent(figure(row, at->pinned), figure(row, at->live_blocks));
		if (row->ns > high->ns && figure(row, at->live_blocks) * 3 <= figure(high, at->live_blocks) * 2 && share > most) {
			most = share;
			low = row;
		}
	}
	if (!low)
		return;
	live_before = figure(high, at->live_blocks);
	live = figure(low, at->live_blocks);
	pinned_before = figure(high, at->pinned);
	pinned = figure(low, at->pinned);
	blocks = figure(low, at->megablocks) * (MEGABLOCK_NBYTES / BLOCK_NBYTES);
	/* Live blocks fell by a third at least, pinned ones by less than half as much, and they are a tenth of what is left. */
	if (most < 10 || pinned > pinned_before ||
	    findings_percent(pinned_before - pinned, pinned_before) * 2 > findings_percent(live_before - live, live_before) ||
	    pinned * BLOCK_NBYTES < FLOOR_NBYTES)
		return;
	f = findings_add(r, "pinned-blocks", blocks * BLOCK_NBYTES - figure(low, at->live),
			 "Keep what is small and lives long unpinned (ShortByteString instead of ByteString), or copy what is kept into one new buffer.");
	if (!f)
		return;
	snprintf(f->title, sizeof(f->title),
		 "pinned blocks did not fall (%" PRIu64 " -> %" PRIu64 ") while live blocks fell by %.0f %% (%" PRIu64 " -> %" PRIu64 ")", pinned_before,
		 pinned, findings_percent(live_before - live, live_before), live_before, live);
	snprintf(f->evidence, sizeof(f->evidence),
		 "Between the full collections at %.2f s and %.2f s. A pinned object keeps its whole block of 4 KiB; a few of each are enough. Free now: "
		 "%.0f %% of the heap's blocks, in megablocks that pinned ones keep from being given back.",
		 (double)high->ns / 1e9, (double)low->ns / 1e9, findings_percent(figure(low, at->free_blocks), figure(low, at->free_blocks) + live));
	findings_name_stacks(r, f, born_of);
}

struct place_sum {
	uint64_t place, nbytes;
};

static int by_place(const void *a, const void *b)
{
	const struct place_sum *x = a, *y = b;

	return (x->place > y->place) - (x->place < y->place);
}

/* Of all bytes that the runtime's objects were made of, those of the place with most; below 0: not known. */
static double top_place_percent(const struct rules *r)
{
	const struct analysis *a = r->a;
	struct place_sum *sums = r->facts->place ? calloc(a->nr_stacks + 1, sizeof(*sums)) : NULL;
	uint64_t most = 0, sum = 0;

	if (!sums)
		return -1;
	for (size_t i = 0; i < a->nr_stacks; i++)
		sums[i] = (struct place_sum){ r->facts->place(r->facts->arg, a->stacks[i].stack), a->stacks[i].born_nbytes };
	qsort(sums, a->nr_stacks, sizeof(*sums), by_place);
	for (size_t i = 0; i < a->nr_stacks; i++) {
		sum = i && sums[i].place == sums[i - 1].place ? sum + sums[i].nbytes : sums[i].nbytes;
		most = sum > most ? sum : most;
	}
	free(sums);
	return findings_percent(most < a->levels.born_nbytes ? most : a->levels.born_nbytes, a->levels.born_nbytes);
}

/* Times at which the live bytes turned from falling to rising, deep below their peak. */
static unsigned count_troughs(const struct full *full, const struct levels_row *peak, uint64_t *lowest_ret, const struct levels_row **trough_ret)
{
	uint64_t high = figure(peak, full->at.live);
	unsigned nr = 0;

	*lowest_ret = UINT64_MAX;
	for (size_t i = 1; i + 1 < full->nr; i++) {
		uint64_t before = figure(full->rows[i - 1], full->at.live), here = figure(full->rows[i], full->at.live);

		if (full->rows[i]->ns < peak->ns || here > high / 10 * 8 || here > before || here >= figure(full->rows[i + 1], full->at.live))
			continue;
		nr++;
		if (here < *lowest_ret) {
			*lowest_ret = here;
			*trough_ret = full->rows[i];
		}
	}
	return nr;
}

/* Case: a messaging server whose heap of 13 GB held 5.6 GB at night, and never shrank. */
static void rule_heap_at_peak(struct rules *r, const struct full *full)
{
	const struct levels *lv = &r->a->levels;
	const struct ghc_figures *at = &full->at;
	const struct levels_row *peak = full->rows[0], *trough = NULL;
	char heap[HUMAN_MAX], low[HUMAN_MAX], high[HUMAN_MAX];
	uint64_t lowest, heap_nbytes, most_live = 0;
	struct finding *f;
	unsigned nr;

	for (size_t i = 0; i < full->nr; i++) {
		peak = figure(full->rows[i], at->megablocks) > figure(peak, at->megablocks) ? full->rows[i] : peak;
		most_live = figure(full->rows[i], at->live) > most_live ? figure(full->rows[i], at->live) : most_live;
	}
	heap_nbytes = figure(peak, at->megablocks) * MEGABLOCK_NBYTES;
	for (size_t i = 0; i < full->nr; i++)
		if (full->rows[i]->ns > peak->ns && figure(full->rows[i], at->megablocks) * MEGABLOCK_NBYTES < heap_nbytes / 100 * 90)
			return;
	nr = count_troughs(full, peak, &lowest, &trough);
	if (nr < 2 || heap_nbytes < FLOOR_NBYTES)
		return;
	f = findings_add(r, "heap-at-peak", heap_nbytes - lowest,
			 "Compare with heaptape rerun: the copying collector keeps room for a copy of everything (-F1.2, -xn, -c change that), and free "
			 "blocks between large and pinned ones are only used again by what fits.");
	if (!f)
		return;
	snprintf(f->title, sizeof(f->title), "the heap stays at its peak of %s over %u troughs, in which %s live (at most %s do)",
		 human_nbytes(heap, heap_nbytes), nr, human_nbytes(low, lowest), human_nbytes(high, most_live));
	if (lv->held_nbytes)
		snprintf(f->evidence, sizeof(f->evidence),
			 "Large and pinned objects are %.0f %% of what lives in the trough; one place makes %.2f %% of their bytes, and rounding to whole blocks "
			 "loses %.0f %% of what objects with blocks of their own hold.",
			 findings_percent(trough->live_nbytes < lowest ? trough->live_nbytes : lowest, lowest), top_place_percent(r),
			 findings_percent(lv->held_nbytes - lv->asked_nbytes, lv->held_nbytes));
	else
		snprintf(f->evidence, sizeof(f->evidence), "By the runtime's own figures; --levels os,pages,objects tells which objects hold the blocks.");
	findings_name_stacks(r, f, born_of);
}

/*
 * What lives at one full collection and still at the next is copied again. How much of it died in between nobody tells; where
 * the live bytes hardly ever fall, little did. Case: a service that spent most of its time copying data that never changes.
 */
static void rule_recopied(struct rules *r, const struct full *full)
{
	const struct ghc_figures *at = &full->at;
	uint64_t copied = 0, again = 0, last = 0, live = 0;
	char all[HUMAN_MAX], part[HUMAN_MAX];
	size_t nr_fell = 0;
	struct finding *f;

	for (size_t i = 0; i < full->nr; i++) {
		uint64_t here = figure(full->rows[i], at->copied), before = live;

		live = figure(full->rows[i], at->live);
		copied += here;
		last = before < here ? before : here;
		again += last;
		nr_fell += live < before;
	}
	/* Much of the live set is moved each time; a collection that does not copy, or large objects, would make no such sums. */
	if (last < FLOOR_NBYTES || findings_percent(again, copied) < 40 || last < live / 4 || nr_fell * 4 > full->nr)
		return;
	f = findings_add(r, "recopied", last, "Data that lives long and does not change belongs into a compact region (GHC.Compact): it is copied once, and "
					      "needs no room for a copy. heaptape rerun measures what it saves.");
	if (!f)
		return;
	snprintf(f->title, sizeof(f->title), "full collections copy the same data again and again: up to %.0f %% of %s had been copied by the one before",
		 findings_percent(again, copied), human_nbytes(all, copied));
	snprintf(f->evidence, sizeof(f->evidence), "%zu full collections among %zu, at which the live bytes fell %zu times; the last one copied up to %s again, "
		 "and needed as much room beside them.", full->nr, r->a->levels.nr_rows, nr_fell, human_nbytes(part, last));
}

/* A size class is called by its size; large objects have spans of their own. */
static bool is_class(const struct levels *lv, unsigned use)
{
	return lv->uses[use][0] >= '0' && lv->uses[use][0] <= '9';
}

static uint64_t all_holes(const struct levels *lv, const struct levels_row *row)
{
	uint64_t sum = 0;

	for (unsigned u = 0; u < lv->nr_uses; u++)
		sum += is_class(lv, u) ? levels_free_nbytes(row, u) : 0;
	return sum;
}

/* The class whose spans are less than half taken, and hold most free places; its part of what was born before and since. */
struct worst_class {
	unsigned use;
	uint64_t holes, born_before, born_since, all_before, all_since;
};

static bool find_worst(const struct levels *lv, const struct levels_row *row, struct worst_class *w)
{
	const struct levels_row *last = &lv->rows[lv->nr_rows - 1];

	*w = (struct worst_class){ 0 };
	for (unsigned u = 0; u < lv->nr_uses; u++) {
		w->all_before += row->born[u];
		w->all_since += last->born[u] - row->born[u];
		if (!is_class(lv, u) || levels_free_nbytes(row, u) <= w->holes || row->taken[u] * 2 > row->uses[u])
			continue;
		w->use = u;
		w->holes = levels_free_nbytes(row, u);
		w->born_before = row->born[u];
		w->born_since = last->born[u] - row->born[u];
	}
	return w->holes;
}

/*
 * Spans of a size class are only used for it: when what was read at a start is of other sizes than what comes later, the places
 * that it leaves stay empty until their whole span is. Case: a database of metrics whose heap grew for a day after each restart.
 */
static void rule_classes_left(struct rules *r)
{
	const struct levels *lv = &r->a->levels;
	const struct levels_row *worst = NULL;
	char holes[HUMAN_MAX], all[HUMAN_MAX];
	struct worst_class w;
	struct finding *f;
	unsigned nr = 0;

	for (size_t i = 0; i < lv->nr_rows; i++)
		if (!worst || all_holes(lv, &lv->rows[i]) > all_holes(lv, worst))
			worst = &lv->rows[i];
	if (!worst || all_holes(lv, worst) < FLOOR_NBYTES || !find_worst(lv, worst, &w))
		return;
	for (unsigned u = 0; u < lv->nr_uses; u++)
		nr += is_class(lv, u) && levels_free_nbytes(worst, u) * 2 > worst->uses[u] && levels_free_nbytes(worst, u) > w.holes / 4;
	/* A class that goes on to be filled has holes that are in use. */
	if (w.holes * nr * 2 < all_holes(lv, worst) || findings_percent(w.born_since, w.all_since) * 2 > findings_percent(w.born_before, w.all_before))
		return;
	f = findings_add(r, "classes-left", all_holes(lv, worst),
			 "Give data that is read at the start the sizes and the order of what comes later, so that its places are used again.");
	if (!f)
		return;
	snprintf(f->title, sizeof(f->title), "spans of size class %s are %.0f %% full and hold %s of free places, as %u other classes do: new objects are of other sizes",
		 lv->uses[w.use], findings_percent(worst->taken[w.use], worst->uses[w.use]), human_nbytes(holes, w.holes), nr ? nr - 1 : 0);
	snprintf(f->evidence, sizeof(f->evidence),
		 "At %.2f s the spans of all classes held %s of free places. Before, %.2g %% of all bytes were allocated in this class, and %.2g %% since.",
		 (double)worst->ns / 1e9, human_nbytes(all, all_holes(lv, worst)), findings_percent(w.born_before, w.all_before),
		 findings_percent(w.born_since, w.all_since));
	findings_name_stacks(r, f, born_of);
}

void findings_levels(struct rules *r)
{
	struct full full = { 0 };

	if (!strcmp(r->a->levels.runtime, "go"))
		rule_classes_left(r);

	if (!strcmp(r->a->levels.runtime, "ghc") && find_full(&r->a->levels, &full)) {
		rule_pinned_blocks(r, &full);
		rule_heap_at_peak(r, &full);
		rule_recopied(r, &full);
	}
	free(full.rows);
}
