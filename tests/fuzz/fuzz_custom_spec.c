/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_custom_spec.c - libFuzzer target: any text as a profile file, and each of its lines as one function of each kind. A refusal
 * names a place that is in the text.
 *
 *   fuzz_custom_spec -max_total_time=60 CORPUS_DIR tests/fuzz/seeds
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/custom_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes);

static void check_error(const struct custom_error *e, size_t nbytes)
{
	if (!e->column || e->column > nbytes + 1 || !*e->what)
		abort();
}

static void check_function(const char *text)
{
	struct custom_function f;
	struct custom_error e;

	for (int kind = 0; kind < CUSTOM_KIND_NR; kind++)
		if (custom_function_parse(text, (enum custom_kind)kind, &f, &e))
			check_error(&e, strlen(text));
		else if (!*f.name || !f.scale || f.size[0].nr > CUSTOM_ARGS_MAX || f.out.nr > CUSTOM_ARGS_MAX)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
	static struct custom_specs specs;
	struct custom_error e;
	char *text;

	if (nbytes > CUSTOM_FILE_MAX)
		return 0;
	text = malloc(nbytes + 1); /* of its own, so that a byte too far is seen */
	if (!text)
		return 0;
	memcpy(text, data, nbytes);
	text[nbytes] = 0;
	specs.nr = 0;
	if (custom_profile_parse(text, &specs, &e))
		check_error(&e, nbytes);
	for (char *line = text, *rest; line; line = rest) {
		rest = strchr(line, '\n');
		if (rest)
			*rest++ = 0;
		check_function(line);
	}
	free(text);
	return 0;
}
