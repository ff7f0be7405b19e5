/* SPDX-License-Identifier: BSD-2-Clause */
/* The planner's objects: what calls and page faults of the tape become. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay/plan_build.h"
#include "replay/plan_steer.h"

#define SMALL_NBYTES (32u << 10) /* objects up to this are written whole: programs hardly leave pages of them untouched */

_Static_assert((int)PLAN_MALLOC == TAPE_MALLOC && (int)PLAN_NEW == TAPE_NEW && (int)PLAN_SDALLOCX == TAPE_SDALLOCX,
	       "calls keep their numbers");

static void use_object(struct builder *b, const struct thread *th, uint32_t slot)
{
	struct plan_object *o = &b->heap.objects[slot];
	struct op_ref ref = builder_last_ref(th);
	o->thread = ref.thread;
	o->op = ref.op;
	o->pos = ref.pos;
	o->window = ref.window;
}

static void wait_for_object(struct builder *b, struct thread *th, uint32_t slot)
{
	const struct plan_object *o = &b->heap.objects[slot];
	builder_wait(b, th, &(struct op_ref){ o->thread, o->op, o->pos, o->window });
}

static void count_touched(struct builder *b, uint64_t nbytes)
{
	uint64_t touched = b->small_nbytes + (b->touch ? touch_live_nbytes(b->touch) : 0);
	b->facts->touched_small_nbytes += nbytes;
	if (touched > b->facts->peak_touched_nbytes)
		b->facts->peak_touched_nbytes = touched;
}

static void add_live(struct builder *b, uint64_t nbytes)
{
	b->live_nbytes += nbytes;
	b->window_nbytes += nbytes;
	if (b->live_nbytes > b->facts->peak_nbytes)
		b->facts->peak_nbytes = b->live_nbytes;
}

static bool is_large(const struct builder *b, uint64_t size)
{
	return b->touch && size > SMALL_NBYTES;
}

static uint8_t touch_flags(const struct builder *b, uint64_t size)
{
	switch (b->plan->head.touch) {
	case PLAN_TOUCHING_NONE: return 0;
	case PLAN_TOUCHING_FIRST: return PLAN_TOUCH_FIRST;
	default: break;
	}
	if (is_large(b, size))
		return 0; /* PLAN_TOUCH operations follow */
	return size <= SMALL_NBYTES ? PLAN_TOUCH_WHOLE : PLAN_TOUCH_PAGES;
}

struct touch_target {
	struct builder *b;
	struct thread *th;
	uint32_t slot;
};

static int emit_touches(void *arg, uint64_t offset, uint64_t nr)
{
	const struct touch_target *to = arg;
	while (nr) {
		uint64_t part = nr < PLAN_TOUCH_COUNT_MAX ? nr : PLAN_TOUCH_COUNT_MAX;
		builder_emit(to->b, to->th, &(struct plan_op){ .kind = PLAN_TOUCH, .slot = to->slot,
							       .arg = offset | part << PLAN_TOUCH_SHIFT });
		offset += part * PLAN_PAGE;
		nr -= part;
	}
	return to->b->err;
}

/* Everything that follows the operation that made or resized an object. */
static void object_born(struct builder *b, struct thread *th, uint32_t slot, const struct tape_event *ev, uint64_t kept)
{
	struct plan_object *o = &b->heap.objects[slot];
	o->size = ev->size;
	o->large = is_large(b, ev->size) && touch_can_follow(ev->addr, ev->size);
	add_live(b, ev->size);
	if (b->around)
		around_object(b->around, b->touch, ev->addr);
	if (o->large) {
		struct touch_target to = { b, th, slot };
		int err = touch_birth(b->touch, slot, ev->addr, ev->size, kept, emit_touches, &to);
		b->err = b->err ? b->err : err;
		count_touched(b, 0);
	} else {
		b->small_nbytes += ev->size;
		count_touched(b, kept < ev->size ? ev->size - kept : 0);
	}
	use_object(b, th, slot);
	if (!b->err)
		b->err = plan_heap_insert(&b->heap, ev->addr, slot);
}

static void object_gone(struct builder *b, uint32_t slot, uint64_t addr)
{
	const struct plan_object *o = &b->heap.objects[slot];
	b->live_nbytes -= o->size;
	if (o->large)
		touch_death(b->touch, slot, addr);
	else
		b->small_nbytes -= o->size;
}

static uint8_t log2_of(uint64_t align)
{
	uint8_t log2 = 0;
	while (log2 < 63 && 1ull << log2 < align)
		log2++;
	return log2;
}

/* Frees the object in `slot`, which has left the address map. ev may be NULL: nobody freed it on the tape. */
static void emit_free(struct builder *b, struct thread *th, uint32_t slot, uint64_t addr, const struct tape_event *ev)
{
	struct plan_object *o = &b->heap.objects[slot];
	struct plan_op op = { .kind = ev ? ev->kind : PLAN_FREE, .slot = slot };
	wait_for_object(b, th, slot);
	if (ev && ev->kind == TAPE_DELETE && o->birth == PLAN_NEW && !o->aligned && ev->size == o->size) {
		op.flags = PLAN_SIZED;
		op.arg = ev->size;
		b->plan->head.nr_sized_deletes++;
	}
	builder_emit(b, th, &op);
	b->plan->head.nr_calls[op.kind]++;
	b->facts->nr_deaths++;
	b->facts->nr_live--;
	object_gone(b, slot, addr);
	use_object(b, th, slot);
	plan_slot_give(&b->heap, &th->free_slots, slot);
}

/* An object that is in the way of a birth has ended without a free. */
static void end_unseen(struct builder *b, struct thread *th, uint64_t addr)
{
	uint32_t slot = plan_heap_remove(&b->heap, addr);
	if (slot == PLAN_NO_SLOT || slot == PLAN_SLOT_LEFT_OUT)
		return;
	b->facts->nr_implied_frees++;
	emit_free(b, th, slot, addr, NULL);
}

static void emit_birth(struct builder *b, struct thread *th, const struct tape_event *ev, unsigned kind)
{
	uint32_t slot;
	end_unseen(b, th, ev->addr);
	/* Windows below th->window - 1 are done; in strict order everything before is. */
	uint32_t settled = b->strict ? UINT32_MAX : th->window > 1 ? th->window - 1 : 0;
	int err = plan_slot_take(&b->heap, &th->free_slots, settled, &slot);
	if (err || b->err) {
		b->err = b->err ? b->err : err;
		return;
	}
	struct plan_object *o = &b->heap.objects[slot];
	*o = (struct plan_object){ .birth = (uint8_t)kind, .aligned = ev->align != 0, .next = PLAN_NO_SLOT };
	b->plan->head.nr_new_aligned += kind == PLAN_NEW && ev->align;
	builder_emit(b, th, &(struct plan_op){ .kind = (uint8_t)kind, .flags = touch_flags(b, ev->size),
					       .align_log2 = log2_of(ev->align), .slot = slot, .arg = ev->size });
	b->plan->head.nr_calls[kind]++;
	b->facts->nr_births++;
	b->facts->nr_live++;
	object_born(b, th, slot, ev, 0);
}

/* The object that a realloc names: given up before, or in the map. */
static uint32_t take_old(struct builder *b, struct thread *th, uint64_t addr)
{
	if (th->given_up_slot == PLAN_NO_SLOT || th->given_up_addr != addr)
		return plan_heap_remove(&b->heap, addr);
	uint32_t slot = th->given_up_slot;
	th->given_up_slot = PLAN_NO_SLOT;
	return slot;
}

static void emit_realloc(struct builder *b, struct thread *th, const struct tape_event *ev)
{
	uint32_t slot = take_old(b, th, ev->old);
	if (slot == PLAN_NO_SLOT) {
		b->facts->nr_unknown_reallocs += ev->old != 0;
		emit_birth(b, th, ev, PLAN_MALLOC);
		return;
	}
	end_unseen(b, th, ev->addr);
	if (slot == PLAN_SLOT_LEFT_OUT) {
		b->err = b->err ? b->err : plan_heap_insert(&b->heap, ev->addr, slot);
		b->facts->nr_own_calls++;
		return;
	}
	struct plan_object *o = &b->heap.objects[slot];
	uint64_t old_size = o->size;
	wait_for_object(b, th, slot);
	builder_emit(b, th, &(struct plan_op){ .kind = PLAN_REALLOC, .flags = touch_flags(b, ev->size), .slot = slot,
					       .arg = ev->size });
	b->plan->head.nr_calls[PLAN_REALLOC]++;
	object_gone(b, slot, ev->old);
	o->birth = PLAN_REALLOC;
	object_born(b, th, slot, ev, old_size < ev->size ? old_size : ev->size);
}

static void plan_free_call(struct builder *b, struct thread *th, const struct tape_event *ev)
{
	uint32_t slot = plan_heap_remove(&b->heap, ev->addr);
	if (slot == PLAN_NO_SLOT) {
		b->facts->nr_unknown_frees++;
	} else if (slot == PLAN_SLOT_LEFT_OUT) {
		b->facts->nr_own_calls++;
	} else {
		b->facts->nr_planned++;
		emit_free(b, th, slot, ev->addr, ev);
	}
}

/* ---- give-ups: the old block of a realloc leaves the map before the realloc's own event ---- */

static void give_up(struct builder *b, struct thread *th, uint64_t addr)
{
	uint32_t slot = plan_heap_remove(&b->heap, addr);
	if (slot == PLAN_NO_SLOT)
		return;
	th->given_up_slot = slot;
	th->given_up_addr = addr;
}

/* A call that is not the realloc announced: the object's end was lost. */
static void settle_give_up(struct builder *b, struct thread *th, const struct tape_event *ev)
{
	uint32_t slot = th->given_up_slot;
	if (slot == PLAN_NO_SLOT || (ev->kind == TAPE_REALLOC && ev->old == th->given_up_addr))
		return;
	th->given_up_slot = PLAN_NO_SLOT;
	if (slot == PLAN_SLOT_LEFT_OUT)
		return;
	b->facts->nr_implied_frees++;
	emit_free(b, th, slot, th->given_up_addr, NULL);
}

/* realloc returned NULL: the old object lives on where it was. */
static void take_back(struct builder *b, struct thread *th, const struct tape_event *ev)
{
	if (ev->kind != TAPE_REALLOC || th->given_up_slot == PLAN_NO_SLOT || th->given_up_addr != ev->old)
		return;
	end_unseen(b, th, ev->old);
	if (!b->err)
		b->err = plan_heap_insert(&b->heap, ev->old, th->given_up_slot);
	th->given_up_slot = PLAN_NO_SLOT;
}

/* ---- events ---- */

static bool is_own_call(struct builder *b)
{
	const struct survey *s = &b->survey;
	while (b->next_own_call < s->nr_births && s->own_calls[b->next_own_call] < b->ordinal)
		b->next_own_call++;
	return b->next_own_call < s->nr_births && s->own_calls[b->next_own_call] == b->ordinal;
}

static void leave_out(struct builder *b, struct thread *th, const struct tape_event *ev)
{
	end_unseen(b, th, ev->addr);
	if (!b->err)
		b->err = plan_heap_insert(&b->heap, ev->addr, PLAN_SLOT_LEFT_OUT);
	b->facts->nr_own_calls++;
}

void builder_call(struct builder *b, const struct tape_event *ev)
{
	struct thread *th = builder_thread(b, ev->tid, ev->ns);
	if (!th)
		return;
	builder_prelude(b, th, ev->ns, ev->cpu);
	settle_give_up(b, th, ev);
	if (ev->flags & TAPE_FAILED) {
		b->facts->nr_failed++;
		take_back(b, th, ev);
	} else if (ev->flags & TAPE_SUB) {
		b->facts->nr_sub++;
	} else if (ev->alloc != TAPE_NO_ALLOC && ev->alloc == b->survey.runtime_alloc) {
		b->facts->nr_runtime += tape_kind_is_alloc(ev->kind);
	} else if (!tape_kind_is_alloc(ev->kind)) {
		plan_free_call(b, th, ev);
	} else if (is_own_call(b)) {
		leave_out(b, th, ev);
	} else {
		b->facts->nr_planned++;
		if (ev->kind == TAPE_REALLOC)
			emit_realloc(b, th, ev);
		else
			emit_birth(b, th, ev, ev->kind);
	}
	builder_charge(b, th, ev);
	if (b->strict && b->join == NO_THREAD)
		b->prev = builder_last_ref(th);
	b->last = th;
}

void builder_kept(struct builder *b, const struct tape_event *ev)
{
	struct thread *th = builder_thread(b, ev->tid, ev->ns);
	if (!th)
		return;
	builder_prelude(b, th, ev->ns, NO_CPU);
	if (ev->kind == TAPE_GIVE_UP) {
		give_up(b, th, ev->addr);
	} else {
		b->facts->nr_kept++;
		b->facts->nr_found += (ev->flags & TAPE_UNKNOWN) != 0;
		b->facts->found_nbytes += ev->flags & TAPE_UNKNOWN ? ev->size : 0;
		emit_birth(b, th, ev, ev->kind == TAPE_REALLOC ? PLAN_MALLOC : ev->kind);
	}
	if (b->strict && b->join == NO_THREAD)
		b->prev = builder_last_ref(th);
	b->last = th;
}

/* The next page of a run joins the operation before it, as long as nothing came between. */
static bool extend_touch(struct builder *b, struct thread *th, uint32_t slot, uint64_t page)
{
	const struct plan_object *o = &b->heap.objects[slot];
	if (th->touch_pos == UINT32_MAX || th->touch_pos + 1 != th->stream.pos || th->touch_next != page ||
	    o->thread != th->index || o->pos != th->touch_pos)
		return false;
	struct plan_op *op = plan_out_at(b->out, th->touch_pos);
	if (op->flags & PLAN_PUBLISH || op->arg >> PLAN_TOUCH_SHIFT == PLAN_TOUCH_COUNT_MAX)
		return false;
	op->arg += 1ull << PLAN_TOUCH_SHIFT;
	th->touch_next++;
	return true;
}

void builder_fault(struct builder *b, const struct tape_event *ev)
{
	uint32_t slot;
	uint64_t offset, page = ev->addr / PLAN_PAGE;
	if (b->faults_need_write && !(ev->flags & TAPE_WRITE))
		return;
	around_fault(b->around, b->touch, ev->addr);
	int hit = touch_fault(b->touch, ev->addr, &slot, &offset);
	if (hit <= 0) {
		b->err = hit;
		return;
	}
	struct thread *th = builder_thread(b, ev->tid, ev->ns);
	if (!th)
		return;
	count_touched(b, 0);
	builder_prelude(b, th, ev->ns, ev->cpu);
	if (!extend_touch(b, th, slot, page)) {
		struct touch_target to = { b, th, slot };
		wait_for_object(b, th, slot);
		emit_touches(&to, offset, 1);
		th->touch_pos = th->stream.pos - 1;
		th->touch_next = page + 1;
		use_object(b, th, slot);
	}
	if (b->strict)
		b->prev = builder_last_ref(th);
	b->last = th;
}

void builder_steer(struct builder *b, const struct tape_event *ev)
{
	const char *text = tape_reader_string(b->reader, (uint32_t)ev->arg);
	struct plan_op op;
	b->facts->nr_steers++;
	if (!text || !plan_steer(text, ev->addr, ev->size, &op))
		return;
	struct thread *th = builder_thread(b, ev->tid, ev->ns);
	if (!th)
		return;
	b->facts->nr_steers_planned++;
	builder_prelude(b, th, ev->ns, ev->cpu);
	builder_emit(b, th, &op);
	if (b->strict)
		b->prev = builder_last_ref(th);
	b->last = th;
}

void builder_give_up(struct builder *b, const struct tape_event *ev)
{
	struct thread *th = builder_thread(b, ev->tid, ev->ns);
	if (!th)
		return;
	builder_prelude(b, th, ev->ns, ev->cpu);
	settle_give_up(b, th, ev);
	give_up(b, th, ev->addr);
	if (b->strict)
		b->prev = builder_last_ref(th);
	b->last = th;
}
