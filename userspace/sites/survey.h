/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * survey.h - is there an allocator in this object, which, and how would each of its functions be probed?
 */
#ifndef HEAPTAPE_SURVEY_H
#define HEAPTAPE_SURVEY_H

#include "sites/plan.h"
#include "sites/weight.h"
#include "target/object.h"

/* An allocator: an object that defines malloc and free, under their own names or with a prefix. */
struct allocator {
	struct object *obj; /* owned */
	char name[40];      /* "glibc", "jemalloc", "mimalloc", "tcmalloc", "musl", else the file's name */
	char found[96];     /* "" by names; else the libc whose code it has (signatures.h) */
	struct plan *plans; /* one for each recorded function; aliases at one address once */
	unsigned nr_plans;
	/* Shared objects: behind the object's own direct calls of its free, vaddr (events.h, inner_ra). Calls from its other
	 * parts, like everybody's, go through the PLT. */
	uint64_t inner[HT_INNER_MAX];
	unsigned nr_inner;
	struct noreturn_memo *noreturn;
};

/* What plans are made by: see plan_env. */
struct plan_rules {
	const struct cost *cost;
	const char *no_return;
	bool no_calls;
	const struct profile *profile;
	bool simple;
};

/* 1: *a_ret is filled and owns obj, its plans name the functions but have no sites yet; 0: no allocator, obj stays the
 * caller's; -ENOMEM. */
int survey_object(struct object *obj, struct allocator **a_ret);
/* Of an object without an allocator: why a static program without symbols has none that is known; "" for any other object. */
void survey_why_none(const struct object *obj, char *why, size_t nbytes);
void allocator_free(struct allocator *a);
/* Plans all functions, or one of them, from the beginning. */
void allocator_plan(struct allocator *a, const struct plan_rules *rules);
void allocator_plan_one(struct allocator *a, unsigned i, const struct plan_rules *rules);
/* Branches to count, for a profile: the more usual functions' first. Their number, at most room. */
unsigned allocator_branches(const struct allocator *a, struct profile_spot *spots, unsigned room);
/* Sites of all plans, and functions that cannot be recorded. */
unsigned allocator_nr_sites(const struct allocator *a);
unsigned allocator_nr_unrecorded(const struct allocator *a);

#endif
