/* SPDX-License-Identifier: BSD-2-Clause */
/* settings.c - see settings.h. */
#include "tune/settings.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUES_MAX 256 /* of one variable */

const struct settings *settings_find(const char *alloc)
{
	const struct settings *const all[] = { &settings_glibc, &settings_jemalloc, &settings_mimalloc, &settings_tcmalloc };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!strcmp(alloc, all[i]->alloc))
			return all[i];
	return NULL;
}

/* A list that was made here, not the tables' own. */
struct own_values {
	char *list[VALUES_MAX + 1];
	size_t nr;
};

static int add_value(struct own_values *v, char *value)
{
	if (!value)
		return -ENOMEM;
	if (v->nr == VALUES_MAX) {
		free(value);
		return -E2BIG;
	}
	v->list[v->nr++] = value;
	return 0;
}

/* "1..8", or the text itself. */
static int add_values(struct own_values *v, const char *text)
{
	char *end, *value;
	long from = strtol(text, &end, 10), to;
	int err = 0;

	if (end == text || strncmp(end, "..", 2))
		return add_value(v, strdup(text));
	to = strtol(end + 2, &end, 10);
	if (*end || to < from)
		return -EINVAL;
	for (; from <= to && !err; from++)
		err = asprintf(&value, "%ld", from) < 0 ? -ENOMEM : add_value(v, value);
	return err;
}

static void free_values(struct own_values *v)
{
	for (size_t i = 0; v && i < v->nr; i++)
		free(v->list[i]);
	free(v);
}

/* -EINVAL, -E2BIG, -ENOMEM; 0. *nr counts the settings. */
static int read_line(struct settings *s, size_t *nr, char *line)
{
	struct setting *list;
	struct own_values *v;
	char *word, *variable;
	int err = 0;

	line[strcspn(line, "#\n")] = '\0';
	variable = strtok_r(line, " \t", &line);
	if (!variable)
		return 0;
	list = reallocarray((void *)(uintptr_t)s->list, *nr + 2, sizeof(*list));
	v = calloc(1, sizeof(*v));
	if (list)
		s->list = list;
	if (!list || !v) {
		free(v);
		return -ENOMEM;
	}
	list[*nr] = (struct setting){ .variable = strdup(variable), .values = (const char *const *)v->list, .what = "", .since = "" };
	list[++*nr] = (struct setting){ 0 };
	while (!err && (word = strtok_r(NULL, " \t", &line)))
		err = add_values(v, word);
	return err ? err : v->nr ? 0 : -EINVAL;
}

struct settings *settings_read(const char *path, char *why, size_t why_nbytes)
{
	FILE *f = fopen(path, "re");
	struct settings *s = calloc(1, sizeof(*s));
	char line[4096];
	size_t nr = 0, nr_lines = 0;
	int err = f && s ? 0 : f ? -ENOMEM : -errno;

	while (!err && fgets(line, sizeof(line), f)) {
		nr_lines++;
		err = read_line(s, &nr, line);
	}
	if (f)
		fclose(f);
	if (!err && nr) {
		s->assign = '=';
		s->separator = ',';
		return s;
	}
	if (err == -EINVAL || err == -E2BIG)
		snprintf(why, why_nbytes, "%s: line %zu: %s", path, nr_lines, err == -E2BIG ? "more than 256 values" :
			 "a variable and the values to try: SOME_SETTING 1 2 8..12");
	else
		snprintf(why, why_nbytes, "%s: %s", path, err ? strerror(-err) : "no setting in it");
	settings_free(s);
	return NULL;
}

void settings_free(struct settings *s)
{
	for (size_t i = 0; s && s->list && s->list[i].variable; i++) {
		free((void *)(uintptr_t)s->list[i].variable);
		free_values((struct own_values *)(uintptr_t)s->list[i].values);
	}
	if (s)
		free((void *)(uintptr_t)s->list);
	free(s);
}
