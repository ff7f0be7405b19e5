/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * speedscope.c - the JSON of speedscope's file format: a table of frames, and for each stack the frames' numbers, outermost
 * first, and its weight.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/stack_profile.h"

#define SCHEMA "https://www.speedscope.app/file-format-schema.json"

/* The texts are UTF-8 without control characters. */
static void print_text(FILE *out, const char *text)
{
	putc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putc('\\', out);
		putc(*text, out);
	}
	putc('"', out);
}

/* One frame for each name of each place; first[i] becomes the number of place i's innermost. */
static void print_frames(const struct stack_profile *p, uint64_t *first, FILE *out)
{
	uint64_t nr = 0;

	fprintf(out, "\"shared\":{\"frames\":[");
	for (size_t i = 0; i < p->nr_places; i++) {
		first[i] = nr;
		for (uint32_t k = 0; k < p->places[i].nr_names; k++, nr++) {
			const struct tape_name *name = &p->places[i].names[k];

			fprintf(out, "%s{\"name\":", nr ? ",\n" : "\n");
			print_text(out, name->function);
			if (*name->file) {
				fprintf(out, ",\"file\":");
				print_text(out, name->file);
			}
			if (name->line)
				fprintf(out, ",\"line\":%" PRIu32, name->line);
			putc('}', out);
		}
	}
	fprintf(out, "\n]},\n");
}

static void print_sample(const struct stack_profile *p, const struct stack_profile_sample *s, const uint64_t *first, FILE *out)
{
	const char *comma = "";

	putc('[', out);
	for (uint32_t i = s->nr_places; i; i--) {
		uint32_t at = s->places[i - 1];

		for (uint32_t k = p->places[at].nr_names; k; k--) {
			fprintf(out, "%s%" PRIu64, comma, first[at] + k - 1);
			comma = ",";
		}
	}
	putc(']', out);
}

static void print_profile(const struct stack_profile *p, enum metric metric, const uint64_t *first, FILE *out)
{
	const char *comma = "";

	fprintf(out, "\"profiles\":[{\"type\":\"sampled\",\"name\":\"%s\",\"unit\":\"%s\",\"startValue\":0,\"endValue\":%" PRIu64
		     ",\n\"samples\":[", metric_name(metric), metric_is_bytes(metric) ? "bytes" : "none", p->sums[metric]);
	for (size_t i = 0; i < p->nr_samples; i++) {
		if (!p->samples[i].values[metric])
			continue;
		fprintf(out, "%s\n", comma);
		print_sample(p, &p->samples[i], first, out);
		comma = ",";
	}
	fprintf(out, "],\n\"weights\":[");
	comma = "";
	for (size_t i = 0; i < p->nr_samples; i++) {
		if (!p->samples[i].values[metric])
			continue;
		fprintf(out, "%s%" PRIu64, comma, p->samples[i].values[metric]);
		comma = ",";
	}
	fprintf(out, "]}],\n");
}

static int write_speedscope(const struct stack_profile *p, enum metric metric, FILE *out)
{
	const char *slash = strrchr(p->program, '/');
	uint64_t *first = calloc(p->nr_places ? p->nr_places : 1, sizeof(*first));

	if (!first)
		return -ENOMEM;
	fprintf(out, "{\"$schema\":\"" SCHEMA "\",\n");
	print_frames(p, first, out);
	print_profile(p, metric, first, out);
	fprintf(out, "\"name\":");
	print_text(out, slash && slash[1] ? slash + 1 : *p->program ? p->program : "heaptape");
	fprintf(out, ",\"activeProfileIndex\":0,\"exporter\":\"heaptape %s\"}\n", HEAPTAPE_VERSION);
	free(first);
	return 0;
}

const struct export_format export_speedscope = { .name = "speedscope", .write = write_speedscope };
