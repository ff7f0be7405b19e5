/* SPDX-License-Identifier: BSD-2-Clause */
/* Which code is mapped where, and what unwinds it. */
#include "tables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unwind/rows_cache.h"

#define OBJECTS_MAX 0xffff /* a frame has 16 bits for the number */
#define CHANGE_SPINS_MAX 1000000
#define VDSO_NBYTES_MAX (64u << 10)

/* A file, as it was when it was first seen. Its descriptor stays open, so that its inode is not given to another. */
struct text_object {
	uint64_t dev, inode; /* as maps shows them; 0, 0: the vDSO */
	struct stat st;      /* a file written over in place is another object */
	struct object *obj;  /* NULL: cannot be opened */
	char *module;
	struct rows *rows;   /* NULL: none; kept for loading again after a reset */
	uint32_t first_page;
	bool loaded;         /* in the store */
	bool listed;         /* in the list that is being made */
	bool gone;           /* not mapped any more: only its name is kept */
};

struct tables {
	struct unwind_kernel uk;
	enum ht_stacks_mode mode;
	struct store *store;
	struct text_object *objects[OBJECTS_MAX + 1]; /* index: number, from 1 */
	unsigned nr_objects;
	struct tables_totals totals;
};

struct tables *tables_new(const struct unwind_kernel *uk, enum ht_stacks_mode mode)
{
	struct tables *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->uk = *uk;
	t->mode = mode;
	t->store = store_new(uk);
	if (t->store)
		return t;
	free(t);
	return NULL;
}

void tables_free(struct tables *t)
{
	if (!t)
		return;
	for (unsigned i = 1; i <= t->nr_objects; i++) {
		object_close(t->objects[i]->obj);
		rows_free(t->objects[i]->rows);
		free(t->objects[i]->module);
		free(t->objects[i]);
	}
	store_free(t->store);
	free(t);
}

int tables_branch(struct tables *t, const struct unwind_kernel *uk)
{
	struct store *store = store_new(uk);

	if (!store)
		return -ENOMEM;
	store_free(t->store);
	t->store = store;
	t->uk = *uk;
	for (unsigned i = 1; i <= t->nr_objects; i++)
		t->objects[i]->loaded = false;
	t->totals.updates = 0;
	return 0;
}

void tables_each_fd(const struct tables *t, void (*fn)(void *arg, int fd), void *arg)
{
	for (unsigned i = 1; i <= t->nr_objects; i++)
		if (t->objects[i]->obj)
			fn(arg, object_fd(t->objects[i]->obj));
}

const char *tables_module(const struct tables *t, unsigned object)
{
	if (!object)
		return "- //anon";
	return object <= t->nr_objects ? t->objects[object]->module : NULL;
}

void tables_totals(const struct tables *t, struct tables_totals *totals_ret)
{
	*totals_ret = t->totals;
	totals_ret->objects = t->nr_objects;
	totals_ret->rows = store_nr_rows(t->store);
	totals_ret->nbytes = store_nbytes(t->store);
}

/* ---- objects ---- */

static bool is_vdso(const struct map_region *r)
{
	return !strcmp(r->path, "[vdso]");
}

/* The vDSO has no file: its image is copied out of the target into one that lives in memory. */
static int vdso_open(const struct process *p, const struct map_region *r, struct object **obj_ret)
{
	size_t nbytes = r->end - r->start;
	char path[64], *image;
	int fd, err;

	*obj_ret = NULL;
	if (nbytes > VDSO_NBYTES_MAX)
		return -EFBIG;
	image = malloc(nbytes);
	fd = memfd_create("heaptape-vdso", MFD_CLOEXEC);
	err = image && fd >= 0 ? process_read(p, r->start, image, nbytes) : -ENOMEM;
	if (!err && write(fd, image, nbytes) != (ssize_t)nbytes)
		err = -EIO;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!err)
		err = object_open_path(path, obj_ret);
	if (fd >= 0)
		close(fd);
	free(image);
	return err;
}

static bool is_same_object(const struct text_object *o, const struct map_region *r)
{
	struct stat st;

	if (o->gone || o->dev != r->dev || o->inode != r->inode)
		return false;
	if (!r->inode || !o->obj)
		return true;
	return !fstat(object_fd(o->obj), &st) && st.st_size == o->st.st_size &&
	       st.st_mtim.tv_sec == o->st.st_mtim.tv_sec && st.st_mtim.tv_nsec == o->st.st_mtim.tv_nsec;
}

static int object_name(struct text_object *o, const struct map_region *r)
{
	const char *build_id = o->obj ? object_build_id(o->obj) : "";

	return asprintf(&o->module, "%s %s", *build_id ? build_id : "-", r->path) < 0 ? -ENOMEM : 0;
}

static int object_new(struct tables *t, const struct process *p, const struct map_region *r, unsigned *nr_ret)
{
	struct text_object *o;
	int err;

	*nr_ret = 0;
	if (t->nr_objects == OBJECTS_MAX)
		return 0;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->dev = r->dev;
	o->inode = r->inode;
	err = is_vdso(r) ? vdso_open(p, r, &o->obj) : object_open(p, r, &o->obj);
	if (!err && fstat(object_fd(o->obj), &o->st))
		err = -errno;
	if (!err && t->mode == HT_STACKS_EH)
		err = rows_get(o->obj, &o->rows);
	t->totals.unread += err != 0;
	err = object_name(o, r);
	if (err) {
		object_close(o->obj);
		rows_free(o->rows);
		free(o);
		return err;
	}
	t->objects[++t->nr_objects] = o;
	*nr_ret = t->nr_objects;
	return 0;
}

static int object_of_region(struct tables *t, const struct process *p, const struct map_region *r, unsigned *nr_ret)
{
	for (unsigned i = t->nr_objects; i >= 1; i--)
		if (is_same_object(t->objects[i], r)) {
			*nr_ret = i;
			return 0;
		}
	return object_new(t, p, r, nr_ret);
}

/* ---- the list ---- */

/* Where a file offset inside an executable segment lies in the object's own addresses. */
static bool object_vaddr(const struct object *obj, uint64_t offset, uint64_t *vaddr_ret)
{
	uint64_t vaddr, nbytes, seg_offset;

	for (unsigned i = 0; object_segment_at(obj, i, &vaddr, &nbytes, &seg_offset); i++) {
		/* A mapping begins at a page's start, which may lie before the segment's. */
		if (offset < (seg_offset & ~4095ull) || offset >= seg_offset + nbytes)
			continue;
		*vaddr_ret = vaddr - seg_offset + offset;
		return true;
	}
	return false;
}

/* The rows of this object may now be used by the kernel. */
static int object_load(struct tables *t, struct text_object *o)
{
	int err;

	if (o->loaded || !o->rows)
		return 0;
	err = store_add(t->store, o->rows, &o->first_page);
	o->loaded = !err;
	return err;
}

static int text_of_file(struct tables *t, const struct process *p, const struct map_region *r, struct ht_text *text)
{
	uint64_t vaddr, bounds_start, bounds_end;
	struct text_object *o;
	unsigned nr;
	int err = object_of_region(t, p, r, &nr);

	if (err)
		return err;
	text->kind = HT_TEXT_ROWS;
	if (!nr) /* numbers are used up: code without rows */
		return 0;
	o = t->objects[nr];
	o->listed = true;
	text->object = (uint16_t)nr;
	if (t->mode == HT_STACKS_FP) {
		text->kind = HT_TEXT_FP;
		return 0;
	}
	/* Go's linker writes no .eh_frame; all its code keeps frame pointers. */
	if (!o->rows && o->obj && object_has_moving_stacks(o->obj)) {
		text->kind = HT_TEXT_FP;
		return 0;
	}
	err = object_load(t, o);
	if (err || !o->loaded || !object_vaddr(o->obj, r->offset, &vaddr))
		return err;
	object_text(o->obj, &bounds_start, &bounds_end);
	/* A mapping may begin before the first page of rows: that much less of it is listed. */
	if (vaddr < o->rows->base) {
		uint64_t less = o->rows->base - vaddr;

		if (less >= r->end - r->start)
			return 0;
		text->start += less;
		text->offset += less;
		vaddr += less;
	}
	text->vaddr = vaddr - o->rows->base;
	text->first_page = o->first_page;
	text->nr_pages = o->rows->nr_pages;
	return 0;
}

/* What the kernel must know of an executable region. */
static int text_of_region(struct tables *t, const struct process *p, const struct map_region *r, struct ht_text *text)
{
	*text = (struct ht_text){ .start = r->start, .end = r->end, .offset = r->offset, .kind = HT_TEXT_FP };
	if (r->inode || is_vdso(r))
		return text_of_file(t, p, r, text);
	if (!strcmp(r->path, "[uprobes]"))
		text->kind = HT_TEXT_TRAMPOLINE;
	return 0;
}

/* Code without a file lies in many pieces (JIT): neighbours are one. */
static bool joins(const struct ht_text *a, const struct ht_text *b)
{
	return a->end == b->start && a->kind == HT_TEXT_FP && b->kind == HT_TEXT_FP && !a->object && !b->object;
}

static int list_fill(struct tables *t, const struct process *p, const struct maps *maps, struct ht_texts *list)
{
	uint32_t nr = 0;

	for (size_t i = 0; i < maps->nr_regions; i++) {
		const struct map_region *r = &maps->regions[i];
		struct ht_text text;
		int err;

		if (!r->executable || r->start >> 63) /* the vsyscall page lies where no user code does */
			continue;
		err = text_of_region(t, p, r, &text);
		if (err)
			return err;
		if (nr && joins(&list->texts[nr - 1], &text)) {
			list->texts[nr - 1].end = text.end;
			continue;
		}
		if (nr == HT_TEXTS_MAX)
			break; /* what lies above is code that is not known */
		list->texts[nr++] = text;
	}
	if (!nr)
		list->texts[0] = (struct ht_text){ 0 }; /* a search ends there in any case */
	list->nr = nr;
	return 0;
}

/* The store is full: all that is not mapped any more goes. Nobody may walk meanwhile. */
static void tables_reset(struct tables *t)
{
	__atomic_fetch_add(t->uk.text_gen, 1, __ATOMIC_SEQ_CST);
	usleep(1000); /* a walk that began before ends within microseconds, and finds its stack stale */
	store_reset(t->store);
	for (unsigned i = 1; i <= t->nr_objects; i++)
		t->objects[i]->loaded = false;
}

static struct ht_texts *list_in_force(const struct tables *t)
{
	return &t->uk.texts[*t->uk.texts_version & 1];
}

static bool lists_differ(const struct ht_texts *a, const struct ht_texts *b)
{
	return a->nr != b->nr || memcmp(a->texts, b->texts, a->nr * sizeof(a->texts[0])) != 0;
}

/* What is not mapped any more keeps its number and its name; its file and rows are let go. */
static void forget_unlisted(struct tables *t)
{
	for (unsigned i = 1; i <= t->nr_objects; i++) {
		struct text_object *o = t->objects[i];

		if (o->listed || o->gone)
			continue;
		object_close(o->obj);
		rows_free(o->rows);
		o->obj = NULL;
		o->rows = NULL;
		o->gone = true;
	}
}

static int list_make(struct tables *t, const struct process *p, struct ht_texts *list)
{
	struct maps maps;
	int err;

	for (unsigned i = 1; i <= t->nr_objects; i++)
		t->objects[i]->listed = false;
	list->confirmed = 0;
	list->gen = __atomic_load_n(t->uk.text_gen, __ATOMIC_SEQ_CST);
	list->seq = __atomic_load_n(t->uk.map_seq, __ATOMIC_SEQ_CST);
	err = maps_read(p->proc_fd, &maps);
	if (!err)
		err = list_fill(t, p, &maps, list);
	maps_free(&maps);
	if (!err)
		forget_unlisted(t);
	return err;
}

/* What the kernel told between two numbers becomes void in the list, as it would have in force. False: more was told
 * than is kept. */
static bool apply_changes(const struct tables *t, struct ht_texts *list, uint64_t from, uint64_t to)
{
	if (to - from >= HT_TEXT_CHANGES)
		return false;
	for (uint64_t seq = from + 1; seq <= to; seq++) {
		const struct ht_text_change *c = &t->uk.text_changes[seq % HT_TEXT_CHANGES];

		/* The number was taken, but its place may not be written yet. */
		for (int spin = 0; __atomic_load_n(&c->seq, __ATOMIC_SEQ_CST) != seq; spin++)
			if (spin == CHANGE_SPINS_MAX)
				return false;
		for (uint32_t i = 0; i < list->nr; i++)
			if (list->texts[i].start < c->end && list->texts[i].end > c->start)
				list->texts[i].end = list->texts[i].start;
	}
	return true;
}

/* The list, which is in force now, holds for all that has changed since it was made. */
static void list_confirm(const struct tables *t, struct ht_texts *list)
{
	uint64_t seq = list->seq, gen, now;

	for (;;) {
		gen = __atomic_load_n(t->uk.text_gen, __ATOMIC_SEQ_CST);
		now = __atomic_load_n(t->uk.map_seq, __ATOMIC_SEQ_CST);
		if (!apply_changes(t, list, seq, now))
			return; /* it stays as it is, and is made anew */
		__atomic_store_n(&list->gen, gen, __ATOMIC_SEQ_CST);
		if (now == seq && gen == __atomic_load_n(t->uk.text_gen, __ATOMIC_SEQ_CST))
			break;
		seq = now;
	}
	__atomic_store_n(&list->confirmed, 1, __ATOMIC_SEQ_CST);
}

int tables_update(struct tables *t, const struct process *p, bool *changed_ret)
{
	struct ht_texts *old = list_in_force(t), *list = &t->uk.texts[(*t->uk.texts_version + 1) & 1];
	int err;

	*changed_ret = false;
	__atomic_store_n(t->uk.texts_wanted, 0, __ATOMIC_SEQ_CST);
	err = list_make(t, p, list);
	if (err == -ENOSPC) {
		tables_reset(t);
		err = list_make(t, p, list);
	}
	if (err)
		return err;
	*changed_ret = lists_differ(old, list);
	__atomic_fetch_add(t->uk.texts_version, 1, __ATOMIC_SEQ_CST);
	list_confirm(t, list);
	t->totals.updates++;
	return 0;
}

bool tables_are_stale(const struct tables *t)
{
	const struct ht_texts *list = list_in_force(t);

	return !t->totals.updates || list->gen != __atomic_load_n(t->uk.text_gen, __ATOMIC_SEQ_CST) ||
	       list->seq != __atomic_load_n(t->uk.map_seq, __ATOMIC_SEQ_CST);
}

bool tables_lack_code(const struct tables *t)
{
	return __atomic_load_n(t->uk.texts_wanted, __ATOMIC_SEQ_CST);
}
