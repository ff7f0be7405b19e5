/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session_impl.h - what the files of a session share: session.c (beginning and end), session_place.c (allocators found
 * and probed), session_baseline.c (what lived before), session_brake.c (what it may cost),
 * session_live.c (what is shown), session_runtime.c (a language's runtime), session_flow.c (while it records), session_follow.c (children, each by a copy of the recorder).
 */
#ifndef HEAPTAPE_SESSION_IMPL_H
#define HEAPTAPE_SESSION_IMPL_H

#include <signal.h>

#include "clock.h"
#include "record/attach.h"
#include "record/brake.h"
#include "record/captures.h"
#include "record/drain.h"
#include "record/embed.h"
#include "record/hold.h"
#include "record/launch.h"
#include "record/passage.h"
#include "record/session.h"
#include "record/sleep_watch.h"
#include "record/stacks.h"
#include "sites/inventory.h"

#define INVENTORIES_MAX 64 /* one, and one for each exec */

/* An allocator whose sites stand. */
struct placed {
	const struct allocator *a;
	uint64_t dev, inode;
	uint8_t tape_alloc;
};

struct session {
	const struct session_opts *opts;
	struct session_result *res;
	struct process process;
	struct launch launch;
	struct kernel kernel;
	struct attach *attach;
	struct inventory *inventories[INVENTORIES_MAX]; /* kept to the end: sites point into their plans */
	unsigned nr_inventories;
	struct placed placed[HT_OBJECTS_MAX]; /* index: object number */
	unsigned nr_placed;
	struct tape_writer *writer;
	struct ring *ring; /* segments and keyframes, of one file too */
	bool dump_asked, rss_triggered;
	enum ring_cause dump_cause; /* of the first that asked */
	struct drain *drain;
	struct ledger *ledger;
	struct stacks *stacks; /* NULL: none are recorded */
	struct embed *embed;
	struct hold hold;           /* records that wait until it is known what lived before */
	bool holding, noting;       /* noting: what is held tells the baseline too */
	struct baseline *baseline;
	struct passage *passage;    /* ... and this */
	const struct runtime_profile *runtime_profile; /* NULL: no runtime, or none that is wanted */
	struct object *runtime_obj; /* the program, while its runtime is recorded, as are the next */
	struct runtime *runtime;
	struct captures *captures;
	uint64_t runtime_from_ns;   /* earlier records of its are in what was read of it; 0: nothing was */
	bool lacks_objects;         /* a copy's: its parent had objects whose ends are not seen here */
	bool unseen_told;           /* that there is a runtime which no profile knows */
	uint8_t runtime_alloc;      /* its number on the tape */
	unsigned runtime_cpu;       /* of the record at hand */
	struct session_custom *custom; /* NULL: no allocator was described */
	struct session_live *live;  /* NULL: nobody watches */
	uint64_t rss_anon;          /* as of the last look */
	struct brake brake;
	double brake_cost_ns;       /* as of the last window, as is the next */
	uint64_t brake_cpu_ns, next_brake_ns;
	uint32_t site_calls[HT_SITES_MAX], window_calls; /* in the window at hand */
	bool from_exec;             /* nothing of the target is older than its tape, or than that of whose copy it is */
	bool too_dear;              /* the recording is to end for what it costs */
	const char *spoilt;         /* why what was read of the heap cannot be used */
	int signal_fd;
	sigset_t old_mask;
	uint64_t start_ns, end_ns; /* start_ns: 0 of the tape's clock */
	uint64_t begin_ns;         /* of this process's recording: the same, or when it was made by one that was recorded */
	uint64_t start_unix_ns;
	struct follow *follow;     /* NULL: children are left out */
	struct sleep_watch sleep_watch;
	uint64_t next_rss_ns, next_flush_ns, next_rescan_ns;
	struct ht_counters counted; /* as of the last look */
	uint64_t counted_at_ns, traps_before[HT_TRAP_NR], missed_before, other_lost_before, timed_ns_before, timed_before;
	double program_ns; /* the mean of a trap's program; 0: none was timed */
	uint64_t lost_told[HT_LOSS_NR];
	int64_t lost_before[HT_LOSS_NR]; /* as of the look before the last: see tell_losses */
};

/* Keeps the first error's words and hands the number back. */
__attribute__((format(printf, 3, 4))) int session_fail(struct session *s, int err, const char *fmt, ...);
/* The same with what the tape's writer says. */
int session_fail_tape(struct session *s, int err);

/* What the programs in the kernel are opened with. */
struct kernel_opts session_kernel_opts(const struct session *s);
/* What goes wrong with that, in words. */
int session_fail_kernel(struct session *s, int err, const char *why);
int session_block_signals(struct session *s);
int session_open_target(struct session *s, pid_t pid);
/* Unwinding, sites, rings: all that rests on s->kernel, s->process and s->writer. */
int session_open_stream(struct session *s, struct ledger *inherited, struct stacks *inherited_stacks);
void session_watch_faults(struct session *s);
/* What is counted is counted from here on. */
void session_count_from_here(struct session *s);
int session_write_meta(struct session *s);
/* Those that are there, as of begin_ns. */
int session_note_threads(struct session *s);
/* Up to the closed tape, behind session_record_until_end. */
int session_finish(struct session *s, int err);

/* session_follow.c: nothing happens without opts->follow. */
/* The folder of the tapes, and in it the path of this process's. */
int session_follow_folder(struct session *s, const char *folder, char *path, size_t path_nbytes);
/* Before the kernel is opened: ko is completed. */
int session_follow_open(struct session *s, struct kernel_opts *ko);
int session_follow_begin(struct session *s);
/* A child was born, or has a program of its own. */
int session_follow_child(struct session *s, const struct ht_ev_thread *e);
/* The target stands of itself: probes are put where it has mapped code, and it goes on. */
int session_follow_holds(struct session *s);
void session_follow_step(struct session *s);
int session_follow_meta(struct session *s);
int session_follow_execed(struct session *s);
int session_follow_write_totals(struct session *s);
/* A descriptor that wakes the recorder, or -1. */
int session_follow_doorbell(const struct session *s);
/* All are to end, and for which cause; false: not asked. */
bool session_follow_end_asked(struct session *s);
/* A child that has ended: its probes need not be taken away before the programs are another's. */
bool session_follow_is_gone(const struct session *s);
/* The end mark is written: the programs are free for others. */
void session_follow_ended(struct session *s);
/* The first recorder: until the others are done. */
void session_follow_wait(struct session *s);
void session_follow_free(struct session *s);

/* session_place.c */
/* The sites that stood in the process of which this one is a copy. */
int session_place_inherited(struct session *s);
int session_new_inventory(struct session *s);
/* Looks at what is mapped, and probes what is new. */
int session_place_new(struct session *s);
void session_warn_unread(struct session *s);

/* session_baseline.c */
/* Before the start mark: where each allocator keeps its blocks is found out. */
int session_prepare_baseline(struct session *s);
/* What lived at the start mark goes onto the tape, in front of all that has happened since. */
int session_find_baseline(struct session *s);
/* A record while the heap is being read. */
int session_hold(struct session *s, unsigned cpu, const struct ht_ev_head *h);

/* session_brake.c: nothing happens but with --max-cost. */
void session_brake_start(struct session *s);
void session_brake_count(struct session *s, const struct ht_ev_head *h);
int session_brake_step(struct session *s, uint64_t now_ns);

/* session_live.c: nothing happens but with --live. Prepare before the ledger is made, open behind the start mark. */
int session_live_prepare(struct session *s);
int session_live_open(struct session *s);
int session_live_changed(void *arg, const struct tape_event *ev, const struct heap_change *change);
void session_live_step(struct session *s, uint64_t now_ns);
/* Gives the terminal back. */
void session_live_close(struct session *s);
void session_live_free(struct session *s);

/* session_runtime.c: nothing happens where no profile knows the program. */
/* Before the kernel's part is loaded. */
int session_runtime_look(struct session *s);
bool session_has_runtime(const struct session *s);
/* Once the program is mapped. */
int session_runtime_place(struct session *s);
/* Behind the start mark, before anything is drained. */
int session_runtime_begin(struct session *s);
int session_runtime_take(struct session *s, unsigned cpu, const struct ht_ev_head *h);
void session_runtime_free(struct session *s);
/* Says once that there is a heap of which only the mappings are recorded. */
int session_tell_unseen(struct session *s);

/* session_custom.c: nothing happens where the user has described no allocator. */
/* Looks into files that were not mapped before, and probes what is found. */
int session_custom_place(struct session *s);
/* Probes that stand. */
unsigned session_custom_nr_probes(const struct session *s);
/* A process that runs must have what was described. */
int session_custom_check(struct session *s);
int session_custom_take(struct session *s, unsigned cpu, const struct ht_ev_head *h);
/* Another program has taken its place. */
void session_custom_forget(struct session *s);
/* No further records. */
void session_custom_detach(struct session *s);
/* Functions that were nowhere found until now. */
void session_custom_tell_missing(struct session *s);
void session_custom_free(struct session *s);

/* session_flow.c */
/* What the traps have cost the target since the start mark; below 0: not known. */
double session_cost_ns(const struct session *s);
/* A copy of the ring as soon as one can be made. */
void session_ask_dump(struct session *s, enum ring_cause cause);
int session_sample_rss(struct session *s, uint64_t at_ns);
int session_tell_losses(struct session *s, uint64_t at_ns, bool final);
/* Unwind tables follow the code that is mapped. */
int session_follow_code(struct session *s);
/* Resident set and losses, where it is time. */
int session_sample_due(struct session *s, uint64_t now_ns);
int session_take_one(struct session *s, unsigned cpu, const struct ht_ev_head *h);
int session_drain(struct session *s, size_t *nbytes_ret);
/* Acts on what the records said: a new program, new code. */
int session_follow_target(struct session *s);
/* Signals that came. True: one asks to end. */
bool session_read_signals(struct session *s);
/* Everything whose place in time is certain goes onto the tape. */
int session_take_all(struct session *s);
int session_record_until_end(struct session *s);

#endif
