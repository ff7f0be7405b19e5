/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/stack_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_NBYTES 60 /* of one function */

static bool is_allocators(const struct tape_reader *r, uint32_t module)
{
	const char *name = tape_reader_string(r, module), *space = name ? strchr(name, ' ') : NULL;

	for (uint32_t i = 0; space && i < tape_reader_nr_allocators(r); i++)
		if (!strcmp(tape_reader_allocator(r, i)->path, space + 1))
			return true;
	return false;
}

/* The innermost frame is the probed function; libc is more than its allocator, so only that one frame is left out there. */
uint32_t stack_text_first(const struct tape_reader *r, const struct tape_frame *frames, uint32_t nr)
{
	uint32_t first = 0;

	while (first < nr && first < 1 && is_allocators(r, frames[first].module))
		first++;
	return first < nr ? first : 0;
}

/* "std::map<...>::insert" instead of three lines of template arguments: what stands in brackets is left out beyond a size. */
static void put_name(const char *name, char *buf, size_t nbytes)
{
	size_t at = 0;
	int depth = 0;
	bool is_long = strlen(name) > NAME_MAX_NBYTES;

	for (; *name && at + 5 < nbytes; name++) {
		bool opens = *name == '<' || *name == '(', closes = *name == '>' || *name == ')';

		if (is_long && opens && depth++ == 0)
			at += (size_t)snprintf(buf + at, nbytes - at, "%c...", *name);
		else if (is_long && closes && depth && --depth == 0)
			buf[at++] = *name;
		else if (!is_long || !depth)
			buf[at++] = *name;
	}
	buf[at] = '\0';
	if (at > NAME_MAX_NBYTES)
		memcpy(buf + NAME_MAX_NBYTES - 3, "...", 4);
}

const char *stack_text(const struct tape_reader *r, struct naming *naming, uint32_t stack, unsigned nr_frames, char *buf, size_t nbytes)
{
	const struct tape_frame *frames;
	bool truncated;
	uint32_t nr = tape_reader_stack(r, stack, &frames, &truncated);
	unsigned put = 0;
	size_t at = 0;

	if (!nr) {
		snprintf(buf, nbytes, "[no stack]");
		return buf;
	}
	buf[0] = '\0';
	for (uint32_t i = stack_text_first(r, frames, nr); i < nr && put < nr_frames; i++) {
		uint32_t nr_names;
		const struct tape_name *names = naming_frame(naming, frames, i, &nr_names);

		for (uint32_t k = 0; names && k < nr_names && put < nr_frames; k++, put++) {
			char name[512];

			put_name(naming_text(naming, names[k].function), name, sizeof(name));
			at += (size_t)snprintf(buf + at, nbytes - at, "%s%s", put ? " < " : "", name);
			if (at >= nbytes)
				return buf;
		}
	}
	return buf;
}
