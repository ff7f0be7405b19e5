/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * runtime.h - what a language's runtime holds between the address space and its objects.
 *
 * A profile knows one runtime: it recognises it in a process's program, says what the programs in the kernel take down where
 * (struct ht_capture), and makes spans, objects and figures (formats/TAPE.md, "Levels") of what they bring. It neither attaches
 * nor writes: record/captures.h does the one, the sink the other. Belongs to one thread.
 */
#ifndef HEAPTAPE_RUNTIME_H
#define HEAPTAPE_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/events.h"
#include "formats/tape.h"
#include "target/object.h"
#include "target/process.h"

/* What is recorded of it; each level is told in the profile's own words by `levels`. */
enum runtime_level { RUNTIME_OS = 1, RUNTIME_PAGES = 2, RUNTIME_OBJECTS = 4 };

struct runtime_probe {
	const char *function;
	uint64_t vaddr;
	bool is_return; /* a return probe on the function at vaddr */
	struct ht_capture capture;
};

/* Where events go. at: the record that they come from; name: the string that ev->arg is to stand for, or NULL. 1: it was dropped,
 * being older than the recording; -errno. */
struct runtime_sink {
	int (*put)(void *arg, const struct ht_ev_head *at, struct tape_event *ev, const char *name);
	void *arg;
};

struct runtime {
	const struct runtime_profile *profile;
	const struct object *obj; /* the program, the caller's */
	uint64_t bias;            /* address in the process = vaddr + bias, known once it is mapped */
	unsigned levels;          /* enum runtime_level, as asked for */
	struct runtime_sink sink;
	unsigned first;           /* number of its first probe among all captures; a language's: 0 */
	/* Set by open. */
	struct runtime_probe probes[HT_CAPTURES_MAX]; /* a record's site is the index, plus `first` */
	unsigned nr_probes, nr_max; /* max: a share of the kernel's table, set by whoever makes it */
	char version[48];  /* of the runtime, "" where it does not say */
	char why[160];     /* why it cannot be recorded, or what is left out and why; "" */
	void *state;
};

struct runtime_profile {
	const char *name;     /* as --runtime and the tape's allocator call it */
	const char *language; /* for people */
	const char *pages, *objects; /* what the levels mean, for people */
	/* Cheap: whether the program's file is of this kind. */
	bool (*recognise)(const struct object *obj);
	/* Fills in the probes. -errno and why: -ENOENT if what it needs is not in the file. */
	int (*open)(struct runtime *rt);
	/* Of a process that runs already, once every probe stands: what its runtime holds now, as events of the record `at`; all that
	 * changes meanwhile comes by records behind it. -errno of the sink, -ENOMEM; what cannot be read is told in why, and no error.
	 * NULL: nothing is read. */
	int (*begin)(struct runtime *rt, const struct process *p, const struct ht_ev_capture *at);
	bool at_rest; /* begin needs a process that stands (SIGSTOP) */
	/* One record of its probes, in the order of time. -errno of the sink, -ENOMEM. */
	int (*take)(struct runtime *rt, const struct ht_ev_capture *e);
	void (*close)(struct runtime *rt);
};

extern const struct runtime_profile runtime_ghc, runtime_go;

/* The profile of that name (NULL: whichever recognises the file); NULL: there is none. */
const struct runtime_profile *runtime_find(const struct object *obj, const char *name);
/* -errno, *rt_ret is there in either case but -ENOMEM, for why. */
int runtime_open(const struct runtime_profile *profile, const struct object *obj, unsigned levels, const struct runtime_sink *sink,
		 struct runtime **rt_ret);
int runtime_begin(struct runtime *rt, const struct process *p, const struct ht_ev_head *at);
int runtime_take(struct runtime *rt, const struct ht_ev_capture *e);
void runtime_free(struct runtime *rt);

/* ---- for profiles ---- */

struct runtime_symbol {
	const char *name;
	uint64_t vaddr; /* set; 0: the file has none of that name */
	uint64_t more[3]; /* of others that are called the same (a function compiled twice) */
};
/* Looks up functions and data by the file's full symbol table. false: it has none. */
bool runtime_symbols(const struct object *obj, struct runtime_symbol *symbols, size_t nr);
/* A further probe, for its loads to be filled in; NULL: there are nr_max. */
struct runtime_probe *runtime_probe(struct runtime *rt, const char *function, uint64_t vaddr, bool is_return);
/* Where to stand at a function's begin: its first instruction, or the first one behind it that the kernel emulates, as long as none of
 * the registers (bit n: number n) was written and control has gone nowhere else. */
uint64_t runtime_entry(const struct object *obj, uint64_t vaddr, uint32_t regs);
/* Loads for a probe's capture, one word each in the order of the calls. */
void capture_reg(struct ht_capture *c, unsigned reg);
void capture_read(struct ht_capture *c, enum ht_load_base base, unsigned nr, uint64_t add, uint8_t width);
void capture_tally(struct ht_capture *c, unsigned tally);
__attribute__((format(printf, 3, 4))) int runtime_fail(struct runtime *rt, int err, const char *fmt, ...);

/* A little-endian field of at most 8 bytes in what was read of the process. */
uint64_t runtime_field(const uint8_t *bytes, uint64_t offset, size_t nbytes);

/* Events. */
int runtime_span(struct runtime *rt, const struct ht_ev_capture *e, uint64_t addr, uint64_t nbytes, const char *use);
int runtime_span_free(struct runtime *rt, const struct ht_ev_capture *e, uint64_t addr, uint64_t nbytes, const char *use);
int runtime_figure(struct runtime *rt, const struct ht_ev_capture *e, const char *name, uint64_t value);
/* stack: as in the record where the call began. 1: it is not on the tape, being older. */
int runtime_born(struct runtime *rt, const struct ht_ev_capture *e, uint64_t addr, uint64_t nbytes, uint32_t stack);
int runtime_collected(struct runtime *rt, const struct ht_ev_capture *e, uint64_t addr);

/* ---- objects by the page that they begin in, so that those of a span can be told to end with it ---- */

struct page_objects;

/* page_nbytes: a power of two. */
struct page_objects *page_objects_new(uint64_t page_nbytes);
void page_objects_free(struct page_objects *po);
/* -ENOMEM. */
int page_objects_add(struct page_objects *po, uint64_t addr);
/* Calls fn for each object that begins in [addr, addr + nbytes), bounds of pages, and forgets those for which it returns 1;
 * below 0 ends it. */
int page_objects_take(struct page_objects *po, uint64_t addr, uint64_t nbytes, int (*fn)(void *arg, uint64_t addr), void *arg);

/* x86-64's register numbers as struct ht_loc counts them. */
enum { RT_AX, RT_CX, RT_DX, RT_BX, RT_SP, RT_BP, RT_SI, RT_DI, RT_R8, RT_R9 };

#endif
