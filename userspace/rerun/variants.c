/* SPDX-License-Identifier: BSD-2-Clause */
/* variants.c - see variants.h. */
#include "rerun/variants.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_NBYTES (1u << 16)

/* The next word of *text, unquoted in its place; NULL at the line's end. *bad: a quote that is not closed. */
static char *next_word(char **text, bool *bad)
{
	char *in = *text + strspn(*text, " \t\r"), *word = in, *out = in, quote = 0;

	if (!*in || *in == '#')
		return NULL;
	for (; *in && (quote || !strchr(" \t\r", *in)); in++) {
		if (*in == quote)
			quote = 0;
		else if (!quote && (*in == '\'' || *in == '"'))
			quote = *in;
		else if (*in == '\\' && quote != '\'' && in[1])
			*out++ = *++in;
		else
			*out++ = *in;
	}
	*bad |= quote != 0;
	*text = in + (*in != '\0');
	*out = '\0';
	return word;
}

static int add_word(char ***list, size_t *nr, const char *word)
{
	char **more = reallocarray(*list, *nr + 2, sizeof(*more));

	if (!more)
		return -ENOMEM;
	*list = more;
	more[*nr] = strdup(word);
	if (!more[*nr])
		return -ENOMEM;
	more[++*nr] = NULL;
	return 0;
}

/* Length of the variable's name with which a word begins, 0 if there is none. */
static size_t variable_length(const char *word)
{
	size_t n = 0;

	while (isalnum((unsigned char)word[n]) || word[n] == '_')
		n++;
	return isdigit((unsigned char)word[0]) ? 0 : n;
}

/* So that it is loaded as its users load it; glibc is what is there when nothing is preloaded. */
static int take_alloc(struct variant *v, const char *text, char *why, size_t why_nbytes)
{
	char setting[4200];
	int err;

	if (v->has_alloc) {
		snprintf(why, why_nbytes, "one allocator a variant");
		return -EINVAL;
	}
	err = tested_parse(text, &v->alloc, why, why_nbytes);
	if (err)
		return err;
	v->has_alloc = true;
	if (v->alloc.preload && (size_t)snprintf(setting, sizeof(setting), "LD_PRELOAD=%s", v->alloc.path) >= sizeof(setting)) {
		snprintf(why, why_nbytes, "%s: the path is too long", text);
		return -ENAMETOOLONG;
	}
	err = add_word(&v->env, &v->nr_env, v->alloc.preload ? setting : "LD_PRELOAD");
	for (size_t i = 0; i < v->alloc.nr_settings && !err; i++)
		err = add_word(&v->env, &v->nr_env, v->alloc.settings[i]);
	return err;
}

static int take_setting(struct variant *v, const char *word, char *why, size_t why_nbytes)
{
	size_t n = variable_length(word);

	if (!strncmp(word, "alloc:", 6))
		return take_alloc(v, word + 6, why, why_nbytes);
	if (!strncmp(word, "unset:", 6) && (n = variable_length(word + 6)) && !word[6 + n])
		return add_word(&v->env, &v->nr_env, word + 6);
	if (n && word[n] == '=')
		return add_word(&v->env, &v->nr_env, word);
	snprintf(why, why_nbytes, "'%.60s' is none of KEY=VALUE, unset:KEY, alloc:NAME-OR-PATH; arguments for the program stand behind --", word);
	return -EINVAL;
}

static int take_name(struct variants *all, struct variant *v, const char *line, char **rest_ret, char *why, size_t why_nbytes)
{
	size_t n = 0;

	while (isalnum((unsigned char)line[n]) || (line[n] && strchr("._+-", line[n])))
		n++;
	if (!n || n > VARIANT_NAME_MAX || line[n] != ':' || line[0] == '.' || line[0] == '-') {
		snprintf(why, why_nbytes, "a line begins with the variant's name and a colon, as in 'one-arena: MALLOC_ARENA_MAX=1'; "
			 "names are of at most %d letters, digits and . _ + -", VARIANT_NAME_MAX);
		return -EINVAL;
	}
	memcpy(v->name, line, n);
	for (size_t i = 0; i + 1 < all->nr; i++) {
		if (strcmp(all->list[i].name, v->name) != 0)
			continue;
		snprintf(why, why_nbytes, "there is a variant '%s' already", v->name);
		return -EEXIST;
	}
	*rest_ret = (char *)(uintptr_t)line + n + 1;
	return 0;
}

static int take_words(struct variant *v, char *rest, char *why, size_t why_nbytes)
{
	bool bad = false, args = false;
	char *word;
	int err = 0;

	while (!err && (word = next_word(&rest, &bad))) {
		if (args)
			err = add_word(&v->args, &v->nr_args, word);
		else if (!strcmp(word, "--"))
			args = true;
		else
			err = take_setting(v, word, why, why_nbytes);
	}
	if (err || !bad)
		return err;
	snprintf(why, why_nbytes, "a quote is not closed");
	return -EINVAL;
}

static int take_line(struct variants *all, char *line, char *why, size_t why_nbytes)
{
	struct variant *more;
	char *rest;
	int err;

	line += strspn(line, " \t\r");
	if (!*line || *line == '#')
		return 0;
	if (all->nr == VARIANTS_MAX) {
		snprintf(why, why_nbytes, "more than %d variants", VARIANTS_MAX);
		return -E2BIG;
	}
	more = reallocarray(all->list, all->nr + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	all->list = more;
	more[all->nr] = (struct variant){ 0 };
	err = take_name(all, &more[all->nr++], line, &rest, why, why_nbytes);
	return err ? err : take_words(&all->list[all->nr - 1], rest, why, why_nbytes);
}

int variants_read(const char *path, struct variants *v, char *why, size_t why_nbytes)
{
	FILE *f = fopen(path, "re");
	char *line = NULL, reason[600] = "";
	size_t nr_lines = 0, size = 0;
	ssize_t n;
	int err = f ? 0 : -errno;

	*v = (struct variants){ 0 };
	while (!err && (errno = 0, n = getline(&line, &size, f)) >= 0) {
		nr_lines++;
		line[strcspn(line, "\n")] = '\0';
		if (strlen(line) + 1 < (size_t)n || n > LINE_MAX_NBYTES) {
			snprintf(reason, sizeof(reason), "this is no text");
			err = -EINVAL;
		} else {
			err = take_line(v, line, reason, sizeof(reason));
		}
	}
	if (!err && errno)
		err = -errno;
	if (!err && !v->nr) {
		snprintf(why, why_nbytes, "%s: no variant in it; one a line, as in 'one-arena: MALLOC_ARENA_MAX=1'", path);
		err = -ENODATA;
	} else if (err && *reason) {
		snprintf(why, why_nbytes, "%s: line %zu: %s", path, nr_lines, reason);
	} else if (err) {
		snprintf(why, why_nbytes, "%s: %s", path, strerror(-err));
	}
	free(line);
	if (f)
		fclose(f);
	return err;
}

static void free_words(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

void variants_free(struct variants *v)
{
	for (size_t i = 0; i < v->nr; i++) {
		free_words(v->list[i].env);
		free_words(v->list[i].args);
		if (v->list[i].has_alloc)
			tested_free(&v->list[i].alloc);
	}
	free(v->list);
	*v = (struct variants){ 0 };
}

char **variant_argv(const struct variant *v, char *const *argv)
{
	size_t nr = 0, place = 0, out = 0;
	char **all;

	while (argv[nr])
		nr++;
	while (place < nr && strcmp(argv[place], "{}") != 0)
		place++;
	all = calloc(nr + v->nr_args + 1, sizeof(*all));
	if (!all)
		return NULL;
	for (size_t i = 0; i <= nr; i++) {
		for (size_t k = 0; i == place && k < v->nr_args; k++)
			all[out++] = v->args[k];
		if (i < nr && i != place)
			all[out++] = argv[i];
	}
	return all;
}
