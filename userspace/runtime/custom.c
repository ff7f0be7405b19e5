/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each function has a probe at its entry and, unless it frees, one at its return. A return is paired with its entry by thread,
 * function and stack pointer, which holds for recursion, tail calls, and calls that never return.
 *
 * One object, one birth: of calls inside each other that give the same address, or one inside of what the other gave (a header in
 * front), the innermost owns the event. Events need not wait for their outer call then, and keep their true order.
 * An object ends when its free begins: from there on another thread may be given its place.
 */
#include "custom.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "formats/heap_table.h"
#include "formats/index_map.h"
#include "sites/code.h"

#define FRAMES_MAX 64 /* calls of a thread under way; the outermost are forgotten beyond */

enum { RESULT_WORD, RESULT_SP, RESULT_OUT }; /* of a return's record */

/* A call under way. */
struct frame {
	const struct custom_function *f;
	uint64_t sp, ts;
	uint64_t old, size, align, group, parent; /* as its arguments say; group: of the object, or the one that ends */
	uint32_t stack;
	bool old_gone;    /* another thread was given the block's place: its end has been told */
	bool inner_failed;
	uint64_t inner_addr, inner_nbytes; /* the last birth inside of it; 0: none */
	uint32_t nr_inner;
};

struct thread {
	uint32_t tid;
	struct frame *frames;
	unsigned nr_frames, room;
	uint64_t freed, freed_sp; /* its last free */
	const struct custom_function *freed_by;
};

/* A grouped object's place in its group. */
struct link {
	uint64_t addr;
	uint32_t group, prev, next; /* INDEX_NONE at the ends */
};

struct group {
	uint64_t addr;
	uint32_t first;                  /* link */
	uint32_t parent, child, sibling; /* groups */
};

struct custom {
	const struct custom_spec *spec;
	uint32_t found;
	struct heap_table live; /* stack: the object's link plus 1, 0 without a group */
	struct link *links;
	uint32_t nr_links, links_room, free_link;
	struct group *groups;
	uint32_t nr_groups, groups_room;
	struct index_map group_of; /* address -> groups */
	struct index_map alias_of; /* address inside of an object that a wrapper gave -> 1; 0: no more */
	struct thread *threads;
	uint32_t nr_threads, threads_room;
	struct index_map thread_of;
};

/* The functions of one file. */
struct part {
	struct custom *c;
	bool free_stacks;
	uint8_t function_of[HT_CAPTURES_MAX];
};

/* ---- life ---- */

struct custom *custom_new(const struct custom_spec *spec)
{
	struct custom *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->spec = spec;
	c->free_link = INDEX_NONE;
	if (heap_table_init(&c->live) || index_map_init(&c->group_of) || index_map_init(&c->alias_of) || index_map_init(&c->thread_of)) {
		custom_free(c);
		return NULL;
	}
	return c;
}

void custom_forget(struct custom *c)
{
	heap_table_clear(&c->live);
	index_map_clear(&c->group_of);
	index_map_clear(&c->alias_of);
	index_map_clear(&c->thread_of);
	for (uint32_t i = 0; i < c->nr_threads; i++)
		free(c->threads[i].frames);
	c->nr_threads = c->nr_groups = c->nr_links = 0;
	c->free_link = INDEX_NONE;
	c->found = 0;
}

void custom_free(struct custom *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; i < c->nr_threads; i++)
		free(c->threads[i].frames);
	heap_table_free(&c->live);
	index_map_free(&c->group_of);
	index_map_free(&c->alias_of);
	index_map_free(&c->thread_of);
	free(c->links);
	free(c->groups);
	free(c->threads);
	free(c);
}

uint32_t custom_found(const struct custom *c)
{
	return c->found;
}

/* Room for one more in a list; NULL: no memory. */
static void *grown(void *list, uint32_t nr, uint32_t *room, size_t nbytes)
{
	uint32_t more = *room ? 2 * *room : 8;
	void *bigger;

	if (nr < *room)
		return list;
	bigger = reallocarray(list, more, nbytes);
	if (bigger)
		*room = more;
	return bigger;
}

/* ---- probes ---- */

static const uint8_t arg_regs[CUSTOM_ARGS_MAX] = { RT_DI, RT_SI, RT_DX, RT_CX, RT_R8, RT_R9 };

static void take_arg(struct ht_capture *c, const struct custom_arg *arg)
{
	if (!arg->nr)
		return;
	if (arg->deref)
		capture_read(c, HT_BASE_REG, arg_regs[arg->nr - 1], 0, 8);
	else
		capture_reg(c, arg_regs[arg->nr - 1]);
}

/* The words of an entry, in this order: see read_frame. */
static int probe_function(struct runtime *rt, unsigned i, uint64_t vaddr)
{
	struct part *part = rt->state;
	const struct custom_function *f = &part->c->spec->functions[i];
	struct runtime_probe *p = runtime_probe(rt, f->name, vaddr, false);
	unsigned entry = rt->first + rt->nr_probes - 1;

	if (!p)
		return -E2BIG;
	part->function_of[rt->nr_probes - 1] = (uint8_t)i;
	if (part->free_stacks || f->kind == CUSTOM_ALLOC || f->kind == CUSTOM_REALLOC)
		p->capture.stack = HT_CAPTURE_NATIVE;
	capture_reg(&p->capture, RT_SP);
	take_arg(&p->capture, &f->size[0]);
	take_arg(&p->capture, &f->size[1]);
	take_arg(&p->capture, &f->ptr);
	take_arg(&p->capture, &f->old);
	take_arg(&p->capture, &f->align);
	take_arg(&p->capture, &f->group);
	take_arg(&p->capture, &f->parent);
	if (f->out.nr) {
		p->capture.keep = (uint8_t)(p->capture.nr + 1);
		take_arg(&p->capture, &f->out);
	}
	if (f->kind == CUSTOM_FREE)
		return 0;
	p = runtime_probe(rt, f->name, vaddr, true);
	if (!p)
		return -E2BIG;
	part->function_of[rt->nr_probes - 1] = (uint8_t)i;
	capture_reg(&p->capture, RT_AX);
	capture_reg(&p->capture, RT_SP);
	if (f->out.nr)
		p->capture.loads[p->capture.nr++] = (struct ht_load){ .op = HT_LOAD_KEPT, .add = entry };
	return 0;
}

#define LOCK_PREFIX 0xf0

/* The kernel takes no probe on a locked instruction. It leaves the stack and the arguments as they are, so that the next one will
 * do, for the return as well. */
static uint64_t place_of_probe(const struct object *obj, uint64_t vaddr)
{
	struct code_insn insn = { 0 };
	struct code_reader *reader;
	size_t nbytes;
	const uint8_t *bytes = object_code(obj, vaddr, &nbytes);

	if (!bytes || !nbytes || *bytes != LOCK_PREFIX)
		return vaddr;
	reader = code_reader_new();
	if (reader && code_decode(reader, bytes, nbytes, vaddr, &insn))
		vaddr += insn.nbytes;
	code_reader_free(reader);
	return vaddr;
}

struct search {
	struct runtime *rt;
	int err;
};

/* A function may have several names, and a name several functions. */
static bool is_probed(const struct runtime *rt, uint64_t vaddr)
{
	for (unsigned i = 0; i < rt->nr_probes; i++)
		if (rt->probes[i].vaddr == vaddr)
			return true;
	return false;
}

static int look_at(void *arg, const struct object_symbol *sym)
{
	struct search *s = arg;
	const struct part *part = s->rt->state;
	const struct custom_spec *spec = part->c->spec;

	for (unsigned i = 0; i < spec->nr_functions; i++) {
		uint64_t at;

		if (strcmp(spec->functions[i].name, sym->name) != 0)
			continue;
		at = place_of_probe(s->rt->obj, sym->vaddr);
		if (is_probed(s->rt, at))
			continue;
		if (object_has_moving_stacks(s->rt->obj))
			return s->err = -ENOTSUP;
		s->err = probe_function(s->rt, i, at);
		part->c->found |= 1u << i;
		return s->err;
	}
	return 0;
}

static bool is_wanted_file(const struct custom_spec *spec, const char *path)
{
	const char *slash = strrchr(path, '/');

	return !*spec->library || !fnmatch(spec->library, path, 0) || !fnmatch(spec->library, slash ? slash + 1 : path, 0);
}

static const struct runtime_profile runtime_custom;

int custom_open(struct custom *c, const struct object *obj, unsigned first, unsigned nr_max, bool free_stacks,
		const struct runtime_sink *sink, struct runtime **rt_ret)
{
	struct runtime *rt;
	struct part *part;
	struct search s;

	*rt_ret = NULL;
	if (!is_wanted_file(c->spec, object_path(obj)))
		return -ENOENT;
	rt = calloc(1, sizeof(*rt));
	part = calloc(1, sizeof(*part));
	if (!rt || !part) {
		free(rt);
		free(part);
		return -ENOMEM;
	}
	rt->profile = &runtime_custom;
	rt->nr_max = HT_CAPTURES_MAX - HT_CAPTURES_LANGUAGE;
	rt->obj = obj;
	rt->bias = object_bias(obj);
	rt->first = first;
	rt->sink = *sink;
	rt->state = part;
	part->c = c;
	part->free_stacks = free_stacks;
	s = (struct search){ .rt = rt };
	object_each_function(obj, look_at, &s);
	if (!s.err && !rt->nr_probes)
		s.err = -ENOENT;
	if (!s.err && rt->nr_probes > nr_max)
		s.err = -E2BIG;
	if (s.err) {
		runtime_free(rt);
		return s.err;
	}
	*rt_ret = rt;
	return 0;
}

static void custom_close(struct runtime *rt)
{
	free(rt->state);
	rt->state = NULL;
}

/* ---- threads and their calls ---- */

static struct thread *thread_of(struct custom *c, uint32_t tid)
{
	uint32_t i = index_map_find(&c->thread_of, tid);
	void *list;

	if (i != INDEX_NONE)
		return &c->threads[i];
	list = grown(c->threads, c->nr_threads, &c->threads_room, sizeof(*c->threads));
	if (!list)
		return NULL;
	c->threads = list;
	if (index_map_set(&c->thread_of, tid, c->nr_threads))
		return NULL;
	c->threads[c->nr_threads] = (struct thread){ .tid = tid };
	return &c->threads[c->nr_threads++];
}

static uint64_t read_arg(const struct ht_ev_capture *e, const struct custom_arg *arg, unsigned *at)
{
	uint64_t value;

	if (!arg->nr)
		return 0;
	value = e->words[(*at)++];
	return arg->is_32 ? (uint32_t)value : value;
}

/* A product beyond 64 bits is none that can be had. */
static uint64_t read_size(const struct ht_ev_capture *e, const struct custom_function *f, unsigned *at)
{
	uint64_t n = f->scale;

	for (int i = 0; i < 2; i++)
		if (f->size[i].nr && __builtin_mul_overflow(n, read_arg(e, &f->size[i], at), &n))
			n = UINT64_MAX;
	return n;
}

static struct frame read_frame(const struct ht_ev_capture *e, const struct custom_function *f, uint64_t *ptr_ret)
{
	struct frame frame = { .f = f, .sp = e->words[0], .ts = e->h.ts, .stack = e->stack };
	unsigned at = 1;

	frame.size = read_size(e, f, &at);
	*ptr_ret = read_arg(e, &f->ptr, &at);
	frame.old = read_arg(e, &f->old, &at);
	frame.align = read_arg(e, &f->align, &at);
	frame.group = read_arg(e, &f->group, &at);
	frame.parent = read_arg(e, &f->parent, &at);
	return frame;
}

static int push_frame(struct thread *t, const struct frame *frame)
{
	void *list;

	if (t->nr_frames == FRAMES_MAX) {
		memmove(t->frames, t->frames + 1, (FRAMES_MAX - 1) * sizeof(*t->frames));
		t->nr_frames--;
	}
	list = grown(t->frames, t->nr_frames, &t->room, sizeof(*t->frames));
	if (!list)
		return -ENOMEM;
	t->frames = list;
	t->frames[t->nr_frames++] = *frame;
	return 0;
}

/* The call that returns here, taken off with what never returned inside of it. false: its entry was not seen. */
static bool pop_frame(struct thread *t, const struct custom_function *f, uint64_t sp, struct frame *frame_ret)
{
	for (unsigned i = t->nr_frames; i--;)
		if (t->frames[i].f == f && t->frames[i].sp + 8 == sp) {
			*frame_ret = t->frames[i];
			t->nr_frames = i;
			return true;
		}
	return false;
}

/* ---- objects and groups ---- */

static void unlink_object(struct custom *c, const struct heap_object *o)
{
	struct link *l;
	uint32_t i = o->stack;

	if (!i--)
		return;
	l = &c->links[i];
	if (l->prev != INDEX_NONE)
		c->links[l->prev].next = l->next;
	else
		c->groups[l->group].first = l->next;
	if (l->next != INDEX_NONE)
		c->links[l->next].prev = l->prev;
	l->next = c->free_link;
	c->free_link = i;
}

static bool forget_object(struct custom *c, uint64_t addr, struct heap_object *o_ret)
{
	if (!heap_table_remove(&c->live, addr, o_ret))
		return false;
	unlink_object(c, o_ret);
	return true;
}

/* The group at this address, made if it is new; INDEX_NONE: no memory. */
static uint32_t group_at(struct custom *c, uint64_t addr)
{
	uint32_t i = index_map_find(&c->group_of, addr);
	void *list;

	if (i != INDEX_NONE)
		return i;
	list = grown(c->groups, c->nr_groups, &c->groups_room, sizeof(*c->groups));
	if (!list || index_map_set(&c->group_of, addr, c->nr_groups))
		return INDEX_NONE;
	c->groups = list;
	c->groups[c->nr_groups] = (struct group){ addr, INDEX_NONE, INDEX_NONE, INDEX_NONE, INDEX_NONE };
	return c->nr_groups++;
}

static int link_object(struct custom *c, uint64_t addr, uint32_t group, uint32_t *link_ret)
{
	uint32_t i = c->free_link;
	void *list;

	if (i != INDEX_NONE) {
		c->free_link = c->links[i].next;
	} else {
		list = grown(c->links, c->nr_links, &c->links_room, sizeof(*c->links));
		if (!list)
			return -ENOMEM;
		c->links = list;
		i = c->nr_links++;
	}
	c->links[i] = (struct link){ addr, group, INDEX_NONE, c->groups[group].first };
	if (c->links[i].next != INDEX_NONE)
		c->links[c->links[i].next].prev = i;
	c->groups[group].first = i;
	*link_ret = i + 1;
	return 0;
}

static int keep_object(struct custom *c, const struct ht_ev_capture *e, uint64_t addr, uint64_t nbytes, uint64_t group)
{
	struct heap_object o = { .addr = addr, .size = nbytes, .born_ns = e->h.ts, .tid = e->h.tid, .kind = TAPE_MALLOC };
	uint32_t g;

	if (group) {
		g = group_at(c, group);
		if (g == INDEX_NONE || link_object(c, addr, g, &o.stack))
			return -ENOMEM;
	}
	return heap_table_add(&c->live, &o);
}

static void leave_parent(struct custom *c, uint32_t g)
{
	uint32_t *at;

	if (c->groups[g].parent == INDEX_NONE)
		return;
	for (at = &c->groups[c->groups[g].parent].child; *at != g; at = &c->groups[*at].sibling)
		;
	*at = c->groups[g].sibling;
	c->groups[g].parent = c->groups[g].sibling = INDEX_NONE;
}

static void join_parent(struct custom *c, uint32_t g, uint32_t parent)
{
	leave_parent(c, g);
	for (uint32_t up = parent; up != INDEX_NONE; up = c->groups[up].parent)
		if (up == g)
			return; /* what was freed unseen: nothing is inside itself */
	c->groups[g].parent = parent;
	c->groups[g].sibling = c->groups[parent].child;
	c->groups[parent].child = g;
}

/* ---- events ---- */

static int put(struct runtime *rt, const struct ht_ev_head *at, struct tape_event ev)
{
	return rt->sink.put(rt->sink.arg, at, &ev, NULL);
}

static int put_end(struct runtime *rt, const struct ht_ev_capture *e, uint64_t addr, uint8_t flags, uint32_t stack)
{
	int err = put(rt, &e->h, (struct tape_event){ .ns = e->h.ts, .kind = TAPE_FREE, .addr = addr, .flags = flags, .stack = stack });

	return err < 0 ? err : 0;
}

/* All of its objects, and those of the groups inside of it, which end. */
static int end_group(struct runtime *rt, const struct ht_ev_capture *e, uint32_t g)
{
	struct custom *c = ((struct part *)rt->state)->c;
	struct heap_object o;
	int err = 0;

	while (!err && c->groups[g].child != INDEX_NONE) {
		uint32_t child = c->groups[g].child;

		leave_parent(c, child);
		err = end_group(rt, e, child);
	}
	while (!err && c->groups[g].first != INDEX_NONE) {
		uint64_t addr = c->links[c->groups[g].first].addr;

		if (!forget_object(c, addr, &o))
			return -EBADMSG;
		err = put_end(rt, e, addr, TAPE_COLLECTED, e->stack);
	}
	return err;
}

/* A block whose realloc is under way in another thread, and that has been freed by it: nobody but it can say so. */
static int end_given_up(struct runtime *rt, const struct ht_ev_capture *e, uint64_t addr)
{
	struct custom *c = ((struct part *)rt->state)->c;

	for (uint32_t i = 0; i < c->nr_threads; i++)
		for (unsigned k = 0; k < c->threads[i].nr_frames && c->threads[i].tid != e->h.tid; k++) {
			struct frame *f = &c->threads[i].frames[k];
			struct ht_ev_capture at = *e;

			if (f->f->kind != CUSTOM_REALLOC || f->old != addr || f->old_gone)
				continue;
			f->old_gone = true;
			at.h.tid = c->threads[i].tid;
			return put_end(rt, &at, addr, 0, 0);
		}
	return 0;
}

/* What enclosing calls of the thread must know. */
static void tell_enclosing(struct thread *t, uint64_t addr, uint64_t nbytes)
{
	for (unsigned i = 0; i < t->nr_frames; i++) {
		struct frame *f = &t->frames[i];

		f->inner_failed |= !addr;
		f->nr_inner += addr != 0;
		if (addr) {
			f->inner_addr = addr;
			f->inner_nbytes = nbytes;
		}
	}
	if (t->freed == addr)
		t->freed = 0;
}

/* The object is one that a call inside of this one has given. */
static bool is_handed_on(struct custom *c, const struct ht_ev_capture *e, const struct frame *f, uint64_t addr)
{
	struct heap_object o;

	if (heap_table_find(&c->live, addr, &o) && o.tid == e->h.tid && o.born_ns >= f->ts)
		return true;
	return f->inner_addr && addr > f->inner_addr && addr - f->inner_addr < f->inner_nbytes;
}

/* Counted, and no event: the one that this call would have made was made inside of it, or by a call around it. */
static int put_nested(struct runtime *rt, const struct ht_ev_capture *e)
{
	int err = put(rt, &e->h, (struct tape_event){ .kind = TAPE_COUNTER });

	return err < 0 ? err : 0;
}

/* The result is an inner call's, or lies in it: then the wrapper's free will name it. */
static int hand_on(struct runtime *rt, const struct ht_ev_capture *e, uint64_t addr)
{
	struct custom *c = ((struct part *)rt->state)->c;
	struct heap_object o;
	int err = heap_table_find(&c->live, addr, &o) ? 0 : index_map_set(&c->alias_of, addr, 1);

	return err ? err : put_nested(rt, e);
}

static int give(struct runtime *rt, struct thread *t, const struct ht_ev_capture *e, const struct frame *f, uint64_t addr, struct tape_event ev)
{
	struct custom *c = ((struct part *)rt->state)->c;
	struct heap_object o;
	int err = 0;

	ev.ns = f->ts;
	ev.addr = addr;
	ev.size = f->size;
	if (f->align) {
		ev.kind = ev.kind == TAPE_MALLOC ? TAPE_ALIGNED_ALLOC : ev.kind;
		ev.align = f->align;
	}
	ev.stack = f->stack;
	if (addr && heap_table_find(&c->live, addr, &o) && ev.old != addr)
		err = end_given_up(rt, e, addr);
	if (!err)
		err = put(rt, &e->h, ev);
	if (err)
		return err;
	if (!addr) {
		tell_enclosing(t, 0, 0);
		return 0;
	}
	forget_object(c, addr, &o);
	if (index_map_find(&c->alias_of, addr) == 1 && index_map_set(&c->alias_of, addr, 0))
		return -ENOMEM;
	tell_enclosing(t, addr, f->size);
	return keep_object(c, e, addr, f->size, f->group);
}

static int take_alloc_end(struct runtime *rt, struct thread *t, const struct ht_ev_capture *e, const struct frame *f, uint64_t addr)
{
	struct custom *c = ((struct part *)rt->state)->c;
	int err;

	if (addr && is_handed_on(c, e, f, addr))
		return hand_on(rt, e, addr);
	if (!addr && f->inner_failed)
		return put_nested(rt, e);
	err = give(rt, t, e, f, addr, (struct tape_event){ .kind = TAPE_MALLOC });
	return err < 0 ? err : 0;
}

/* Old block, if it is known and still there. */
static bool forget_old(struct custom *c, const struct frame *f, struct heap_object *o)
{
	return f->old && !f->old_gone && heap_table_find(&c->live, f->old, o) && o->born_ns < f->ts && forget_object(c, f->old, o);
}

static int take_realloc_end(struct runtime *rt, struct thread *t, const struct ht_ev_capture *e, struct frame *f, uint64_t addr)
{
	struct custom *c = ((struct part *)rt->state)->c;
	struct tape_event ev = { .kind = f->old && !f->old_gone ? TAPE_REALLOC : TAPE_MALLOC, .old = f->old_gone ? 0 : f->old };
	struct heap_object old;
	bool known;
	int err = 0;

	if (!addr && f->size)
		return f->inner_failed ? put_nested(rt, e) : give(rt, t, e, f, 0, ev);
	if (f->old && heap_table_find(&c->live, f->old, &old) && old.stack && !f->group)
		f->group = c->groups[c->links[old.stack - 1].group].addr;
	if (!addr)
		return forget_old(c, f, &old) ? put_end(rt, e, f->old, 0, f->stack) : 0;
	if (is_handed_on(c, e, f, addr)) {
		err = hand_on(rt, e, addr);
		if (!err && f->old != addr && forget_old(c, f, &old))
			err = put_end(rt, e, f->old, 0, f->stack);
		return err;
	}
	/* An old block that a free inside of it has ended, or that never was one of this allocator's. */
	known = forget_old(c, f, &old);
	if (!known && t->freed == f->old && t->freed) {
		ev.kind = TAPE_MALLOC;
		ev.old = 0;
	}
	err = give(rt, t, e, f, addr, ev);
	if (err == 1 && known)
		return put_end(rt, e, f->old, 0, f->stack);
	return err < 0 ? err : 0;
}

static bool in_group_free(const struct thread *t, uint64_t sp)
{
	for (unsigned i = 0; i < t->nr_frames; i++)
		if (t->frames[i].f->kind >= CUSTOM_CLEAR_GROUP && t->frames[i].sp > sp)
			return true;
	return false;
}

static int take_free(struct runtime *rt, struct thread *t, const struct ht_ev_capture *e, const struct frame *f, uint64_t addr)
{
	struct custom *c = ((struct part *)rt->state)->c;
	struct heap_object o;

	if (!addr)
		return 0;
	if (!forget_object(c, addr, &o)) {
		/* A wrapper's, whose object the free inside of it ends. */
		if (index_map_find(&c->alias_of, addr) == 1)
			return index_map_set(&c->alias_of, addr, 0) ? -ENOMEM : put_nested(rt, e);
		/* The same block by a call inside of the one that was told, or one that has ended with its group. */
		if ((t->freed == addr && (f->sp < t->freed_sp || (f->sp == t->freed_sp && f->f != t->freed_by))) || in_group_free(t, f->sp))
			return put_nested(rt, e);
	}
	t->freed = addr;
	t->freed_sp = f->sp;
	t->freed_by = f->f;
	return put_end(rt, e, addr, 0, f->stack);
}

static int take_group_begin(struct runtime *rt, const struct ht_ev_capture *e, const struct frame *f)
{
	struct custom *c = ((struct part *)rt->state)->c;
	uint32_t g = f->group ? index_map_find(&c->group_of, f->group) : INDEX_NONE;

	if (g == INDEX_NONE)
		return 0;
	if (f->f->kind == CUSTOM_FREE_GROUP)
		leave_parent(c, g);
	return end_group(rt, e, g);
}

static int take_new_group(struct runtime *rt, const struct ht_ev_capture *e, const struct frame *f, uint64_t addr)
{
	struct custom *c = ((struct part *)rt->state)->c;
	uint32_t g, parent;
	int err;

	if (!addr)
		return 0;
	g = group_at(c, addr);
	if (g == INDEX_NONE)
		return -ENOMEM;
	/* What a group of before has left here ended where nobody saw it; what this call has put into it stays. */
	err = f->nr_inner ? 0 : end_group(rt, e, g);
	leave_parent(c, g);
	if (err || !f->parent)
		return err;
	parent = group_at(c, f->parent);
	if (parent == INDEX_NONE)
		return -ENOMEM;
	join_parent(c, g, parent);
	return 0;
}

static int take_entry(struct runtime *rt, struct thread *t, const struct ht_ev_capture *e, const struct custom_function *f)
{
	uint64_t ptr;
	struct frame frame = read_frame(e, f, &ptr);
	int err = 0;

	if (f->kind == CUSTOM_FREE)
		return take_free(rt, t, e, &frame, ptr);
	if (f->kind >= CUSTOM_CLEAR_GROUP)
		err = take_group_begin(rt, e, &frame);
	return err ? err : push_frame(t, &frame);
}

static int take_return(struct runtime *rt, struct thread *t, const struct ht_ev_capture *e, const struct custom_function *f)
{
	uint64_t addr = f->out.nr ? e->words[RESULT_OUT] : e->words[RESULT_WORD];
	struct frame frame;

	if (!pop_frame(t, f, e->words[RESULT_SP], &frame))
		return 0;
	switch (f->kind) {
	case CUSTOM_ALLOC: return take_alloc_end(rt, t, e, &frame, addr);
	case CUSTOM_REALLOC: return take_realloc_end(rt, t, e, &frame, addr);
	case CUSTOM_NEW_GROUP: return take_new_group(rt, e, &frame, addr);
	/* What was put into it while it was being freed (by a destructor) has gone with it. */
	default: return frame.nr_inner ? take_group_begin(rt, e, &frame) : 0;
	}
}

static int custom_take(struct runtime *rt, const struct ht_ev_capture *e)
{
	const struct part *part = rt->state;
	unsigned i = e->h.site - rt->first;
	const struct custom_function *f = &part->c->spec->functions[part->function_of[i]];
	struct thread *t = thread_of(part->c, e->h.tid);
	int err;

	if (!t)
		return -ENOMEM;
	err = rt->probes[i].is_return ? take_return(rt, t, e, f) : take_entry(rt, t, e, f);
	return err < 0 ? err : 0;
}

static const struct runtime_profile runtime_custom = {
	.name = "custom",
	.language = "an allocator of the program's own",
	.take = custom_take,
	.close = custom_close,
};
