/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tape.h - reading and writing tapes: the record of every allocation of a process.
 *
 * The format is specified in TAPE.md. This library knows no process, no thread and no kernel; other
 * programs may link it. A handle belongs to one thread at a time. Functions that can fail return 0 or
 * -errno; -EBADMSG means damaged or false content, -ENOTSUP a tape of a later version. Nothing is printed:
 * tape_reader_error() and tape_writer_error() say what, where (offset) and why.
 */
#ifndef HEAPTAPE_TAPE_H
#define HEAPTAPE_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAPE_VERSION 1

/* What an event is. The values stand on disk: never renumber, only append. */
enum tape_kind {
	TAPE_NONE = 0,
	/* Allocation calls and frees: the events that info's "total" counts, unless TAPE_FAILED or TAPE_SUB is set. */
	TAPE_MALLOC = 1,
	TAPE_CALLOC = 2,
	TAPE_REALLOC = 3,        /* old -> addr; an object moves or stays */
	TAPE_POSIX_MEMALIGN = 4, /* align holds the alignment asked for, here and in the next two */
	TAPE_ALIGNED_ALLOC = 5,
	TAPE_MEMALIGN = 6,
	TAPE_VALLOC = 7,
	TAPE_PVALLOC = 8,
	TAPE_NEW = 9, /* operator new of an allocator whose operator new is not malloc */
	TAPE_FREE = 10,
	TAPE_DELETE = 11,    /* size: sized delete's size, or 0 */
	TAPE_SDALLOCX = 12,  /* size as passed */
	TAPE_GIVE_UP = 13,   /* addr: block that a later TAPE_REALLOC of this thread names as old; the block may be
	                        reused from here on. Only written where events of others stand between the two. */
	/* The address space. size in bytes, arg as said. */
	TAPE_MMAP = 32,    /* arg: prot | (uint64_t)flags << 32 */
	TAPE_MUNMAP = 33,
	TAPE_MREMAP = 34,  /* old: former address, arg: former size */
	TAPE_BRK = 35,     /* addr: the new break, old: the break before */
	TAPE_MADVISE = 36, /* arg: advice */
	/* Threads and the process. */
	TAPE_THREAD_START = 40, /* arg: string number of the name */
	TAPE_THREAD_NAME = 41,  /* arg: string number of the new name */
	TAPE_THREAD_EXIT = 42,
	TAPE_FAULT = 43, /* page fault of the target: addr is the page touched first, flag TAPE_WRITE if by a write */
	TAPE_RSS = 44,   /* addr: anonymous bytes resident, old: file bytes, size: shared memory bytes */
	TAPE_EXEC = 45,  /* the process image was replaced: all objects end; arg: string number of the new program */
	TAPE_STEER = 46, /* a call that steers an allocator; arg: string number of "function" or "function:name",
	                    addr and size: its first two integer arguments */
	/* About the recording. */
	TAPE_LOST = 48,    /* size: calls lost, arg: enum tape_loss, old: ns at which the loss may have begun */
	TAPE_MARK = 49,    /* arg: enum tape_mark */
	TAPE_COUNTER = 50, /* arg: enum tape_counter, size: what to add to it */
	TAPE_SUSPEND = 51, /* the machine was suspended; size: for how many ns, in which the tape's clock stood still */
	/* What a language's runtime holds between the address space and its objects; arg: string number. */
	TAPE_SPAN = 52,      /* size bytes at addr are in use from here on; arg: what for ("block", "large", "pinned" ...) */
	TAPE_SPAN_FREE = 53, /* size bytes at addr, of one span or a part of it, are not any more; arg as at its birth, or 0 */
	TAPE_FIGURE = 54,    /* the runtime's own count of something: size is its value, arg its name ("ghc.live_blocks") */
};

enum tape_flag {
	TAPE_FAILED = 1,       /* the call returned NULL (realloc: the old object lives on) */
	TAPE_UNKNOWN = 2,      /* frees or resizes a block whose birth is not on the tape; of a keyframe's object: it lived when
	                          the recording began, size is what its allocator reserves, ns (0) and tid are no birth's */
	TAPE_IMPLIED_FREE = 4, /* born at the address of a live object, which thereby ended */
	TAPE_SUB = 8,          /* inside a live object of another recorded allocator: level 2, counted, never replayed */
	TAPE_KEPT = 32,        /* given by the reader, in front of all other events: an object, or another fact, of the keyframe with which the
	                          tape starts, as the event of its birth (ns, tid, stack: of then), in no order of time */
	TAPE_WRITE = 16,       /* TAPE_FAULT: by a write */
	TAPE_COLLECTED = 16,   /* TAPE_FREE: no call of the program's; its runtime took the object back, with others (a sweep, a span's end) */
	TAPE_BY_SHIFT = 6,     /* bits 6-7: enum tape_by of TAPE_MMAP .. TAPE_MADVISE */
};

enum tape_by { TAPE_BY_UNKNOWN, TAPE_BY_ALLOCATOR, TAPE_BY_PROGRAM, TAPE_BY_LOADER };
enum tape_loss { TAPE_LOSS_RING_FULL, TAPE_LOSS_STASH_FULL, TAPE_LOSS_MAP_FULL, TAPE_LOSS_STACK, TAPE_LOSS_CALL_CUT,
		 TAPE_LOSS_PLAN, TAPE_LOSS_NR };
enum tape_mark {
	TAPE_MARK_START,
	TAPE_MARK_END,
	TAPE_MARK_NO_FREE_STACKS, /* frees carry no stack from here on */
	TAPE_MARK_THINNED,        /* of the sites with most calls one in 16 carries a stack from here on */
	TAPE_MARK_DETACHED,       /* the recording ended since it cost too much */
	TAPE_MARK_NR,
};
enum tape_counter { TAPE_COUNT_NESTED, TAPE_COUNT_NR };

#define TAPE_NO_STACK 0u /* stack numbers start at 1 */
#define TAPE_NO_ALLOC 0xffu

/* One event. Fields that a kind does not use are 0 (alloc: TAPE_NO_ALLOC). */
struct tape_event {
	uint64_t ns; /* since the start mark, CLOCK_MONOTONIC; events never go back in time */
	uint64_t addr;
	uint64_t size; /* bytes requested */
	uint64_t old;  /* address before, see the kinds */
	union {
		uint64_t align; /* allocation calls: alignment asked for, 0 if none was */
		uint64_t arg;   /* all other kinds */
	};
	uint32_t tid;
	uint32_t stack; /* stack number, TAPE_NO_STACK if none */
	uint16_t cpu;
	uint8_t kind;  /* enum tape_kind */
	uint8_t flags; /* enum tape_flag */
	uint8_t alloc; /* allocator number, TAPE_NO_ALLOC if none */
};

/* True for TAPE_MALLOC .. TAPE_SDALLOCX: the kinds that info's total counts. */
bool tape_kind_is_call(unsigned kind);
/* True for TAPE_MALLOC .. TAPE_NEW (a birth or a resize). */
bool tape_kind_is_alloc(unsigned kind);
/* True for the kinds whose arg is a string number. */
bool tape_kind_has_string(unsigned kind);
/* "malloc", "mmap" ...; NULL for a value that no version knows. Static storage. */
const char *tape_kind_name(unsigned kind);
const char *tape_loss_name(unsigned loss);
const char *tape_mark_name(unsigned mark);
const char *tape_by_name(unsigned by);

/* An allocator found in the target. Numbers are dense from 0 in order of tape_writer_allocator(). */
struct tape_allocator {
	const char *name; /* "glibc", "jemalloc" ... */
	const char *path; /* as the target sees it */
	const char *build_id; /* hex, "" if the object has none */
};

struct tape_frame {
	uint32_t module; /* string number of "BUILDID path" */
	uint64_t offset; /* file offset of the return address; frame 0: of the allocator's function (see TAPE.md) */
};

/* What a frame is looked up by: a return address stands behind its call, maybe in the next line or function already. */
static inline uint64_t tape_frame_place(const struct tape_frame *frames, uint32_t i)
{
	return frames[i].offset - (i && frames[i].offset);
}

/* One function at a place. Of several the first is the innermost; each but the last was inlined into the next. */
struct tape_name {
	const char *function; /* demangled; "" if not known, never NULL */
	const char *file;     /* source file, "" if not known, never NULL */
	uint32_t line;	      /* 0: not known */
};

/* ---- writing ---- */

struct tape_writer;

struct tape_writer_opts {
	int zstd_level;            /* 0: the default, 3 */
	uint64_t time_unit_ns;     /* resolution of the time column; 0: 1000 */
	uint32_t block_events_max; /* 0: the default, 65536 */
	bool overwrite;            /* false: -EEXIST when the file is there */
	/* Called before so many bytes are appended, so that a ring can make room; an error ends the tape. May be NULL. */
	int (*before_write)(void *arg, uint64_t nbytes);
	void *arg;
};

/* Creates `path` (mode 0600) and writes the head. opts may be NULL. On failure *w_ret is NULL. */
int tape_writer_open(const char *path, const struct tape_writer_opts *opts, struct tape_writer **w_ret);
/* Facts about target, machine and recording, as text: see TAPE.md "Meta keys". A key set again takes the later value. */
int tape_writer_meta(struct tape_writer *w, const char *key, const char *value);
int tape_writer_meta_u64(struct tape_writer *w, const char *key, uint64_t value);
/* Each gives the number of an equal entry, new or known; strings and stacks count from 1, so that 0 is none.
 * Strings are bytes without NUL, 65535 at most (cut there). */
int tape_writer_string(struct tape_writer *w, const char *s, uint32_t *id_ret);
int tape_writer_stack(struct tape_writer *w, const struct tape_frame *frames, uint32_t nr_frames, bool truncated,
		      uint32_t *id_ret);
int tape_writer_allocator(struct tape_writer *w, const struct tape_allocator *a, uint8_t *id_ret);
/* Names of a place (tape_frame_place) in a module, so that the tape can be read where the module is not. The same place
 * again takes the later names. */
int tape_writer_names(struct tape_writer *w, uint32_t module, uint64_t place, const struct tape_name *names, uint32_t nr);
/* Calls fn for each frame of each stack written so far, until it returns non-zero, and returns that. fn may call
 * tape_writer_names. The same place comes as often as stacks pass it. */
int tape_writer_each_frame(struct tape_writer *w,
			   int (*fn)(void *arg, uint32_t module, const char *module_name, uint64_t place), void *arg);
/* The same for the frames of one stack, innermost first. */
int tape_writer_stack_frames(struct tape_writer *w, uint32_t stack,
			     int (*fn)(void *arg, uint32_t module, const char *module_name, uint64_t place), void *arg);
/* Adds an event. ev->ns must not be below the last one's (-EINVAL). Writes a block when one is full.
 * A write error (-ENOSPC ...) is final: what was written stays readable, later calls return the same error. Under a
 * limit on file sizes the caller ignores SIGXFSZ, or it ends the process before the error can be told. */
int tape_writer_add(struct tape_writer *w, const struct tape_event *ev);
/* Ends the current block and hands it to the file: call at least once a second, so that a killed recorder loses no more. */
int tape_writer_flush(struct tape_writer *w);
/*
 * Starts a new segment at `ns` (not below the last event's time): dictionaries and facts are written anew, so that it
 * decodes alone. path: the file that it and what follows go to, created (0600) with a head of its own; NULL: the same file.
 */
int tape_writer_segment(struct tape_writer *w, uint64_t ns, const char *path);
/*
 * The tape starts with a segment, whose keyframe holds what lived before the recording: before anything is written
 * (-EINVAL else; facts and events may have been added).
 */
int tape_writer_start_late(struct tape_writer *w);
/*
 * In a copy of the process (fork) that goes on with a tape of its own: `path` is made, never overwritten, and begins with the
 * next tape_writer_segment. Dictionaries and their numbers go on; facts, and events not yet written, stay the other's, as
 * does the descriptor of its file. Of opts only before_write and arg count. 0 or -errno, and nothing has changed.
 */
int tape_writer_branch(struct tape_writer *w, const char *path, const struct tape_writer_opts *opts);
/*
 * Appends the keyframe of the segment at hand: keyframe_encode made it of the live set as it was at the segment's start;
 * events may have been added since. A large one may come in parts of whole blocks, in order (nr_stacks only with the first).
 */
int tape_writer_keyframe(struct tape_writer *w, const uint8_t *blocks, size_t nbytes, const uint32_t *stacks, size_t nr_stacks);
/* Strings that the blocks of the next tape_writer_keyframe name: they stand in front of them. */
int tape_writer_use_strings(struct tape_writer *w, const uint32_t *strings, size_t nr);
uint32_t tape_writer_segment_nr(const struct tape_writer *w);
/* Of the last event added, or the last segment's start. */
uint64_t tape_writer_last_ns(const struct tape_writer *w);
/* Resolution of the time column. */
uint64_t tape_writer_time_unit(const struct tape_writer *w);
/* Bytes written so far, over all files, blocks not yet ended left out. */
uint64_t tape_writer_bytes(const struct tape_writer *w);
const char *tape_writer_error(const struct tape_writer *w);
/* Ends the tape well (last block, index, end block), fsyncs, frees. w may be NULL. */
int tape_writer_close(struct tape_writer *w);

/* ---- reading ---- */

struct tape_reader;

struct tape_reader_opts {
	bool salvage; /* pass over damaged blocks and count them instead of failing */
};

/* A tape without its end block (recorder killed) opens and reads up to its last whole block: see tape_reader_complete. */
int tape_reader_open(const char *path, const struct tape_reader_opts *opts, struct tape_reader **r_ret);
/* Why the last call failed: "block 12 at offset 4194304: checksum mismatch". After a failed open: pass NULL; per thread. */
const char *tape_reader_error(const struct tape_reader *r);
/* NULL if the key is not on the tape. Valid until close. */
const char *tape_reader_meta(const struct tape_reader *r, const char *key);
uint64_t tape_reader_meta_u64(const struct tape_reader *r, const char *key, uint64_t absent);
/* The i-th key, in the order written; false behind the last. */
bool tape_reader_meta_at(const struct tape_reader *r, size_t i, const char **key_ret, const char **value_ret);
/* 1: *ev filled; 0: the end; -errno. Dictionary numbers in *ev can be looked up from then on. */
int tape_reader_next(struct tape_reader *r, struct tape_event *ev);
/* All events of one block at once: *evs_ret is valid until the next call. Returns their number, 0 at the end, -errno. */
long tape_reader_next_block(struct tape_reader *r, const struct tape_event **evs_ret);
/* Passes over all events to the end: facts, dictionaries and whether the tape has an end are known as if it had been read, for
 * the price of some reads. 0 or -errno. */
int tape_reader_skim(struct tape_reader *r);
/* Back to where reading began. */
int tape_reader_rewind(struct tape_reader *r);
/*
 * A tape cut from a longer one, or left by a ring, starts with a keyframe: its objects are handed out first, as events
 * with TAPE_KEPT, with them mappings (TAPE_MMAP, TAPE_BRK), threads that live (TAPE_THREAD_START) and sub-allocations
 * (TAPE_SUB) as of then, where the tape tells them; then what happened since. Reading begins there; tape_reader_seek begins at the last keyframe that is
 * not behind `ns` instead (or at the tape's start, if there is none). 0 or -ENOMEM.
 */
int tape_reader_seek(struct tape_reader *r, uint64_t ns);
/* Where reading began: 0, or the time of the keyframe. *keyframe_ret (may be NULL): there is one. */
uint64_t tape_reader_start_ns(const struct tape_reader *r, bool *keyframe_ret);
/* Of the part read so far. */
uint64_t tape_reader_nr_segments(const struct tape_reader *r);
uint64_t tape_reader_nr_keyframes(const struct tape_reader *r);
/* NULL (or 0 frames) for a number that the part read so far does not define. Valid until close or rewind. */
const char *tape_reader_string(const struct tape_reader *r, uint32_t id);
uint32_t tape_reader_stack(const struct tape_reader *r, uint32_t id, const struct tape_frame **frames_ret, bool *truncated_ret);
/* Makes the names that the tape carries known, wherever on it they stand: call it once, behind open. 0 or -ENOMEM; names in
 * a damaged block are refused, or passed over, where the events are read. */
int tape_reader_load_names(struct tape_reader *r);
/* Names of a place; 0 if the tape has none. Valid until close. */
uint32_t tape_reader_names(const struct tape_reader *r, uint32_t module, uint64_t place, const struct tape_name **names_ret);
/* Places with names, of those loaded. */
uint64_t tape_reader_nr_names(const struct tape_reader *r);
const struct tape_allocator *tape_reader_allocator(const struct tape_reader *r, uint32_t id);
uint32_t tape_reader_nr_allocators(const struct tape_reader *r);
uint32_t tape_reader_nr_stacks(const struct tape_reader *r);
/* As the tape's end says, before it has been read; 0: it has none. */
uint64_t tape_reader_events_told(const struct tape_reader *r);
/* Known after the end was reached. */
bool tape_reader_complete(const struct tape_reader *r); /* the end block was there */
uint64_t tape_reader_nr_blocks(const struct tape_reader *r);
uint64_t tape_reader_nr_bad_blocks(const struct tape_reader *r); /* salvage: blocks passed over */
uint64_t tape_reader_file_bytes(const struct tape_reader *r);
void tape_reader_close(struct tape_reader *r);

#endif
