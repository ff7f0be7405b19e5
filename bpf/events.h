/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * events.h - what the programs in the kernel and the recorder share: sites, records, losses.
 *
 * Fixed-width integers only, no functions, no pointers. A record's type is its first field.
 * Calls and page faults travel in one ring a CPU; the CPU is the ring's index. Mappings, threads and exec travel in a ring
 * of their own behind those (the control ring), so that a flood of calls cannot push them out. ts is CLOCK_MONOTONIC in ns and is taken
 * after the record's place in the ring was reserved: a record that is not yet reserved at time t has ts > t.
 */
#ifndef HEAPTAPE_EVENTS_H
#define HEAPTAPE_EVENTS_H

#include <linux/types.h>

/* ---- sites: where a probe stands and what it finds there ---- */

enum {
	HT_THIN_ALL = 255,    /* see stack.bpf.h */
	HT_SITES_MAX = 4096,  /* sites of one recording */
	HT_OBJECTS_MAX = 64,  /* objects with an allocator in one recording */
	HT_OPEN_MAX = 8,      /* calls of one thread open at once: wrapper in wrapper, signal handler in call */
	HT_CPUS_MAX = 1024,   /* a power of two */
	HT_INNER_MAX = 8,     /* places inside an allocator that call its own free */
	HT_NAME_LEN = 64,     /* mallctl names and the like, cut there */
};

enum ht_role {
	HT_ROLE_ONE = 1,     /* everything is known here: one record */
	HT_ROLE_STASH = 2,   /* the call begins: keep what is known now */
	HT_ROLE_FINISH = 3,  /* the call ends: complete what was kept, one record */
	HT_ROLE_GIVE_UP = 4, /* realloc begins: the old block may be reused from here on; keeps as STASH does */
	HT_ROLE_STEER = 5,   /* a call that steers the allocator: its arguments, nothing to finish */
	HT_ROLE_GUARD = 6,   /* where no call should ever come: one that does is counted as lost */
	HT_ROLE_OWN = 7,     /* on a call of the allocator's own free from inside it: that one is no call of the program's */
};

/* What a breakpoint there makes the kernel do, and so what it costs. */
enum ht_trap {
	HT_TRAP_EMULATED = 0, /* the instruction is emulated */
	HT_TRAP_STEPPED = 1,  /* a copy of it is single-stepped */
	HT_TRAP_RETURN = 2,   /* a return probe */
	HT_TRAP_SHARED = 3,   /* nothing of its own: another site stands on the same instruction */
	HT_TRAP_NR,
};

/* Where a value is to be found. */
enum ht_from {
	HT_FROM_NONE = 0,
	HT_FROM_REG = 1,   /* register */
	HT_FROM_REG32 = 2, /* its low 32 bits */
	HT_FROM_STACK = 3, /* 8 bytes at stack pointer + disp */
	HT_FROM_MEM = 4,   /* 8 bytes at register + disp */
	HT_FROM_STASH = 5, /* FINISH: what the stash holds for this value */
};

/* What has to be done to it. */
enum ht_xform {
	HT_XFORM_NONE = 0,
	HT_XFORM_LG_ALIGN = 1, /* jemalloc's flags: alignment is 1 << (v & 63), none if those bits are 0 */
	HT_XFORM_DEREF = 2,    /* FINISH: the result stands at the address in the stash (posix_memalign), valid if v == 0 */
	HT_XFORM_CSTRING = 3,  /* STEER: v points to a name, which goes into the record */
	HT_XFORM_HIGH = 4,     /* mul: the high half of size times mul, whose low half is size: not 0 is an overflow */
};

struct ht_loc {
	__u8 from;  /* enum ht_from */
	__u8 reg;   /* x86-64: the encoding's number, 0 rax .. 15 r15; 16 instruction pointer */
	__u8 xform; /* enum ht_xform */
	__u8 pad;
	__s32 disp;
};

enum ht_site_flag {
	HT_SITE_MAY_TAIL = 1, /* may tail-jump into another probed function of its object: see alloc.bpf.h */
	HT_SITE_REFERENCE = 4, /* sites of another plan for the same function stand as well: this one keeps its own threads' state */
	HT_SITE_INNER = 2,    /* free: the allocator itself calls it too, from struct ht_object's inner_ra, and no HT_ROLE_OWN
	                         stands there to announce it */
};

struct ht_site {
	__u8 kind;  /* enum tape_kind of the event */
	__u8 role;  /* enum ht_role */
	__u8 cond;  /* 0: always; n: only if the processor's condition code n - 1 holds (x86-64: 0 o .. 15 g) */
	__u8 obj;   /* allocator number, index of struct ht_object */
	__u8 flags; /* enum ht_site_flag */
	__u8 trap;  /* enum ht_trap */
	__u16 func; /* sites of one function share this number */
	__s32 ra_off; /* the return address stands at stack pointer + ra_off */
	__u32 pad2;
	struct ht_loc size, mul; /* requested bytes = size * mul; mul absent: 1 */
	struct ht_loc ptr;       /* block: freed by it, or its result */
	struct ht_loc old;       /* realloc: the block given up */
	struct ht_loc align;
};

/* The code of an allocator as mapped in the target: tells calls from inside it. */
struct ht_object {
	__u64 text_start, text_end;
	/* Return addresses of the allocator's own direct calls of its free, 0 where there are fewer. They give back what
	 * no program holds: glibc empties an ending thread's cache that way. */
	__u64 inner_ra[HT_INNER_MAX];
};

/* ---- captures: what a probe in a language's runtime takes down, told in data; user space knows what it means ---- */

enum {
	HT_CAPTURES_MAX = 256,
	HT_CAPTURES_LANGUAGE = 64, /* of these the first are a language's; the others allocators' that the user has described */
	HT_CAPTURE_WORDS = 8,
	HT_CAPTURE_BITS = 1024, /* of a bitmap, at most */
	HT_TALLIES_MAX = 8,
	HT_STG_FRAMES_MAX = 24,
};

/* Where the sum of a load begins: nothing, a register (number + HT_BASE_REG), a word taken down before (index + HT_BASE_WORD). */
enum ht_load_base { HT_BASE_NONE = 0, HT_BASE_REG = 1, HT_BASE_WORD = 32 };

enum ht_load_op {
	HT_LOAD_SUM,       /* base + add */
	HT_LOAD_GHC_DESCR, /* the descriptor of the 4 KiB block that base points into: it stands at its megabyte's begin */
	HT_LOAD_TALLY,     /* tally number `add` */
	HT_LOAD_KEPT,      /* of a return: the 8 bytes at the address that capture `add`, its entry, has kept; 0 if it has none */
};

struct ht_load {
	__u64 add;
	__u8 base;  /* enum ht_load_base */
	__u8 op;    /* enum ht_load_op */
	__u8 width; /* 0: the result itself; 1, 2, 4, 8: as many bytes where it points to */
	__u8 pad[5];
};

/* RETURNING: the probe stands on a return instruction. */
enum ht_capture_stack { HT_CAPTURE_NO_STACK, HT_CAPTURE_NATIVE, HT_CAPTURE_STG, HT_CAPTURE_RETURNING };

struct ht_capture {
	struct ht_load loads[HT_CAPTURE_WORDS];
	__u64 if_mask, if_least; /* only if word if_word & if_mask is at least if_least */
	__u32 nr;      /* loads */
	__u8 if_word;
	__u8 stack;    /* enum ht_capture_stack */
	__u8 bits_at, bits_nr; /* words that hold a bitmap's address and its number of bits, plus 1; 0: none */
	__u8 tally;    /* makes no record, but raises tally number tally - 1; 0: a record */
	__u8 trap;     /* enum ht_trap */
	__u8 keep;     /* word, plus 1, that the same call's return asks for; 0: none */
	__u8 pad;
	__u32 tally_mask; /* and the tally behind that, too, if word if_word has one of these bits */
};

/* ---- records ---- */

enum ht_event_type {
	HT_EV_ALLOC = 1,  /* struct ht_ev_alloc, the short form: old and align left out */
	HT_EV_CALL = 2,   /* struct ht_ev_call */
	HT_EV_FREE = 3,   /* struct ht_ev_free */
	HT_EV_GIVE_UP = 4,/* struct ht_ev_free; addr: the old block, size: what is asked for */
	HT_EV_STEER = 5,  /* struct ht_ev_steer */
	HT_EV_MAP_ENTER = 6, /* struct ht_ev_map: munmap, mremap, brk, madvise begin */
	HT_EV_MAP_EXIT = 7,  /* struct ht_ev_map: any of them, or mmap, has returned */
	HT_EV_THREAD = 8, /* struct ht_ev_thread */
	HT_EV_FAULT = 9,  /* struct ht_ev_free; addr: the page's address */
	HT_EV_EXEC = 10,  /* struct ht_ev_thread */
	HT_EV_FORK = 11,  /* struct ht_ev_thread: the target made a child process, sub: its pid in the first pid namespace */
	HT_EV_STACK = 12, /* struct ht_ev_stack: a stack not seen before, ahead of the first record that names it */
	HT_EV_FREE_AT = 13, /* struct ht_ev_free_at: HT_EV_FREE with a stack */
	HT_EV_CAPTURE = 14, /* struct ht_ev_capture; site: its number */
	HT_EV_CAPTURE_BITS = 15, /* struct ht_ev_capture_bits */
	HT_EV_CHILD = 16, /* struct ht_ev_thread: a child that shared its parent's memory has a program of its own; as HT_EV_FORK */
};

enum ht_event_flag {
	HT_EVF_INNER = 1,  /* free: called from inside a free of the same block, whose record was written */
	HT_EVF_OPEN = 2,   /* mapping: inside a recorded allocator call; obj says whose */
	HT_EVF_START = 4,  /* thread: born */
	HT_EVF_EXIT = 8,   /* thread: ends */
	HT_EVF_SHARES = 16, /* child: in its parent's memory, until it execs */
	HT_EVF_HELD = 32,  /* child: it stands in the table of held processes */
};

struct ht_ev_head {
	__u8 type;  /* enum ht_event_type */
	__u8 flags; /* enum ht_event_flag */
	__u16 site; /* number of the site; records of the control ring: the CPU */
	__u32 tid;
	__u64 ts;
};

struct ht_ev_alloc {
	struct ht_ev_head h;
	__u64 addr; /* 0: the call failed */
	__u64 size;
	__u32 stack;
	__u32 pad;
};

struct ht_ev_call {
	struct ht_ev_head h;
	__u64 addr, size, old, align;
	__u32 stack;
	__u32 pad;
};

struct ht_ev_free {
	struct ht_ev_head h;
	__u64 addr, size;
};

struct ht_ev_free_at {
	struct ht_ev_free f;
	__u32 stack;
	__u32 pad;
};

struct ht_ev_capture {
	struct ht_ev_head h;
	__u64 words[HT_CAPTURE_WORDS];
	__u32 stack;
	__u32 nr_bits;
};

struct ht_ev_capture_bits {
	struct ht_ev_capture c;
	__u64 bits[HT_CAPTURE_BITS / 64];
};

struct ht_ev_steer {
	struct ht_ev_head h;
	__u64 arg0, arg1;
	char name[HT_NAME_LEN];
};

enum ht_map_call { HT_MAP_MMAP, HT_MAP_MUNMAP, HT_MAP_MREMAP, HT_MAP_BRK, HT_MAP_MADVISE };

struct ht_ev_map {
	struct ht_ev_head h;
	__u32 call; /* enum ht_map_call */
	__u32 obj;  /* flag HT_EVF_OPEN: the allocator whose call this is inside of */
	__u64 arg[5];
	__s64 ret; /* MAP_EXIT: as the kernel returns it, -errno on failure */
	__u64 ip;  /* of the caller in user space */
};

struct ht_ev_thread {
	struct ht_ev_head h; /* tid: the thread spoken of */
	__u32 sub;
	__u32 pad;
	char comm[16];
};

/* ---- processes that stop themselves until probes stand in them: one table for all recorders of a family ---- */

enum {
	HT_HELD_MAX = 1024,  /* a power of two */
	HT_HELD_PROBES = 16, /* places that are looked at for one */
	HT_NOBODY = 0xffffffff, /* no process has this number */
};

/*
 * A child is BORN in its parent's fork, and stops itself in its own first step: signal first, then BORN becomes STANDS. Who lets it
 * go exchanges the state: from STANDS with a SIGCONT; from BORN without one, since the child finds the change and takes its own
 * signal back. So nobody ever waits for a stop, and none is left.
 */
enum ht_held_state {
	HT_HELD_NONE,
	HT_HELD_BORN,
	HT_HELD_STANDS,
	HT_HELD_SHARES, /* in its parent's memory: stops at its exec */
	HT_HELD_GONE,   /* let go; the place is free a while later */
};

struct ht_held {
	__u32 tgid;     /* in the first pid namespace; 0: a free place */
	__u32 state;    /* enum ht_held_state */
	__u32 pid;      /* as the recorder numbers it, from STANDS on */
	__u32 recorder; /* in charge */
	__u64 since_ns; /* CLOCK_MONOTONIC */
};

struct ht_held_table {
	struct ht_held places[HT_HELD_MAX];
};

/* Which stops a process makes of itself. */
enum ht_hold_mode {
	HT_HOLD_NONE,
	HT_HOLD_CHILD,    /* the recorder is its parent and learns of stops as such */
	HT_HOLD_FOLLOWED, /* at exec and where it maps code, by way of the table */
	HT_HOLD_AT_EXEC,  /* the same, from its next exec on */
};

/* ---- losses: one of these a CPU ---- */

enum ht_loss { HT_LOSS_RING_FULL, HT_LOSS_STASH_FULL, HT_LOSS_MAP_FULL, HT_LOSS_STACK, HT_LOSS_PLAN, HT_LOSS_NR };

#define HT_TIMED_EVERY 64 /* a power of two */

struct ht_counters {
	__s64 lost[HT_LOSS_NR]; /* calls; the sum over all CPUs is what counts, one CPU's may be negative */
	__u64 lost_last_ts;
	__u64 nested;  /* calls of wrappers, and calls inside a call, that made no record */
	__u64 traps[HT_TRAP_NR]; /* times a site was reached; HT_TRAP_SHARED: together with another, so no trap */
	__u64 timed_ns, timed; /* time that the program took in every HT_TIMED_EVERYth trap, and how many these were */
	__u64 other_lost; /* records that are no calls (faults, mappings, threads) and found no room */
};

/* ---- stacks: what user space lays down to unwind by, and what comes back ---- */

enum {
	HT_FRAMES_MAX = 512,        /* --max-frames may ask for as many */
	HT_STACK_WINDOW = 1 << 22,  /* a memo this many stacks old is not used any more, so that its number can be forgotten */
	HT_RULES_MAX = 1 << 14,     /* different rules of all objects together */
	HT_PAGES_MAX = 1 << 15,     /* 64 KiB pages of code of all objects together: 2 GiB */
	HT_SHARD_ROWS = 1 << 15,    /* rows of one inner map, 128 KiB */
	HT_SHARDS_MAX = 256,
	HT_PAGE_ROWS_MAX = 1 << 14, /* of one 64 KiB page */
	HT_TEXTS_MAX = 1 << 12,     /* executable mappings of a process */
	HT_TEXT_CHANGES = 256,      /* of them, that the recorder may find while it makes a list */
	HT_MEMO_WORDS = 256,        /* stack words that a memo holds: return addresses, and the frame pointers that were needed */
	HT_MEMO_SPAN = 32768,       /* bytes of stack that a memo may cover */
	HT_MEMO_WAYS = 4,
	HT_MEMO_CHUNK = 4096,       /* words that a piece of the memos' store holds */
	HT_FRAME_SHIFT = 48,        /* a frame is object number << 48 | offset in its file; object 0: an address */
};

enum ht_stacks_mode { HT_STACKS_NONE, HT_STACKS_EH, HT_STACKS_FP };

/* Why a stack ends before its outermost frame. On the tape only as counts: append, never renumber. */
enum ht_cut {
	HT_CUT_NONE,
	HT_CUT_MAX_FRAMES, /* --max-frames */
	HT_CUT_STALE,      /* code was mapped or unmapped, and its tables were not there yet */
	HT_CUT_NO_CODE,    /* a return address in no known code */
	HT_CUT_NO_ROW,     /* code of a file whose .eh_frame does not cover it */
	HT_CUT_RULE,       /* a rule that is not understood, or needs a register that is not known any more */
	HT_CUT_UNREADABLE, /* the stack could not be read */
	HT_CUT_FP,         /* code without tables, and the frame pointer does not lead to a call */
	HT_CUT_BUSY,       /* other stacks are being walked on this CPU */
	HT_CUT_NR,
};

/* Where the frame's CFA, its caller's rbp and its return address stand. */
enum ht_cfa {
	HT_CFA_NONE,     /* the stack is cut here; cfa_off: enum ht_cut */
	HT_CFA_SP,       /* rsp + cfa_off */
	HT_CFA_BP,       /* rbp + cfa_off */
	HT_CFA_SP_DEREF, /* the word at rsp + cfa_off, plus cfa_add */
	HT_CFA_BP_DEREF,
	HT_CFA_FP,       /* no row, but much code without one (an interpreter's blob): by frame pointer where that verifies */
	HT_CFA_PLT,      /* rsp + cfa_off, and 8 more from byte cfa_add of a 16-byte PLT entry on */
};
enum ht_bp { HT_BP_SAME, HT_BP_CFA, HT_BP_BP, HT_BP_SP, HT_BP_LOST }; /* saved at bp_off from there */
enum ht_ra { HT_RA_CFA, HT_RA_SP, HT_RA_END };                        /* at ra_off from there; END: the outermost frame */
enum ht_rule_flag { HT_RULE_SIGNAL = 1 };                             /* the caller was interrupted, it did not call */

struct ht_rule {
	__s32 cfa_off, cfa_add;
	__s16 bp_off, ra_off;
	__u8 cfa, bp, ra, flags;
};

/* Rows of 64 KiB of code: low 16 bits of the address from which on a rule holds, rule << 16. The first row's address is
 * 0, so a search never leaves the page. */
struct ht_page {
	__u32 row; /* shard * HT_SHARD_ROWS + index; a page does not cross a shard's end */
	__u32 nr;
};

struct ht_shard {
	__u32 rows[HT_SHARD_ROWS];
};

enum ht_text_kind {
	HT_TEXT_ROWS,
	HT_TEXT_FP,         /* no tables: by frame pointer, where that verifies */
	HT_TEXT_TRAMPOLINE, /* the kernel's, for return probes: stands in the place of a return address */
};

/* An executable mapping. */
struct ht_text {
	__u64 start, end;
	__u64 offset;     /* of start in the file */
	__u64 vaddr;      /* of start in the object, counted from its first page's start */
	__u32 first_page; /* index of the object's first page */
	__u32 nr_pages;
	__u16 object;
	__u16 kind; /* enum ht_text_kind */
	__u32 pad;
};

/* Where code came or went: number `seq` stands at seq modulo HT_TEXT_CHANGES, once its seq says so. */
struct ht_text_change {
	__u64 seq, start, end;
};

/* All of them by address. Two lists, so that one is written while the other is read: see stack.bpf.h. */
struct ht_texts {
	__u64 gen; /* text_gen for which this list was made */
	__u64 seq; /* map_seq when the mappings were read */
	__u32 confirmed; /* all that changed between the look at the mappings and the list's coming into force is in it */
	__u32 nr;
	struct ht_text texts[HT_TEXTS_MAX];
};

/* Behind it stand nr frames of 64 bits, innermost first. */
struct ht_ev_stack {
	struct ht_ev_head h;
	__u32 id;
	__u16 nr;
	__u8 cut; /* enum ht_cut */
	__u8 pad;
};

/* One of these a CPU. */
struct ht_stack_counters {
	__u64 hits, misses; /* misses: walks */
	__u64 evictions;    /* memos that were alive and gave way to others */
	__u64 not_kept;     /* walks whose stack is too wide or too deep for a memo, or not to be relied on later */
	__u64 lost;         /* new stacks for which the ring had no room: their calls go without */
	__u64 frames;       /* of all walks */
	__u64 cut[HT_CUT_NR]; /* walks cut short, by cause; events that hit such a memo are not counted again */
	__u64 pad;
};

#endif
