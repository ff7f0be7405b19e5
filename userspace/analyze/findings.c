/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One function a rule. Thresholds are shares of what the heap holds, with a floor below which nobody would act.
 * Where a rule comes from a published case, that stands with it; the figures of the cases are in examples/.
 */
#include "analyze/findings_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

struct finding *findings_add(struct rules *r, const char *rule, uint64_t nbytes, const char *advice)
{
	struct finding *f;

	if (r->nr == FINDINGS_MAX)
		return NULL;
	f = &r->list[r->nr++];
	*f = (struct finding){ .rule = rule, .nbytes = nbytes, .advice = advice };
	return f;
}

static bool is_large(const struct rules *r, uint64_t nbytes, unsigned percent)
{
	return nbytes >= FLOOR_NBYTES && nbytes >= r->heap_nbytes / 100 * percent;
}

static const char *thread_text(const struct rules *r, uint32_t index, char *buf, size_t nbytes)
{
	const struct analysis_thread *t = &r->a->threads[index];
	const char *name = r->facts->thread_name ? r->facts->thread_name(r->facts->arg, t) : NULL;

	if (name)
		snprintf(buf, nbytes, "%s", name);
	else
		snprintf(buf, nbytes, "thread %" PRIu32, t->tid);
	return buf;
}

/* The stacks with most of something, into the finding. */
void findings_name_stacks(const struct rules *r, struct finding *f, uint64_t (*value)(const struct analysis_stack *s))
{
	uint64_t best[FINDING_STACKS] = { 0 };

	for (size_t i = 0; i < r->a->nr_stacks; i++) {
		const struct analysis_stack *s = &r->a->stacks[i];
		uint64_t v = value(s);
		unsigned at = f->nr_stacks;

		while (at && best[at - 1] < v)
			at--;
		if (!v || at == FINDING_STACKS || s->stack == TAPE_NO_STACK)
			continue;
		f->nr_stacks += f->nr_stacks < FINDING_STACKS;
		for (unsigned k = f->nr_stacks - 1; k > at; k--) {
			best[k] = best[k - 1];
			f->stacks[k] = f->stacks[k - 1];
		}
		best[at] = v;
		f->stacks[at] = s->stack;
	}
}

static uint64_t born_of(const struct analysis_stack *s) { return s->born_nbytes; }
static uint64_t live_of(const struct analysis_stack *s) { return s->live_nbytes; }
static uint64_t cross_of(const struct analysis_stack *s) { return s->cross_nbytes; }
static uint64_t resized_of(const struct analysis_stack *s) { return s->resized_nbytes; }

/* ---- can the numbers be trusted ---- */

static void rule_losses(struct rules *r)
{
	const struct analysis *a = r->a;
	uint64_t calls = a->births + a->deaths + a->lost;
	struct finding *f;

	if (!a->lost)
		return;
	f = findings_add(r, "losses", UINT64_MAX,
		"Record again with a larger --buffer, or without stacks (--stacks none), where the program is this fast.");
	if (!f)
		return;
	snprintf(f->title, sizeof(f->title), "%.2g %% of the calls were lost in recording: every figure below is that unsure",
		 findings_percent(a->lost, calls));
	snprintf(f->evidence, sizeof(f->evidence),
		 "%" PRIu64 " of %" PRIu64 " calls, between %.3f s and %.3f s. Objects whose birth was lost are missing, those whose end was lost live too long.",
		 a->lost, calls, (double)a->lost_first_ns / 1e9, (double)a->lost_last_ns / 1e9);
}

/* What is told by stack is a sample from there on. */
static void rule_thinned(struct rules *r)
{
	const struct analysis *a = r->a;
	struct finding *f;

	if (a->thinned_ns == UINT64_MAX)
		return;
	f = findings_add(r, "thinned-stacks", UINT64_MAX, "Record again with a higher --max-cost, or for a shorter time, where call stacks matter.");
	if (!f)
		return;
	snprintf(f->title, sizeof(f->title), "from %.1f s on most calls have no stack: what is told by call stack is too small",
		 (double)a->thinned_ns / 1e9);
	snprintf(f->evidence, sizeof(f->evidence),
		 "Recording cost more than --max-cost: at the busiest sites one call in 16 carries its stack, the others stand under [no stack]. Sums, "
		 "sizes, threads and pages are whole.");
}

/* ---- threads ---- */

/*
 * An allocator with heaps of threads gives a block back to the thread that made it. If that thread sleeps, it never takes
 * it; memory doubles. Case: a mimalloc program in which one thread loads all data and another one replaces it.
 */
static void rule_sleeping_owner(struct rules *r)
{
	const struct analysis_pair *worst = NULL;
	char owner[96], freer[96], bytes[HUMAN_MAX], idle[HUMAN_MAX];
	struct finding *f;

	for (size_t i = 0; i < r->a->nr_pairs; i++)
		if (r->a->threads[r->a->pairs[i].owner].tid && (!worst || r->a->pairs[i].silent_nbytes > worst->silent_nbytes))
			worst = &r->a->pairs[i];
	if (!worst || !is_large(r, worst->silent_nbytes, 20))
		return;
	f = findings_add(r, "sleeping-owner", worst->silent_nbytes,
		"Free on the thread that allocates, let the owner make a call now and then, or let the data be built by a thread that ends. "
		"heaptape replay shows which allocator suffers from it; on glibc try MALLOC_ARENA_MAX=1.");
	if (!f)
		return;
	thread_text(r, worst->owner, owner, sizeof(owner));
	thread_text(r, worst->freer, freer, sizeof(freer));
	snprintf(f->title, sizeof(f->title), "%s owned by %s were freed by %s while the owner was silent",
		 human_nbytes(bytes, worst->silent_nbytes), owner, freer);
	snprintf(f->evidence, sizeof(f->evidence),
		 "%" PRIu64 " of %" PRIu64 " objects that %s freed for %s came back when the owner had made no call for over 0.1 s, or had ended; "
		 "the longest silence was %s.",
		 worst->silent, worst->nr, freer, owner, human_ns(idle, worst->idle_max_ns));
	findings_name_stacks(r, f, cross_of);
}

/* glibc makes up to 8 arenas a CPU; each keeps its own free memory, which the others cannot use. */
static void rule_arenas(struct rules *r)
{
	const struct analysis *a = r->a;
	uint64_t busy = 0, unused = a->split.holes + a->split.retained;
	struct finding *f;
	char bytes[HUMAN_MAX];

	for (size_t i = 0; i < a->nr_threads; i++)
		busy += a->threads[i].births > 1000 || findings_percent(a->threads[i].born_nbytes, a->born_nbytes) > 1;
	if (strcmp(r->facts->allocator, "glibc") != 0 || busy < 4 || !is_large(r, unused, 40))
		return;
	f = findings_add(r, "arenas", unused, "heaptape replay --alloc glibc --alloc glibc,MALLOC_ARENA_MAX=1 shows what fewer arenas would save, and cost.");
	if (!f)
		return;
	snprintf(f->title, sizeof(f->title), "%s (%.0f %%) of the heap hold nothing, and %" PRIu64 " threads allocate: each glibc arena keeps its own",
		 human_nbytes(bytes, unused), findings_percent(unused, a->split.resident), busy);
	snprintf(f->evidence, sizeof(f->evidence), "Free memory of one arena is never used by a thread that allocates from another one.");
}

/* An arena or heap whose thread has gone, or makes no more calls, holds what it has. */
static void rule_idle_thread(struct rules *r)
{
	const struct analysis *a = r->a;
	const struct analysis_thread *worst = NULL;
	uint64_t span = a->at_ns - a->from_ns;
	char name[96], bytes[HUMAN_MAX], idle[HUMAN_MAX];
	struct finding *f;

	for (size_t i = 0; i < a->nr_threads; i++) {
		const struct analysis_thread *t = &a->threads[i];
		bool idle_long = t->last_call_ns < a->at_ns && a->at_ns - t->last_call_ns > span / 2;

		if (t->tid && a->nr_threads > 1 && idle_long && (!worst || t->live_nbytes > worst->live_nbytes))
			worst = t;
	}
	if (!worst || !is_large(r, worst->live_nbytes, 25))
		return;
	f = findings_add(r, "idle-thread", worst->live_nbytes,
		"Nobody returns what this thread's heap keeps beside its objects. If the data is needed: build it on a thread that goes on working.");
	if (!f)
		return;
	thread_text(r, (uint32_t)(worst - a->threads), name, sizeof(name));
	snprintf(f->title, sizeof(f->title), "%s live in the heap of %s, which made its last call %s before",
		 human_nbytes(bytes, worst->live_nbytes), name, human_ns(idle, a->at_ns - worst->last_call_ns));
	snprintf(f->evidence, sizeof(f->evidence), "It made %" PRIu64 " objects%s.", worst->births,
		 worst->ended_ns <= a->at_ns ? " and has ended" : "");
}

/* ---- pages ---- */

/* A page stays in memory for one object. Case: a Haskell program that kept every tenth of its small strings. */
static void rule_pinned(struct rules *r)
{
	uint64_t pinned = 0, live = 0;
	char pages[HUMAN_MAX], bytes[HUMAN_MAX];
	struct finding *f;
	unsigned nr = 0;

	for (size_t i = 0; i < r->a->nr_stacks; i++) {
		const struct analysis_stack *s = &r->a->stacks[i];

		if (s->pinned_nbytes > 4 * s->pinned_live_nbytes) {
			pinned += s->pinned_nbytes;
			live += s->pinned_live_nbytes;
			nr++;
		}
	}
	if (!is_large(r, pinned - live, 15))
		return;
	f = findings_add(r, "pinned-pages", pinned - live,
		"Let what lives long not be allocated between what lives briefly: allocate it first, copy it together when the rest is gone, or give "
		"it an arena of its own.");
	if (!f)
		return;
	snprintf(f->title, sizeof(f->title), "%s of pages are in memory for %s of objects", human_nbytes(pages, pinned), human_nbytes(bytes, live));
	snprintf(f->evidence, sizeof(f->evidence),
		 "On these pages nothing lives but the objects of one of %u call stacks, and they fill less than a quarter.", nr);
	for (size_t i = 0; i < r->a->nr_stacks && f->nr_stacks < FINDING_STACKS; i++)
		if (r->a->stacks[i].pinned_nbytes > 4 * r->a->stacks[i].pinned_live_nbytes && r->a->stacks[i].pinned_nbytes > pinned / 10)
			f->stacks[f->nr_stacks++] = r->a->stacks[i].stack;
}

/* Resident memory does not fall with what lives. */
static void rule_peak(struct rules *r)
{
	const struct analysis *a = r->a;
	const struct pages_split *s = &a->split;
	uint64_t peak_resident = 0, unused = s->holes + s->retained;
	char now[HUMAN_MAX], then[HUMAN_MAX], live[HUMAN_MAX], peak[HUMAN_MAX];
	struct finding *f;

	for (size_t i = 0; i < a->nr_points && a->points[i].ns <= a->at_ns; i++)
		if (a->points[i].split.resident > peak_resident)
			peak_resident = a->points[i].split.resident;
	if (a->live_nbytes * 2 > a->peak_live_nbytes || a->peak_ns > a->at_ns || s->resident * 10 < peak_resident * 7 || !is_large(r, unused, 40))
		return;
	f = findings_add(r, "left-by-peak", unused,
		"If the peak does not come back: malloc_trim(0) on glibc, a purge on jemalloc. Else lower the peak: the stacks below made it. "
		"heaptape replay compares what other allocators would have kept.");
	if (!f)
		return;
	snprintf(f->title, sizeof(f->title), "%s are resident for %s of live objects: a peak of %s at %.1f s has left them",
		 human_nbytes(now, s->resident), human_nbytes(live, a->live_nbytes), human_nbytes(peak, a->peak_live_nbytes),
		 (double)a->peak_ns / 1e9);
	snprintf(f->evidence, sizeof(f->evidence), "%s were resident at most; since the peak %.0f %% of the live bytes have gone, and %.0f %% of the resident ones.",
		 human_nbytes(then, peak_resident), 100 - findings_percent(a->live_nbytes, a->peak_live_nbytes),
		 100 - findings_percent(s->resident, peak_resident));
	findings_name_stacks(r, f, born_of);
}

static void rule_metadata(struct rules *r)
{
	const struct pages_split *s = &r->a->split;
	char bytes[HUMAN_MAX];
	struct finding *f;

	if (!is_large(r, s->metadata, 20))
		return;
	f = findings_add(r, "metadata", s->metadata, "heaptape replay shows what other allocators need for the same objects.");
	if (!f)
		return;
	snprintf(f->title, sizeof(f->title), "%s (%.0f %%) of the heap have never held an object", human_nbytes(bytes, s->metadata),
		 findings_percent(s->metadata, s->resident));
	snprintf(f->evidence, sizeof(f->evidence), "The allocator has touched these pages itself: its tables, or memory that it prepared and nobody asked for.");
}

/*
 * Sizes that were wanted once are not wanted now, and what they left is of no use to those that are. Case: a Go service in
 * which restored chunks had other sizes than those that grew.
 */
static void rule_size_classes(struct rules *r)
{
	const struct analysis *a = r->a;
	const struct analysis_size *worst = NULL;
	uint64_t gone = 0, worst_gone = 0;
	char bytes[HUMAN_MAX], peak[HUMAN_MAX], live[HUMAN_MAX];
	struct finding *f;

	for (size_t i = 0; i < a->nr_sizes; i++) {
		const struct analysis_size *s = &a->sizes[i];
		uint64_t left = s->peak_live_nbytes - (s->live_nbytes < s->peak_live_nbytes ? s->live_nbytes : s->peak_live_nbytes);

		if (s->peak_ns > a->at_ns || s->live_nbytes > s->peak_live_nbytes / 2)
			continue;
		gone += left;
		if (left > worst_gone) {
			worst_gone = left;
			worst = s;
		}
	}
	/* Where all sizes fell together it is a peak that has gone, which has a rule of its own. */
	if (!worst || a->live_nbytes * 2 < a->peak_live_nbytes || !is_large(r, a->split.holes, 25) || !is_large(r, gone, 20))
		return;
	f = findings_add(r, "size-classes", a->split.holes,
		"Let what replaces them have the same sizes (round up to a few), or free all of a group before the next one comes.");
	if (!f)
		return;
	snprintf(f->title, sizeof(f->title), "%s are holes, and the sizes that filled them are wanted no more: %" PRIu64 " to %" PRIu64 " bytes above all",
		 human_nbytes(bytes, a->split.holes), worst->from, worst->to);
	snprintf(f->evidence, sizeof(f->evidence), "Objects of that size took %s at %.1f s, and take %s now; the heap as a whole has %.0f %% of its peak.",
		 human_nbytes(peak, worst->peak_live_nbytes), (double)worst->peak_ns / 1e9, human_nbytes(live, worst->live_nbytes),
		 findings_percent(a->live_nbytes, a->peak_live_nbytes));
}

/* ---- calls ---- */

/* Case: a server whose clients' buffers were replaced at every tick. */
static void rule_large_churn(struct rules *r)
{
	const struct analysis *a = r->a;
	char bytes[HUMAN_MAX], peak[HUMAN_MAX];
	struct finding *f;

	if (a->recycled_nbytes < 20 * a->peak_live_nbytes || a->recycled_nbytes < (256u << 20) || a->recycled_nr < 100)
		return;
	f = findings_add(r, "large-churn", a->recycled_nbytes / 20, "Keep large buffers and use them again; on glibc a larger MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ "
			"spare the mapping and the page faults.");
	if (!f)
		return;
	snprintf(f->title, sizeof(f->title), "%s passed through blocks of 128 KiB and more, %.0f times what ever lived at once",
		 human_nbytes(bytes, a->recycled_nbytes), (double)a->recycled_nbytes / (double)(a->peak_live_nbytes ? a->peak_live_nbytes : 1));
	snprintf(f->evidence, sizeof(f->evidence), "%" PRIu64 " such blocks; at most %s lived. Many allocators map and unmap each of them.", a->recycled_nr,
		 human_nbytes(peak, a->peak_live_nbytes));
	findings_name_stacks(r, f, born_of);
}

static void rule_realloc(struct rules *r)
{
	const struct analysis *a = r->a;
	uint64_t resizes = 0, resized = 0;
	char bytes[HUMAN_MAX];
	struct finding *f;

	for (size_t i = 0; i < a->nr_stacks; i++) {
		resizes += a->stacks[i].resizes;
		resized += a->stacks[i].resized_nbytes;
	}
	/* Doubling resizes to about twice what is held in the end: far more than that is growth in small steps. */
	if (resized * 2 < a->born_nbytes || resized < 10 * a->peak_live_nbytes || resized < (64u << 20))
		return;
	f = findings_add(r, "realloc-growth", resized / 10, "Grow by a factor, not by a constant, or reserve what is known beforehand.");
	if (!f)
		return;
	snprintf(f->title, sizeof(f->title), "%.0f %% of all allocated bytes are resizes: %s in %" PRIu64 " reallocs", findings_percent(resized, a->born_nbytes),
		 human_nbytes(bytes, resized), resizes);
	snprintf(f->evidence, sizeof(f->evidence), "That is %.0f times what ever lived at once; doubling would be about 2.",
		 (double)resized / (double)(a->peak_live_nbytes ? a->peak_live_nbytes : 1));
	findings_name_stacks(r, f, resized_of);
}

/* Most of what a program allocates may be gone at once; beyond that calls are what it does. */
static void rule_temporary(struct rules *r)
{
	const struct analysis *a = r->a;
	const struct analysis_stack *worst = NULL;
	uint64_t soon = 0;
	struct finding *f;
	char count[HUMAN_MAX];

	for (size_t i = 0; i < a->nr_stacks; i++) {
		soon += a->stacks[i].soon;
		if (!worst || a->stacks[i].soon > worst->soon)
			worst = &a->stacks[i];
	}
	if (a->births < 100000 || findings_percent(soon, a->births) < 50 || findings_percent(worst->soon, a->births) < 20)
		return;
	f = findings_add(r, "temporary", 0, "Reuse the object, put it on the stack, or allocate from an arena that is emptied at once.");
	if (!f)
		return;
	snprintf(f->title, sizeof(f->title), "%.0f %% of all allocations are freed within a millisecond, %.0f %% by one call stack",
		 findings_percent(soon, a->births), findings_percent(worst->soon, a->births));
	snprintf(f->evidence, sizeof(f->evidence), "%s objects; of those of that stack %.0f %% were freed by the thread that made them.",
		 human_count(count, soon), findings_percent(worst->soon_same, worst->soon));
	f->stacks[f->nr_stacks++] = worst->stack;
}

static uint64_t leaking_of(const struct analysis_stack *s)
{
	bool grows = s->half_live_nbytes > s->start_live_nbytes && s->live_nbytes > s->half_live_nbytes;
	uint64_t first = s->half_live_nbytes - s->start_live_nbytes, second = s->live_nbytes - s->half_live_nbytes;

	/* Growth in both halves, and next to nothing of it freed; what is filled once grows in the first half only. */
	return grows && second * 3 >= first && first * 3 >= second && s->deaths * 10 <= s->births ? s->old_nbytes : 0;
}

static void rule_leak(struct rules *r)
{
	const struct analysis *a = r->a;
	uint64_t leaked = 0, grown = 0, span = a->at_ns - a->from_ns;
	char bytes[HUMAN_MAX], rate[HUMAN_MAX];
	struct finding *f;

	for (size_t i = 0; i < a->nr_stacks; i++) {
		const struct analysis_stack *s = &a->stacks[i];
		uint64_t old = leaking_of(s);

		leaked += old;
		grown += old ? s->live_nbytes - s->start_live_nbytes : 0;
	}
	if (!is_large(r, leaked, 10) || a->deaths < 100)
		return;
	f = findings_add(r, "leak", leaked, "Look whether these stacks' objects are still reachable; a cache without a bound looks the same.");
	if (!f)
		return;
	snprintf(f->title, sizeof(f->title), "%s look leaked: allocated all along, never freed", human_nbytes(bytes, leaked));
	snprintf(f->evidence, sizeof(f->evidence), "Their stacks grew in both halves of %.1f s, by %s a second, and freed less than a tenth; the youngest tenth of the "
						    "time is left out.",
		 (double)span / 1e9, human_nbytes(rate, span ? (uint64_t)((double)grown * 1e9 / (double)span) : 0));
	findings_name_stacks(r, f, leaking_of);
}

static uint64_t regional_of(const struct analysis_stack *s)
{
	return s->deaths >= 1000 && s->grouped * 10 >= s->deaths * 9 ? s->grouped - s->groups : 0;
}

/*
 * What is born at one place and dies together needs no free of its own. Case: a Haskell program whose long-lived data, moved
 * into a compact region, was neither copied nor freed piece by piece any more.
 */
static void rule_regions(struct rules *r)
{
	const struct analysis *a = r->a;
	uint64_t saved = 0, objects = 0, groups = 0, nbytes = 0, added = 0;
	char count[HUMAN_MAX], mean[HUMAN_MAX], more[HUMAN_MAX];
	struct finding *f;

	for (size_t i = 0; i < a->nr_stacks; i++) {
		const struct analysis_stack *s = &a->stacks[i];

		if (!regional_of(s))
			continue;
		saved += regional_of(s);
		objects += s->grouped;
		groups += s->groups;
		nbytes += s->grouped_nbytes;
		added += s->grouped_added_nbytes;
	}
	if (a->births < 100000 || findings_percent(saved, a->births + a->deaths) < 10)
		return;
	f = findings_add(r, "regions", 0, "Allocate each group from an arena (a pool, a monotonic buffer, a compact region) and drop it whole; "
				 "heaptape report --by region lists the stacks.");
	if (!f)
		return;
	snprintf(f->title, sizeof(f->title), "%s objects die in groups of their own kind, %.0f at a time: an arena would save %.0f %% of all calls",
		 human_count(count, objects), (double)objects / (double)(groups ? groups : 1), findings_percent(saved, a->births + a->deaths));
	snprintf(f->evidence, sizeof(f->evidence),
		 "%" PRIu64 " groups, each freed by one thread without an allocation between; a group holds %s, to which headers and rounding add %s.",
		 groups, human_nbytes(mean, groups ? nbytes / groups : 0), human_nbytes(more, groups ? added / groups : 0));
	findings_name_stacks(r, f, regional_of);
}

/* ---- all ---- */

static int by_stake(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;

	return (x->nbytes < y->nbytes) - (x->nbytes > y->nbytes);
}

size_t findings_make(const struct analysis *a, const struct finding_facts *facts, struct finding list[FINDINGS_MAX])
{
	struct rules r = { .a = a, .facts = facts, .list = list };

	r.heap_nbytes = a->has_pages && a->split.resident > a->live_nbytes ? a->split.resident : a->live_nbytes;
	rule_losses(&r);
	rule_thinned(&r);
	rule_sleeping_owner(&r);
	rule_idle_thread(&r);
	rule_large_churn(&r);
	rule_realloc(&r);
	rule_temporary(&r);
	rule_leak(&r);
	rule_regions(&r);
	findings_levels(&r);
	if (a->has_pages) {
		rule_arenas(&r);
		rule_pinned(&r);
		rule_peak(&r);
		rule_metadata(&r);
		rule_size_classes(&r);
	}
	for (size_t i = 0; i < r.nr; i++)
		if (!list[i].nr_stacks && list[i].nbytes != UINT64_MAX)
			findings_name_stacks(&r, &list[i], live_of);
	qsort(list, r.nr, sizeof(*list), by_stake);
	return r.nr;
}
