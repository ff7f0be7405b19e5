/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * size_classes.h - live objects by the size that the allocator gave them, and how full the pages are that they lie on.
 *
 * Up to SIZE_CLASS_EXACT each usable size is a class of its own, above that an eighth of a power of two is (named by
 * its lower end). Pure; one thread at a time.
 */
#ifndef HEAPTAPE_REPLAY_SIZE_CLASSES_H
#define HEAPTAPE_REPLAY_SIZE_CLASSES_H

#include <stddef.h>
#include <stdint.h>

#include "formats/heap.h"

#define SIZE_CLASS_EXACT 65536u

struct size_class {
	uint64_t usable;       /* the class: usable bytes of an object */
	uint64_t nr;           /* live objects */
	uint64_t requested, given; /* bytes: asked for, and usable */
	uint64_t pages_nbytes; /* of the pages that hold a byte of one of them */
	uint64_t pages_used;   /* usable bytes of all objects on those pages, of any class */
};

uint64_t size_class_of(uint64_t usable);
/* objs by address. The classes by size, to be freed. 0 or -ENOMEM. */
int size_classes_compute(const struct split_object *objs, size_t nr_objs, uint64_t page_nbytes, struct size_class **ret,
			 size_t *nr_ret);

#endif
