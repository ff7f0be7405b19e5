/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plan_file.h - the play plan as it lies on disk: what the planner writes and the player executes.
 *
 * A plan is one file: a header page, chunks of 16-byte operations, and tables behind them. Positions count
 * operations (16 bytes) from the start of the file. Each thread's stream is a chain of chunks, the last
 * operation of each being PLAN_JUMP. Both sides are built together, and a plan that is kept beside its tape counts only
 * for the very program that made it, so its version is all the compatibility there is. Fixed width, no functions.
 */
#ifndef HEAPTAPE_REPLAY_PLAN_FILE_H
#define HEAPTAPE_REPLAY_PLAN_FILE_H

#include <stdint.h>

#define PLAN_MAGIC 0x6e616c7065706168ull /* "hapeplan" */
#define PLAN_VERSION 2

#define PLAN_OP_NBYTES 16
#define PLAN_HEADER_OPS 256  /* the header's page, in operations */
#define PLAN_CHUNK_MIN 64    /* operations in a thread's first chunk: 1 KiB, so that 100,000 threads stay cheap */
#define PLAN_CHUNK_MAX 16384 /* 256 KiB: what the player maps in at a time */
#define PLAN_PAGE 4096u      /* the stride of touches; not the machine's page size */
#define PLAN_CPUS_MAX 1024u  /* recorded CPUs that placement knows; higher ones are taken modulo this */

/*
 * What an operation is. 1 to 12 are the calls, with the numbers that the tape gives them (tape.h), so that
 * the recorded kind reaches the player and player_calls.c decides what stands for it.
 */
enum plan_kind {
	PLAN_NOP = 0,
	PLAN_MALLOC = 1,
	PLAN_CALLOC = 2,
	PLAN_REALLOC = 3, /* slot: the object, before and after; arg: new size */
	PLAN_POSIX_MEMALIGN = 4,
	PLAN_ALIGNED_ALLOC = 5,
	PLAN_MEMALIGN = 6,
	PLAN_VALLOC = 7,
	PLAN_PVALLOC = 8,
	PLAN_NEW = 9,
	PLAN_FREE = 10,
	PLAN_DELETE = 11, /* arg: size for a sized delete, else 0 */
	PLAN_SDALLOCX = 12,
	PLAN_CALL_NR = 13,
	PLAN_TOUCH = 13,      /* slot; arg: PLAN_PAGE + start of the first touched page relative to the object |
	                         number of pages << PLAN_TOUCH_SHIFT; see player_run.c, touch_run */
	PLAN_WAIT = 14,       /* until thread `slot` has executed its operation number arg - 1 */
	PLAN_TIME = 15,       /* arg: tape time in ns, corrected for the cost of the traps */
	PLAN_CPU = 16,        /* slot: recorded CPU from here on */
	PLAN_ENTER = 17,      /* slot: window; waits until all windows below slot - 1 are done */
	PLAN_LEAVE = 18,      /* slot: window in which this thread does nothing more */
	PLAN_CHECKPOINT = 19, /* slot: checkpoint to arrive at, arg: checkpoint whose release lets the thread go on */
	PLAN_START = 20,      /* slot: thread to start */
	PLAN_JOIN = 21,       /* slot: thread whose end (allocator's exit work included) is waited for; strict order */
	PLAN_EXIT = 22,       /* the thread ends here */
	PLAN_END = 23,        /* the stream ends; the thread lives on to the end of the replay */
	PLAN_JUMP = 24,       /* arg: position of the next chunk, slot: operations in it */
	PLAN_STEER = 25,      /* slot: enum plan_steer, number and arg: as plan_steer.c has them; see player_steer.c */
	PLAN_KIND_NR = 26,
};

/* Calls that steer an allocator, executed only where CONTROL_STEER is set. */
enum plan_steer {
	PLAN_STEER_MALLOPT, PLAN_STEER_MALLOC_TRIM, PLAN_STEER_MI_COLLECT, PLAN_STEER_MI_OPTION_SET,
	PLAN_STEER_MI_OPTION_SET_DEFAULT, PLAN_STEER_MI_OPTION_SET_ENABLED, PLAN_STEER_MI_OPTION_SET_ENABLED_DEFAULT,
	PLAN_STEER_MI_OPTION_ENABLE, PLAN_STEER_MI_OPTION_DISABLE, PLAN_STEER_RELEASE_FREE_MEMORY,
	PLAN_STEER_RELEASE_TO_SYSTEM, PLAN_STEER_TCACHE_FLUSH, PLAN_STEER_ARENA_PURGE, PLAN_STEER_ARENA_DECAY,
	PLAN_STEER_NR,
};

enum plan_flag {
	PLAN_PUBLISH = 1,     /* another thread waits for this operation: tell when it is done */
	PLAN_TOUCH_WHOLE = 2, /* births: write all bytes; realloc: those that grew */
	PLAN_TOUCH_PAGES = 4, /* births: write a word in each page; realloc: in those that grew */
	PLAN_TOUCH_FIRST = 8, /* births: write the first word only */
	PLAN_SIZED = 16,      /* PLAN_DELETE: the object was born by a plain operator new of just this size */
};

#define PLAN_TOUCH_SHIFT 44 /* objects up to 16 TiB, 4 GiB an operation */
#define PLAN_TOUCH_OFFSET_MASK ((1ull << PLAN_TOUCH_SHIFT) - 1)
#define PLAN_TOUCH_COUNT_MAX ((1u << (64 - PLAN_TOUCH_SHIFT)) - 1)

struct plan_op {
	uint8_t kind;  /* enum plan_kind */
	uint8_t flags; /* enum plan_flag */
	uint8_t align_log2;
	int8_t number; /* PLAN_STEER */
	uint32_t slot;
	uint64_t arg; /* calls: size in bytes */
};

enum plan_order { PLAN_ORDER_DEPS, PLAN_ORDER_STRICT };
enum plan_touch { PLAN_TOUCHING_FAULTS, PLAN_TOUCHING_ALL, PLAN_TOUCHING_NONE, PLAN_TOUCHING_FIRST };
enum plan_placement { PLAN_PLACE_STEADY, PLAN_PLACE_EXACT, PLAN_PLACE_OFF };

#define PLAN_NO_STACK_SLOT UINT32_MAX

/* One recorded thread. Thread 0 is the process's first thread, and in the player too. */
struct plan_thread {
	uint32_t first_pos;
	uint32_t nr_ops;     /* all of its operations, PLAN_JUMP and PLAN_END included */
	uint32_t first_nr;   /* operations in the first chunk */
	uint32_t stack_slot; /* thread 0: PLAN_NO_STACK_SLOT */
	uint32_t before;     /* thread that had this stack before and has to be joined first, or UINT32_MAX */
	uint32_t tid;        /* as recorded */
	char name[16];
};

/* One checkpoint: a moment in tape time at which all threads stand still. */
struct plan_checkpoint {
	uint64_t ns;       /* as on the tape */
	uint64_t clock_ns; /* the same, corrected for the cost of the traps */
	uint64_t live_nbytes, live_nr;
	uint64_t recorded_anon_nbytes; /* anonymous memory of the recorded process, UINT64_MAX: not on the tape */
	uint64_t around_nbytes;        /* what it had in memory around its allocator (around.h), UINT64_MAX: not on the tape */
	uint32_t arrivals;             /* threads that stop here after having run since the checkpoint before */
	uint32_t reserved;
};

struct plan_header {
	uint64_t magic;
	uint32_t version;
	uint32_t nr_threads;
	uint32_t nr_slots;
	uint32_t nr_checkpoints;
	uint32_t nr_windows;
	uint32_t nr_stacks; /* most threads but the first that live at one time */
	uint8_t order, touch, placement, reserved;
	uint32_t nr_cpus;        /* of the recorded machine, 0: unknown */
	uint64_t start_unix_ns;  /* wall clock at tape time 0 */
	uint64_t nr_ops;
	uint64_t nr_calls[PLAN_CALL_NR]; /* by kind */
	uint64_t nr_new_aligned, nr_sized_deletes;
	uint64_t threads_at, checkpoints_at, windows_at, facts_at; /* byte offsets of the tables */
	uint64_t key;            /* of a kept plan: what it was made of (plan_cache.c) */
	uint64_t file_nbytes;
};

#endif
