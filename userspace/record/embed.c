/* SPDX-License-Identifier: BSD-2-Clause */
/* embed.c - see embed.h. */
#include "embed.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "formats/index_map.h"
#include "message.h"
#include "symbols/symbols.h"

static const char code_without_file[] = "//anon";

struct embed {
	bool all;
	int root_fd;
	pid_t inner_pid; /* the target's number for itself: its list is named by that */
	uid_t uid;
	/* While names are written: */
	struct tape_writer *writer;
	struct symbols *symbols;
	struct index_map modules; /* string number -> index in places */
	struct index_map *places; /* of each module, those that were looked at */
	uint32_t nr_modules;
	uint64_t nr_named, nr_seen;
};

static void read_status(struct embed *e, const struct process *p)
{
	int fd = openat(p->proc_fd, "status", O_RDONLY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	char line[512];

	e->inner_pid = p->pid;
	e->uid = 0;
	while (f && fgets(line, sizeof(line), f)) {
		const char *last = strrchr(line, '\t');

		if (strncmp(line, "NSpid:", 6) == 0 && last)
			e->inner_pid = (pid_t)strtol(last, NULL, 10);
		if (strncmp(line, "Uid:", 4) == 0)
			e->uid = (uid_t)strtoul(line + 4, NULL, 10);
	}
	if (f)
		fclose(f);
	else if (fd >= 0)
		close(fd);
}

struct embed *embed_new(const struct process *p, bool all)
{
	struct embed *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->all = all;
	e->root_fd = openat(p->proc_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	read_status(e, p);
	return e;
}

void embed_free(struct embed *e)
{
	if (!e)
		return;
	if (e->root_fd >= 0)
		close(e->root_fd);
	free(e);
}

/* The list lies in a folder where everybody may write: no links are followed, and perf_map_read looks at its owner. */
static struct perf_map *open_perf_map(const struct embed *e)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS };
	char path[64];

	if (e->root_fd < 0)
		return NULL;
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", e->inner_pid);
	return perf_map_read((int)syscall(SYS_openat2, e->root_fd, path, &how, sizeof(how)), e->uid);
}

/* Whether a place is looked at for the first time. 1, 0 or -ENOMEM. */
static int is_new(struct embed *e, uint32_t module, uint64_t place)
{
	uint32_t at = index_map_find(&e->modules, module);

	if (at == INDEX_NONE) {
		struct index_map *places = reallocarray(e->places, e->nr_modules + 1, sizeof(*places));

		if (!places)
			return -ENOMEM;
		e->places = places;
		at = e->nr_modules;
		if (index_map_init(&places[at]))
			return -ENOMEM;
		e->nr_modules++;
		if (index_map_set(&e->modules, module, at))
			return -ENOMEM;
	}
	if (index_map_find(&e->places[at], place) != INDEX_NONE)
		return 0;
	return index_map_set(&e->places[at], place, 0) ? -ENOMEM : 1;
}

static int name_place(void *arg, uint32_t module, const char *module_name, uint64_t place)
{
	const char *path = strchr(module_name, ' ');
	const struct tape_name *names;
	struct embed *e = arg;
	char count[HUMAN_MAX];
	unsigned nr;
	int fresh;

	if (!e->all && (!path || strcmp(path + 1, code_without_file) != 0))
		return 0;
	fresh = is_new(e, module, place);
	if (fresh <= 0)
		return fresh;
	if (++e->nr_seen % 256 == 0)
		message_progress("naming code: %s places", human_count(count, e->nr_seen));
	nr = symbols_find(e->symbols, module_name, place, &names);
	e->nr_named += nr > 0;
	return nr ? tape_writer_names(e->writer, module, place, names, nr) : 0;
}

static void tell(void *arg, const char *line)
{
	(void)arg;
	message_warn("%s", line);
}

struct symbols *embed_symbols(const struct embed *e)
{
	struct find find = { .root_fd = e->root_fd, .tell = tell };

	return symbols_new(&find, open_perf_map(e));
}

int embed_write(struct embed *e, struct tape_writer *w, uint64_t *nr_ret)
{
	int err = -ENOMEM;

	e->writer = w;
	e->symbols = embed_symbols(e);
	if (e->symbols && !index_map_init(&e->modules))
		err = tape_writer_each_frame(w, name_place, e);
	message_progress(NULL);
	for (uint32_t i = 0; i < e->nr_modules; i++)
		index_map_free(&e->places[i]);
	free(e->places);
	index_map_free(&e->modules);
	symbols_free(e->symbols);
	*nr_ret = e->nr_named;
	return err;
}
