/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * go_file.h - what a Go program's file says of its runtime: its version, its functions (by .gopclntab, which strip leaves in
 * place), and where the fields of a span stand (by its debug information, else by a table of versions).
 */
#ifndef HEAPTAPE_GO_FILE_H
#define HEAPTAPE_GO_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/object.h"

struct go_function {
	const char *name;
	uint64_t start, end; /* vaddr; 0: the file has none of that name */
};

enum { GO_SPAN_NBYTES = 256 }; /* that hold all of a span's fields */

/* Offsets of runtime.mspan's fields, and how wide its number of elements is. */
struct go_span {
	uint64_t start_addr, npages, nelems, gcmark_bits, state, spanclass, elemsize;
	uint8_t nelems_nbytes;
};

bool go_file_recognise(const struct object *obj);
/* "go1.19.8"; false: it does not say. */
bool go_file_version(const struct object *obj, char *version, size_t nbytes);
/* 0; -EBADMSG: a table of a version that is not known, or a damaged one. */
int go_file_functions(const struct object *obj, struct go_function *functions, size_t nr);
/* 0; -ENOENT: no debug information, and no table for that version. */
int go_file_span(const struct object *obj, const char *version, struct go_span *span_ret);

/* Offset of a field of one of the runtime's types, by debug information. false: there is none. */
bool go_file_field(const struct object *obj, const char *type, const char *field, uint64_t *offset_ret);

#endif
