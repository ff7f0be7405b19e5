/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.h - the memory that the player and the process that started it share.
 *
 * The parent makes all of it (memfds), the player only maps it: so what the player needs for itself never
 * counts as anonymous memory, which is the allocator's alone. The parent reads results there after the player
 * has died, too. Words marked (futex) are slept on; see player_wait.h for the protocol of gates.
 */
#ifndef HEAPTAPE_REPLAY_CONTROL_H
#define HEAPTAPE_REPLAY_CONTROL_H

#include <stdatomic.h>
#include <stdint.h>

#include "replay/plan_file.h"

#define CONTROL_MAGIC 0x6c6f72746e6f6368ull
/*
 * Of each player thread. There are no guard pages: 500 of them would make 1,000 mappings for the kernel to walk at
 * each checkpoint. Instead the parent looks at the end whether the lowest page of any stack was ever written.
 */
#define CONTROL_STACK_NBYTES (256u << 10)

/* What a run does beside executing the plan. */
enum control_flag {
	CONTROL_USABLE = 1,  /* measuring run: usable sizes asked at birth, pages of objects marked as held */
	CONTROL_VERIFY = 2,  /* shadow model: overlap, alignment, first and last word */
	CONTROL_LATENCY = 4, /* time of each call into histograms */
	CONTROL_CLOCK_TAPE = 8,
	CONTROL_PIN = 16,    /* execute PLAN_CPU */
	CONTROL_STEER = 64,  /* execute PLAN_STEER: the allocator is the one that was steered */
	CONTROL_MACHINE = 32, /* answer questions about CPUs with the recorded machine's figures */
};

/* How far the player is; the parent moves it on from SETUP and READY. */
enum control_stage {
	CONTROL_NONE,
	CONTROL_SETUP,   /* everything of its own is mapped, the allocator has not run yet */
	CONTROL_GO_INIT, /* parent: mappings noted, go on */
	CONTROL_READY,   /* the allocator is initialised, the first operation is next */
	CONTROL_GO_RUN,
};

/* Why the player gave up by itself. */
enum control_error {
	CONTROL_OK,
	CONTROL_ERR_NULL,     /* the allocator returned NULL */
	CONTROL_ERR_OVERLAP,
	CONTROL_ERR_MISALIGNED,
	CONTROL_ERR_CORRUPT,  /* a word of an object changed that the player had written, or calloc's was not 0 */
	CONTROL_ERR_THREAD,   /* pthread_create failed: detail is the errno */
	CONTROL_ERR_SETUP,    /* the player's own mappings: detail is the errno */
	CONTROL_ERR_MARKS,    /* more address space than the tables of marks can hold */
};

/* Which object answers for a function: bits of control.from_elsewhere, in the order of player_calls.c's table. */
enum control_function {
	CONTROL_FN_MALLOC, CONTROL_FN_FREE, CONTROL_FN_CALLOC, CONTROL_FN_REALLOC, CONTROL_FN_POSIX_MEMALIGN,
	CONTROL_FN_ALIGNED_ALLOC, CONTROL_FN_MEMALIGN, CONTROL_FN_VALLOC, CONTROL_FN_PVALLOC,
	CONTROL_FN_USABLE_SIZE, CONTROL_FN_NEW, CONTROL_FN_NEW_ALIGNED, CONTROL_FN_DELETE, CONTROL_FN_DELETE_SIZED,
	CONTROL_FN_NR,
};

/* A number that only grows, and threads that sleep until it reaches what they need. */
struct control_gate {
	_Atomic uint32_t value;
	_Atomic uint32_t need; /* smallest value that a sleeper waits for, 0: nobody sleeps */
	_Atomic uint32_t seq;  /* (futex) */
};

enum control_thread_state { CONTROL_THREAD_NONE, CONTROL_THREAD_RUNS, CONTROL_THREAD_ENDS, CONTROL_THREAD_JOINED };

/* One player thread. The first line is read by other threads, the second by the parent. */
struct control_thread {
	struct control_gate progress; /* operations executed, as of the last one that another thread waits for */
	uint8_t pad[64 - sizeof(struct control_gate)];
	_Atomic uint32_t wake;      /* (futex) parent: counts wake-ups */
	_Atomic uint32_t parked_at; /* sleeps until checkpoint parked_at - 1 is released; 0: does not */
	_Atomic uint32_t state;
	_Atomic uint32_t nr_done;   /* a sign of life now and then; all operations at the end */
	_Atomic int32_t ktid;
	uint32_t own_faults;        /* page faults of the player's own reading of the plan */
	uint64_t pthread;           /* pthread_t */
	uint32_t own_syscalls;      /* calls of the same kind that syscalls.h counts */
	uint8_t pad2[28];
};

struct control_slot {
	uint64_t addr; /* 0: the slot holds no object */
	uint64_t size; /* requested */
};

enum control_hist { CONTROL_HIST_MALLOC, CONTROL_HIST_FREE, CONTROL_HIST_REALLOC, CONTROL_HIST_NR };

struct control {
	uint64_t magic;
	/* Set by the parent before the player starts. Offsets are into the control memfd. */
	uint64_t control_nbytes, threads_at, windows_left_at, hists_at;
	uint64_t nr_slots, plan_nbytes;
	uint32_t flags;
	uint32_t nr_cpus;         /* recorded machine's, what CPU questions are answered with */
	uint64_t pace_milli;      /* 1000: recorded speed; 0: as fast as it goes */
	uint64_t start_unix_ns;
	uint64_t first_ns;        /* tape time at which the replay begins */
	uint32_t spin;            /* rounds a waiting thread spins before it sleeps */
	uint32_t nr_cpu_map;
	uint16_t cpu_map[PLAN_CPUS_MAX]; /* recorded CPU -> CPU of this machine */

	/* Set by the player. */
	_Atomic uint32_t stage; /* (futex) */
	uint32_t from_elsewhere;  /* bit per enum control_function: answered by another object than malloc's */
	uint32_t absent;          /* bit per enum control_function: nobody answers */
	uint64_t function_at[CONTROL_FN_NR];

	/* The clock that the allocator sees, in tape time. Only grows. */
	_Alignas(64) _Atomic uint64_t clock_ns;
	_Alignas(64) struct control_gate windows; /* windows done */

	/* Checkpoints: the player's threads arrive, the last one stamps the time; the parent releases. */
	_Alignas(64) _Atomic uint32_t arrived; /* of all checkpoints so far */
	_Atomic uint32_t arrive_goal;   /* parent: total at which the current checkpoint is complete */
	_Atomic uint32_t arrive_seq;    /* (futex) checkpoints completed, with times stamped; the parent sleeps here */
	_Atomic uint32_t released;      /* checkpoints released so far */
	_Atomic uint64_t arrive_ns;     /* CLOCK_MONOTONIC when the last thread arrived */
	_Atomic uint64_t resume_ns;     /* ... when the first one went on; 0: none yet */
	_Atomic uint64_t arrive_cpu_ns, resume_cpu_ns; /* the process's CPU time at these moments */
	_Atomic uint64_t held_up_ns;    /* time spent at checkpoints so far, which --pace leaves out */
	_Atomic uint64_t run_start_ns;  /* CLOCK_MONOTONIC at the first operation */
	uint64_t ticks_cost;            /* of reading that counter once, which is in every latency */
	uint64_t nr_switches;           /* voluntary ones of all threads, from the first operation to the end */
	uint64_t ticks_start, ticks_end, ticks_start_ns, ticks_end_ns; /* of the counter that latencies are taken with */

	/* The first failure. */
	_Alignas(64) _Atomic uint32_t error; /* enum control_error */
	uint32_t error_thread;
	uint64_t error_op;     /* the thread's operation number */
	uint8_t error_kind;    /* enum plan_kind */
	uint64_t error_size, error_align, error_addr, error_other;
	int64_t error_detail;

	/* Counted in full runs (flags != 0), for the check against the plan. */
	_Atomic uint64_t nr_births, nr_deaths;
};

/* Marks for the measuring run: a bit for each page of the address space, kept in blocks of 1 GiB made on demand. */
#define MARKS_DIR_NR (1u << 17)           /* 47 bits of address, in GiB */
#define MARKS_BLOCK_NBYTES (1u << 15)     /* 2^18 pages of 4 KiB */
#define MARKS_BLOCKS_MAX 4096u            /* 128 MiB of address space for 4 TiB of heap */
/* For the shadow model: a bit for each 8 bytes, in blocks of 64 MiB. */
#define SHADOW_DIR_NR (1u << 21)
#define SHADOW_BLOCK_NBYTES (1u << 20)
#define SHADOW_BLOCKS_MAX 8192u

/* Descriptors that the player finds open. */
enum {
	CONTROL_FD = 3,        /* struct control and its tables */
	CONTROL_FD_PLAN,
	CONTROL_FD_SLOTS,      /* struct control_slot by slot number */
	CONTROL_FD_USABLE,     /* uint64_t by slot number; measuring run only, as the next */
	CONTROL_FD_STACKS,     /* CONTROL_STACK_NBYTES by stack slot */
	CONTROL_FD_MARKS_DIR,  /* struct marks_dir; measuring run */
	CONTROL_FD_MARKS,
	CONTROL_FD_SHADOW_DIR, /* struct marks_dir; verifying run */
	CONTROL_FD_SHADOW,
	CONTROL_FD_END,
};

/* The player's exit status when it gave up by itself: control.error says why. */
#define CONTROL_EXIT_GAVE_UP 99

struct marks_dir {
	_Atomic uint32_t nr_blocks;
	_Atomic uint32_t block[]; /* number of the block + 1, 0: none */
};

#endif
