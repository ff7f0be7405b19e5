/* SPDX-License-Identifier: BSD-2-Clause */
/* process_folder.c - see process_folder.h. */
#include "process_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tape.h"

static void take_text(char *to, size_t nbytes, const struct tape_reader *r, const char *key)
{
	const char *value = tape_reader_meta(r, key);

	snprintf(to, nbytes, "%s", value ? value : "");
}

bool process_tape_is_name(const char *name)
{
	unsigned pid, nr;
	char plain[32];

	if (sscanf(name, "%u-%u", &pid, &nr) == 2)
		snprintf(plain, sizeof(plain), "%u-%u" PROCESS_TAPE_SUFFIX, pid, nr);
	else if (sscanf(name, "%u", &pid) == 1)
		snprintf(plain, sizeof(plain), "%u" PROCESS_TAPE_SUFFIX, pid);
	else
		return false;
	return !strcmp(plain, name);
}

static int add_tape(struct process_folder *f, const char *path, const char *name)
{
	struct process_tape *tapes, *t;
	struct tape_reader *r;
	struct stat st;
	char *file;
	int err;

	if (asprintf(&file, "%s/%s", path, name) < 0)
		return -ENOMEM;
	err = stat(file, &st) || !S_ISREG(st.st_mode) || tape_reader_open(file, NULL, &r);
	free(file);
	if (err)
		return 0;
	tapes = reallocarray(f->tapes, f->nr + 1, sizeof(*tapes));
	if (!tapes) {
		tape_reader_close(r);
		return -ENOMEM;
	}
	f->tapes = tapes;
	t = &f->tapes[f->nr++];
	*t = (struct process_tape){ .pid = tape_reader_meta_u64(r, "target.pid", 0),
				    .parent = tape_reader_meta_u64(r, "process.parent", 0),
				    .start_ns = tape_reader_meta_u64(r, "process.start_ns", 0) };
	snprintf(t->file, sizeof(t->file), "%.63s", name); /* longer ones are no such names */
	take_text(t->parent_file, sizeof(t->parent_file), r, "process.parent_file");
	take_text(t->start, sizeof(t->start), r, "process.start");
	tape_reader_close(r);
	return 0;
}

/* Firsts in front; those that say how they began before those that say nothing (killed at once); then by time and name. */
static int by_start(const void *a, const void *b)
{
	const struct process_tape *x = a, *y = b;

	if (!*x->parent_file != !*y->parent_file)
		return *x->parent_file ? 1 : -1;
	if (!*x->start != !*y->start)
		return *x->start ? -1 : 1;
	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	return strcmp(x->file, y->file);
}

static bool has_parent(const struct process_folder *f, size_t i)
{
	for (size_t k = 0; k < f->nr; k++)
		if (k != i && !strcmp(f->tapes[k].file, f->tapes[i].parent_file))
			return true;
	return false;
}

struct sorting {
	struct process_folder *from;
	struct process_tape *sorted;
	size_t nr;
	bool *taken;
};

/* Behind it its children, by time. */
static void put_family(struct sorting *s, size_t i, unsigned depth)
{
	const char *file = s->from->tapes[i].file;

	s->taken[i] = true;
	s->sorted[s->nr] = s->from->tapes[i];
	s->sorted[s->nr++].depth = depth;
	for (size_t k = 0; k < s->from->nr; k++)
		if (!s->taken[k] && !strcmp(s->from->tapes[k].parent_file, file))
			put_family(s, k, depth + 1);
}

int process_folder_sort(struct process_folder *f)
{
	struct sorting s = { .from = f, .sorted = calloc(f->nr + 1, sizeof(*s.sorted)), .taken = calloc(f->nr + 1, sizeof(*s.taken)) };

	if (!s.sorted || !s.taken) {
		free(s.sorted);
		free(s.taken);
		return -ENOMEM;
	}
	qsort(f->tapes, f->nr, sizeof(*f->tapes), by_start);
	for (size_t i = 0; i < f->nr; i++)
		if (!s.taken[i] && !has_parent(f, i))
			put_family(&s, i, 0);
	for (size_t i = 0; i < f->nr; i++)
		if (!s.taken[i]) /* a ring of parents, which nobody writes */
			put_family(&s, i, 0);
	free(s.taken);
	free(f->tapes);
	f->tapes = s.sorted;
	return 0;
}

int process_folder_read(const char *path, struct process_folder *f)
{
	struct stat st;
	struct dirent *e;
	DIR *dir;
	int err = 0;

	*f = (struct process_folder){ 0 };
	if (stat(path, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (!err && (e = readdir(dir)))
		if (process_tape_is_name(e->d_name))
			err = add_tape(f, path, e->d_name);
	closedir(dir);
	if (!err && !f->nr)
		err = -ENOENT;
	if (!err)
		err = process_folder_sort(f);
	if (err)
		process_folder_free(f);
	return err;
}

void process_folder_free(struct process_folder *f)
{
	free(f->tapes);
	*f = (struct process_folder){ 0 };
}
