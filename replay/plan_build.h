/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plan_build.h - inside of the planner: its state, and the part that knows threads (plan_thread.c).
 *
 * Operations are emitted through builder_emit, which keeps the first error in b->err; callers go on and the
 * event loop stops. An event's operations are: prelude (windows, checkpoints, clock, CPU), waits, the call.
 */
#ifndef HEAPTAPE_REPLAY_PLAN_BUILD_H
#define HEAPTAPE_REPLAY_PLAN_BUILD_H

#include "replay/around.h"
#include "replay/plan.h"
#include "replay/plan_heap.h"
#include "replay/plan_out.h"
#include "replay/survey.h"
#include "replay/touch.h"

#define NO_WINDOW UINT32_MAX
#define NO_THREAD UINT32_MAX
#define NO_CPU UINT32_MAX

/* An operation that others may have to wait for. */
struct op_ref {
	uint32_t thread, op, pos, window;
};

/* What a thread may rely on: `thread` has executed its operation `op`. A small cache: forgetting costs a wait. */
#define KNOWN_NR 32
#define SNAPSHOT_NR 16
struct known {
	uint32_t thread, op;
};
struct knowledge {
	struct known now[KNOWN_NR]; /* by thread number modulo KNOWN_NR */
	struct {
		uint32_t op; /* of the wait after which this was known */
		struct known known[KNOWN_NR];
	} snapshots[SNAPSHOT_NR]; /* a ring */
	uint32_t nr_snapshots;
};

/* A recorded thread that has not ended yet. */
struct thread {
	uint32_t index, tid;
	struct plan_stream stream;
	uint32_t window;     /* that its last operation is in */
	uint32_t interval;   /* number of the checkpoint that ends the interval of its last operation */
	uint64_t mark_ns;    /* corrected time of its last PLAN_TIME */
	uint32_t stack_slot;
	uint32_t before;     /* thread that has to be joined for the stack */
	/* placement: where it is, and a move that has not lasted long enough yet */
	uint32_t cpu, next_cpu;
	uint64_t next_since_ns;
	uint32_t next_pos;
	struct plan_freelist free_slots;
	uint64_t given_up_addr; /* TAPE_GIVE_UP: waits for its TAPE_REALLOC */
	uint32_t given_up_slot;
	struct knowledge *knowledge; /* NULL until it waits for the first time */
	uint64_t charged_in;    /* clock: the period in which nr_charged counts */
	uint32_t nr_charged;
	/* the last PLAN_TOUCH, which the next page may join */
	uint32_t touch_pos;
	uint64_t touch_next;    /* page of the tape's address space */
};

/* Tape time without the cost of the traps; see clock_correct. */
struct tape_clock {
	uint64_t trap_ns, taken_ns, last_ns;
	uint64_t period;       /* number of the current period */
	uint32_t nr_max;       /* most calls of any thread or CPU in it */
	uint32_t nr_by_cpu[PLAN_CPUS_MAX];
};

struct builder {
	struct tape_reader *reader;
	const struct plan_opts *opts;
	struct plan *plan;
	struct plan_facts *facts;
	struct survey survey;
	struct plan_out *out;
	struct plan_heap heap;
	struct touch *touch; /* NULL unless faults decide */
	struct around *around; /* NULL as touch */
	bool faults_need_write; /* the tape tells writes from reads, and only writes make memory resident */
	bool strict;
	int err;

	struct plan_thread *rows; /* all threads, ended ones too */
	struct thread **threads;  /* by index; NULL: ended */
	uint32_t nr_threads, threads_max;
	uint32_t *by_tid; /* open addressing: thread index + 1 */
	size_t tid_mask, nr_tids;
	struct thread *last; /* of the last event */
	struct { uint32_t slot, thread; } *stacks; /* free ones and who had them, LIFO */
	uint32_t nr_free_stacks, stacks_max;
	size_t next_birth; /* in survey.births */
	size_t next_own_call;

	uint32_t window;
	uint64_t window_start_ns, window_nbytes;
	uint32_t *window_arrivals; /* threads that have an operation in the window */
	uint32_t windows_max;
	uint32_t checkpoint; /* the next one */
	struct op_ref prev;  /* strict order: the event before */
	uint32_t join;       /* strict order: thread that has just ended, or NO_THREAD */

	struct tape_event *kept; /* the keyframe's, until they are placed */
	size_t nr_kept, kept_max;
	bool kept_placed;
	uint32_t first_tid; /* of thread 0 */

	struct tape_clock clock;
	uint64_t now_ns; /* of the event, corrected */
	uint64_t live_nbytes, small_nbytes;
	uint64_t around_start_nbytes; /* when recording began */
	uint64_t rss_nbytes, rss_ns;  /* the last TAPE_RSS; UINT64_MAX bytes: none yet */
	uint32_t rss_checkpoint;      /* the first checkpoint behind it */
	uint64_t ordinal;
};

/* Adds an operation to a thread's stream; returns its position. */
uint32_t builder_emit(struct builder *b, struct thread *th, const struct plan_op *op);
/* The thread's last operation. */
struct op_ref builder_last_ref(const struct thread *th);
/* What has to stand before an operation of this thread at the event's time. cpu: NO_CPU if not known. */
void builder_prelude(struct builder *b, struct thread *th, uint64_t ns, uint32_t cpu);
/* The thread's next operation must come after `ref`. */
void builder_wait(struct builder *b, struct thread *th, const struct op_ref *ref);

/* plan_objects.c: one event each, the time of which builder_advance has seen. */
void builder_call(struct builder *b, const struct tape_event *ev);
void builder_give_up(struct builder *b, const struct tape_event *ev);
void builder_steer(struct builder *b, const struct tape_event *ev);
void builder_fault(struct builder *b, const struct tape_event *ev); /* only with b->touch */
/* The same for one of a keyframe, which is no call of its thread. */
void builder_kept(struct builder *b, const struct tape_event *ev);
/* plan_kept.c: the keyframe's objects are noted, and made in the order of their births when all are known. */
void builder_note_kept(struct builder *b, const struct tape_event *ev);
void builder_place_kept(struct builder *b);
/* plan.c: a trap's cost is taken off the clock. */
void builder_charge(struct builder *b, struct thread *th, const struct tape_event *ev);

/* The thread with this tid; started if it is new. NULL on error. */
struct thread *builder_thread(struct builder *b, uint32_t tid, uint64_t ns);
void builder_thread_start(struct builder *b, const struct tape_event *ev);
void builder_thread_exit(struct builder *b, const struct tape_event *ev);
void builder_thread_name(struct builder *b, const struct tape_event *ev);
/* Thread 0, before the first event. */
void builder_first_thread(struct builder *b, uint32_t tid);
/* Opens the window that the event belongs to, closes the checkpoints before it. */
void builder_advance(struct builder *b, uint64_t ns);
/* Ends all streams. */
void builder_end_threads(struct builder *b);
void builder_free_threads(struct builder *b);

#endif
