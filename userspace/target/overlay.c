/* SPDX-License-Identifier: BSD-2-Clause */
/* Layers of an overlay, by mountinfo. */
#include "overlay.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A line of mountinfo: "ID PARENT DEV ROOT POINT OPTIONS [TAGS] - TYPE SOURCE SUPER-OPTIONS". */
struct mount_line {
	char root[PATH_MAX], point[PATH_MAX];
	const char *type, *options; /* up to the next blank */
};

/* The kernel writes what would end a word as a backslash and three octal digits. */
static bool word_decode(const char *from, size_t nbytes, char *to, size_t to_nbytes)
{
	size_t n = 0;

	for (size_t i = 0; i < nbytes; i++) {
		if (n + 1 >= to_nbytes)
			return false;
		if (from[i] == '\\' && i + 3 < nbytes && strspn(from + i + 1, "01234567") >= 3) {
			to[n++] = (char)((from[i + 1] - '0') << 6 | (from[i + 2] - '0') << 3 | (from[i + 3] - '0'));
			i += 3;
		} else {
			to[n++] = from[i];
		}
	}
	to[n] = '\0';
	return true;
}

static const char *next_word(const char *word)
{
	word += strcspn(word, " \n");
	return *word == ' ' ? word + 1 : NULL;
}

static bool line_parse(const char *line, struct mount_line *m)
{
	const char *word = line, *dash;

	for (int i = 0; i < 3 && word; i++)
		word = next_word(word);
	if (!word || !word_decode(word, strcspn(word, " \n"), m->root, sizeof(m->root)))
		return false;
	word = next_word(word);
	if (!word || !word_decode(word, strcspn(word, " \n"), m->point, sizeof(m->point)))
		return false;
	dash = strstr(word, " - ");
	if (!dash || dash > word + strcspn(word, "\n"))
		return false;
	m->type = dash + 3;
	word = next_word(m->type);
	m->options = word ? next_word(word) : NULL;
	return m->options != NULL;
}

/* What is behind the mount point in a path, without a slash in front; NULL: it is not below. */
static const char *below(const char *path, const char *point)
{
	size_t len = strlen(point);

	if (!strcmp(point, "/"))
		return path[0] == '/' ? path + 1 : NULL;
	return !strncmp(path, point, len) && path[len] == '/' ? path + len + 1 : NULL;
}

/* The n-th part of "a:b:c", where "\:" is a colon of a name. Parts that were passed are taken from *n. */
static bool part_take(const char *list, unsigned *n, char *part, size_t part_nbytes)
{
	size_t used = 0;

	for (;; list++) {
		if (*list == ':' || !*list) {
			part[used] = '\0';
			if (used && !(*n)--)
				return true;
			if (!*list)
				return false;
			used = 0;
			continue;
		}
		if (*list == '\\' && list[1])
			list++;
		if (used + 1 < part_nbytes)
			part[used++] = *list;
	}
}

/* lowerdir=A:B, or since Linux 6.8 one lowerdir+=A a layer; then upperdir. */
static bool layer_find(const char *options, unsigned n, char *layer, size_t layer_nbytes)
{
	static const char *const names[] = { "lowerdir=", "lowerdir+=", "datadir+=", "upperdir=" };
	char list[PATH_MAX];

	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
		const char *option = options;

		while (option && *option && *option != '\n') {
			size_t nbytes = strcspn(option, ",\n"), len = strlen(names[k]);

			if (nbytes > len && !strncmp(option, names[k], len) &&
			    word_decode(option + len, nbytes - len, list, sizeof(list)) && part_take(list, &n, layer, layer_nbytes))
				return true;
			option += nbytes;
			option = *option == ',' ? option + 1 : NULL;
		}
	}
	return false;
}

int overlay_layer(const char *mountinfo, const char *path, unsigned n, char *layer_ret, size_t layer_nbytes)
{
	struct mount_line line, best = { .type = NULL };
	char layer[PATH_MAX];
	const char *rest;
	int len;

	/* The mount that the path is on: the deepest point, and of several at one point the last. */
	for (const char *at = mountinfo; *at; at += strcspn(at, "\n"), at += *at == '\n')
		if (line_parse(at, &line) && below(path, line.point) && (!best.type || strlen(line.point) >= strlen(best.point)))
			best = line;
	if (!best.type || strncmp(best.type, "overlay ", 8) != 0 || !layer_find(best.options, n, layer, sizeof(layer)))
		return -ENOENT;
	rest = below(path, best.point);
	len = snprintf(layer_ret, layer_nbytes, "%s%s/%s", layer, strcmp(best.root, "/") ? best.root : "", rest);
	return (size_t)len < layer_nbytes ? 0 : -ENAMETOOLONG;
}
