/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * folded.c - one line a stack, outermost function first, parted by semicolons, then a space and the weight: what flame graph
 * tools read. Lines are sorted, and stacks that read the same are one line.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/stack_profile.h"

struct line {
	char *text;
	uint64_t weight;
};

static size_t sample_nbytes(const struct stack_profile *p, const struct stack_profile_sample *s)
{
	size_t nbytes = 1;

	for (uint32_t i = 0; i < s->nr_places; i++)
		for (uint32_t k = 0; k < p->places[s->places[i]].nr_names; k++)
			nbytes += strlen(p->places[s->places[i]].names[k].function) + 1;
	return nbytes;
}

/* A semicolon in a name would be two functions. */
static char *put_name(char *at, const char *name)
{
	for (; *name; name++)
		*at++ = *name == ';' ? ':' : *name;
	return at;
}

static char *sample_text(const struct stack_profile *p, const struct stack_profile_sample *s)
{
	char *text = malloc(sample_nbytes(p, s)), *at = text;

	if (!text)
		return NULL;
	for (uint32_t i = s->nr_places; i; i--) {
		const struct stack_profile_place *place = &p->places[s->places[i - 1]];

		for (uint32_t k = place->nr_names; k; k--) {
			if (at != text)
				*at++ = ';';
			at = put_name(at, place->names[k - 1].function);
		}
	}
	*at = 0;
	return text;
}

static int compare(const void *pa, const void *pb)
{
	const struct line *a = pa, *b = pb;

	return strcmp(a->text, b->text);
}

static void print_lines(const struct line *lines, size_t nr, FILE *out)
{
	for (size_t i = 0; i < nr;) {
		uint64_t weight = 0;
		size_t first = i;

		for (; i < nr && strcmp(lines[i].text, lines[first].text) == 0; i++)
			weight += lines[i].weight;
		fprintf(out, "%s %" PRIu64 "\n", lines[first].text, weight);
	}
}

static int write_folded(const struct stack_profile *p, enum metric metric, FILE *out)
{
	struct line *lines = calloc(p->nr_samples ? p->nr_samples : 1, sizeof(*lines));
	size_t nr = 0;
	int err = lines ? 0 : -ENOMEM;

	for (size_t i = 0; i < p->nr_samples && !err; i++) {
		if (!p->samples[i].values[metric])
			continue;
		lines[nr].weight = p->samples[i].values[metric];
		lines[nr].text = sample_text(p, &p->samples[i]);
		if (!lines[nr++].text)
			err = -ENOMEM;
	}
	if (!err && nr) {
		qsort(lines, nr, sizeof(*lines), compare);
		print_lines(lines, nr, out);
	}
	for (size_t i = 0; i < nr; i++)
		free(lines[i].text);
	free(lines);
	return err;
}

const struct export_format export_folded = { .name = "folded", .write = write_folded };
