/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Children of the target. Each has a recorder of its own: a copy of its parent's, made where the stream of records comes to the
 * child's birth, so that the copy has the ledger of that very moment. The child stands meanwhile (bpf/follow.bpf.h).
 */
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "formats/process_folder.h"
#include "message.h"
#include "target/files.h"
#include "record/session_impl.h"

#define PATIENCE_NS 2000000000ull /* no child stands for longer because its parent's recorder has not come to it */
#define WAIT_US 5000
#define NAMES_MAX 1000 /* of one pid in one folder */

struct follow {
	struct family *family;
	int place;
	struct family_process *row; /* of what is told at the end; NULL: the list is full */
	pid_t *copies;              /* that this recorder has made and not yet seen ended */
	unsigned nr_copies, room;
	struct ring_buffer *doorbell;
	uint32_t holds_seen, untold_before;
	bool begun; /* the process is recorded: there is a tape */
	unsigned nr_recorded, nr_left_out;
	char why[160]; /* the first that was left out */
	char file[32], parent_file[32];
	const char *start; /* how this process began: a meta value */
	pid_t parent;
	uint64_t held_ns;
	char name[16]; /* in front of this recorder's lines */
};

/* ---- the folder ---- */

/* Only tapes of processes are taken out of a folder that is written over. */
static void empty_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (process_tape_is_name(e->d_name))
			unlinkat(dirfd(dir), e->d_name, 0);
	if (dir)
		closedir(dir);
}

int session_follow_folder(struct session *s, const char *folder, char *path, size_t path_nbytes)
{
	struct stat st;
	int err = mkdir(folder, 0700) ? -errno : 0;

	if (err == -EEXIST && s->opts->overwrite && !stat(folder, &st)) {
		err = S_ISDIR(st.st_mode) ? 0 : unlink(folder) || mkdir(folder, 0700) ? -errno : 0;
		if (!err)
			empty_folder(folder);
	}
	if (err == -EEXIST)
		return session_fail(s, err, "%s is there already; -f overwrites it, -o names another", folder);
	if (err)
		return session_fail(s, err, "the folder %s, for the tapes of all processes, cannot be made: %s", folder, strerror(-err));
	snprintf(s->res->folder, sizeof(s->res->folder), "%s", folder);
	if ((size_t)snprintf(path, path_nbytes, "%s/%d" PROCESS_TAPE_SUFFIX, folder, s->process.pid) >= path_nbytes)
		return session_fail(s, -ENAMETOOLONG, "%s: the name is too long", folder);
	return 0;
}

/* ---- the first recorder ---- */

/* Who stands is let go by a signal, and a child may have become another user's: without the right it would stand for ever. */
static bool may_signal_all(void)
{
	uint64_t effective = 0;
	char *status, *line;

	if (file_read_all_at(AT_FDCWD, "/proc/self/status", &status, NULL))
		return false;
	line = strstr(status, "\nCapEff:");
	if (line)
		effective = strtoull(line + sizeof("\nCapEff:") - 1, NULL, 16);
	free(status);
	return effective >> CAP_KILL & 1;
}

int session_follow_open(struct session *s, struct kernel_opts *ko)
{
	struct follow *f;
	int err;

	if (!s->opts->follow)
		return 0;
	if (!may_signal_all())
		return session_fail(s, -EPERM, "no right to let children go that were held at their birth: --follow-fork needs CAP_KILL; run as root");
	f = s->follow = calloc(1, sizeof(*f));
	err = f ? family_new(s->opts->follow, &f->family) : -ENOMEM;
	if (err)
		return session_fail_kernel(s, err, "making the table of held processes");
	s->res->family = f->family;
	ko->follows = ko->family_head = true;
	ko->held_fd = family_held_fd(f->family);
	return 0;
}

/* What it says is of no interest: that it rings is. */
static int on_bell(void *ctx, void *data, size_t nbytes)
{
	(void)ctx;
	(void)data;
	(void)nbytes;
	return 0;
}

static int hang_doorbell(struct session *s)
{
	struct follow *f = s->follow;

	f->doorbell = ring_buffer__new(kernel_doorbell(&s->kernel), on_bell, NULL, NULL);
	if (!f->doorbell)
		return session_fail(s, -errno, "the ring buffers cannot be read: %s", strerror(errno));
	ring_buffer__consume(f->doorbell);
	f->holds_seen = kernel_nr_holds(&s->kernel);
	f->untold_before = kernel_nr_untold(&s->kernel);
	return 0;
}

int session_follow_begin(struct session *s)
{
	struct follow *f = s->follow;
	struct kernel_opts ko;
	const char *why = "";
	int err;

	if (!f)
		return 0;
	message_progress("loading programs for children");
	ko = session_kernel_opts(s);
	ko.follows = true;
	ko.held_fd = family_held_fd(f->family);
	err = family_load_spares(f->family, &ko, &why);
	message_progress(NULL);
	if (err)
		return session_fail_kernel(s, err, why);
	snprintf(f->file, sizeof(f->file), "%d" PROCESS_TAPE_SUFFIX, s->process.pid);
	err = family_begin(f->family, s->process.pid, f->file);
	if (err)
		return session_fail(s, err, "the guard of held processes cannot be started: %s", strerror(-err));
	f->row = (struct family_process *)family_process(f->family, 0);
	f->start = s->opts->pid ? "attach" : "command";
	f->begun = true;
	err = hang_doorbell(s);
	if (err)
		return err;
	kernel_target(&s->kernel, s->process.pid, s->opts->pid ? HT_HOLD_AT_EXEC : HT_HOLD_CHILD);
	kernel_follow(&s->kernel, true);
	return 0;
}

void session_follow_free(struct session *s)
{
	if (!s->follow)
		return;
	ring_buffer__free(s->follow->doorbell);
	free(s->follow->copies);
	free(s->follow);
	s->follow = NULL;
}

/* ---- a copy: from the parent's recording to the child's ---- */

/* Descriptors that the copy goes on with. What finds no room here is opened again where it is needed. */
struct keep {
	int fds[4096];
	unsigned nr;
};

static void keep_fd(void *arg, int fd)
{
	struct keep *k = arg;

	if (k->nr < sizeof(k->fds) / sizeof(k->fds[0]))
		k->fds[k->nr++] = fd;
}

/* What the parent's recorder has under way is not this one's. Its memory is left alone: only what costs the kernel something
 * goes. Nothing is detached, which would detach the parent's. */
static void drop_parents(struct session *s)
{
	struct keep keep = { 0 };

	for (unsigned i = 0; i < s->nr_placed; i++)
		keep_fd(&keep, object_fd(s->placed[i].a->obj));
	if (s->stacks)
		stacks_each_fd(s->stacks, keep_fd, &keep);
	ring_buffer__free(s->follow->doorbell); /* unmaps, and closes what is only this copy's */
	drain_free(s->drain);
	hold_free(&s->hold);
	family_close_others(s->follow->family, keep.fds, keep.nr);
	s->follow->doorbell = NULL;
	s->drain = NULL;
	s->attach = NULL;
	s->stacks = NULL;
	s->embed = NULL;
	/* A runtime's probes are its parent's; a child that is to have its own starts as a program (exec). Which pools described
	 * allocators have, a forked child's recorder does not know. */
	s->lacks_objects = s->runtime || s->custom;
	s->captures = NULL;
	s->runtime = NULL;
	s->runtime_obj = NULL;
	s->runtime_profile = NULL;
	s->custom = NULL;
	s->unseen_told = false;
	s->ring = NULL;
	s->writer = NULL;
	s->ledger = NULL;
	s->live = NULL;
	s->baseline = NULL;
	s->passage = NULL;
	s->spoilt = NULL;
	s->holding = s->noting = s->dump_asked = s->rss_triggered = s->too_dear = false;
	s->launch = (struct launch){ .pid = -1, .go_fd = -1, .failed_fd = -1 };
	s->process = (struct process){ .proc_fd = -1, .mem_fd = -1, .pid_fd = -1 };
	s->begin_ns = s->end_ns = 0;
	s->nr_inventories = 1;
	s->program_ns = 0;
}

/* What was asked for the first process, as far as it is for all. */
static int copy_options(struct session *s, struct session_opts **opts_ret)
{
	struct session_opts *opts = malloc(sizeof(*opts));
	struct session_result *res = calloc(1, sizeof(*res));

	if (!opts || !res)
		return session_fail(s, -ENOMEM, "out of memory");
	*opts = *s->opts;
	opts->pid = 0; /* as soon as it stands */
	opts->argv = NULL;
	opts->overwrite = opts->live = false;
	opts->duration_ns = 0; /* the first recorder says when it is over */
	opts->baseline = BASELINE_NONE;
	opts->ready_fd = -1;
	res->costs = s->res->costs;
	strcpy(res->folder, s->res->folder);
	s->opts = *opts_ret = opts;
	s->res = res;
	return 0;
}

/* Programs that are loaded already, or, where none are left, more of them: the child stands that much longer. */
static int copy_kernel(struct session *s)
{
	struct follow *f = s->follow;
	struct kernel_opts ko;
	const char *why = "";
	int err;

	if (family_take_spare(f->family, f->place, &s->kernel))
		return 0;
	ko = session_kernel_opts(s);
	ko.pid = 0;
	ko.hold = HT_HOLD_NONE;
	ko.follows = ko.small = true;
	ko.held_fd = family_held_fd(f->family);
	err = kernel_open(&ko, &s->kernel, &why);
	family_loaded(f->family, f->place);
	return err ? session_fail_kernel(s, err, why) : 0;
}

/* A tape of its own, by the name of its pid: a pid may come again. */
static int copy_tape(struct session *s, struct tape_writer *inherited)
{
	struct tape_writer_opts wo = { .time_unit_ns = s->opts->time_unit_ns };
	struct follow *f = s->follow;
	char path[sizeof(s->res->tape_path)];
	int err = -EEXIST;

	for (unsigned n = 1; err == -EEXIST && n < NAMES_MAX; n++) {
		char number[16] = "";

		if (n > 1)
			snprintf(number, sizeof(number), "-%u", n);
		snprintf(f->file, sizeof(f->file), "%d%s" PROCESS_TAPE_SUFFIX, s->process.pid, number);
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", s->res->folder, f->file) >= sizeof(path))
			return session_fail(s, -ENAMETOOLONG, "%s: the name is too long", s->res->folder);
		ring_free(s->ring);
		s->ring = NULL;
		err = ring_open(path, &s->opts->ring, false, &s->ring);
		if (err)
			break;
		ring_prepare(s->ring, &wo, path, sizeof(path));
		err = inherited ? tape_writer_branch(inherited, path, &wo) : tape_writer_open(path, &wo, &s->writer);
	}
	if (!err && inherited)
		s->writer = inherited;
	if (!err)
		strcpy(s->res->tape_path, path); /* from here on the file is this process's, to be removed if nothing comes of it */
	return err ? session_fail(s, err, "%s cannot be written: %s", path, strerror(-err)) : 0;
}

/* What a recorder that was killed has left in the rings is nobody's. */
static int empty_rings(struct session *s)
{
	unsigned cpu;
	size_t nbytes;
	int err = drain_collect(s->drain, clock_monotonic_ns(), &nbytes);

	drain_finish(s->drain);
	while (!err && drain_next(s->drain, &cpu))
		;
	return err ? session_fail(s, err, "the ring buffers cannot be read: %s", strerror(-err)) : 0;
}

static int copy_inventory(struct session *s, unsigned current, bool inherits)
{
	if (inherits) {
		s->inventories[0] = s->inventories[current];
		return 0;
	}
	s->nr_inventories = s->nr_placed = 0;
	return session_new_inventory(s);
}

/* The child's tape starts: with what its parent had, or with nothing. */
static int copy_start(struct session *s)
{
	struct tape_event mark = { .kind = TAPE_MARK, .arg = TAPE_MARK_START, .alloc = TAPE_NO_ALLOC, .tid = (uint32_t)s->process.pid };
	int err;

	mark.ns = s->begin_ns - s->start_ns;
	session_count_from_here(s);
	err = session_write_meta(s);
	if (!err)
		err = ring_begin_at(s->ring, s->writer, ledger_heap(s->ledger), ledger_state(s->ledger), mark.ns);
	if (err)
		return session_fail(s, err, "%s: its first keyframe could not be begun: %s", s->res->tape_path, strerror(-err));
	err = tape_writer_add(s->writer, &mark);
	if (err)
		return session_fail_tape(s, err);
	session_brake_start(s);
	return session_note_threads(s);
}

/* Objects of its parent's runtime, or pools: what ends them together is not seen. */
static int tell_lacks(struct session *s)
{
	static const char words[] = "objects of its parent's runtime and pools: their ends are not seen, and they are told as living";
	int err = tape_writer_meta(s->writer, "process.lacks", words);

	message_warn("child %d has %s", s->process.pid, words);
	return err ? session_fail_tape(s, err) : 0;
}

/* All that must be before the child takes its first step. */
static int copy_begin(struct session *s, const struct ht_ev_thread *e, struct ht_held *held)
{
	bool inherits = e->h.type == HT_EV_FORK;
	unsigned current = s->nr_inventories - 1;
	struct follow *f = s->follow;
	struct ledger *ledger = inherits ? s->ledger : NULL;
	struct tape_writer *writer = inherits ? s->writer : NULL;
	struct stacks *stacks = inherits ? s->stacks : NULL;
	uint64_t begin_ns = e->h.ts;
	struct session_opts *opts = NULL;
	int err;

	f->parent = s->process.pid;
	strcpy(f->parent_file, f->file);
	f->start = inherits ? "fork" : "exec";
	f->nr_recorded = f->nr_left_out = f->nr_copies = f->room = 0;
	f->copies = NULL;
	f->begun = false;
	*f->why = '\0';
	drop_parents(s);
	err = copy_options(s, &opts);
	if (!err && family_wait_standing(held))
		err = session_fail(s, -ETIME, "it did not stop at its start");
	if (err)
		return err;
	opts->pid = (pid_t)held->pid;
	snprintf(f->name, sizeof(f->name), "%d", s->opts->pid);
	message_name(f->name);
	err = session_block_signals(s);
	if (!err)
		err = session_open_target(s, s->opts->pid);
	if (!err)
		err = copy_kernel(s);
	if (!err)
		err = hang_doorbell(s);
	if (!err)
		err = copy_tape(s, writer);
	if (!err && ledger)
		ledger_branch(ledger);
	s->begin_ns = begin_ns; /* on the tape's clock from here on */
	if (!err)
		err = session_open_stream(s, ledger, stacks);
	if (!err)
		err = empty_rings(s);
	if (!err)
		err = copy_inventory(s, current, inherits);
	if (err)
		return err;
	s->from_exec |= !inherits;
	kernel_target(&s->kernel, s->process.pid, HT_HOLD_FOLLOWED);
	kernel_follow(&s->kernel, true);
	f->holds_seen = kernel_nr_holds(&s->kernel);
	err = inherits ? session_place_inherited(s) : session_place_new(s);
	if (!err && inherits)
		err = session_custom_place(s);
	if (!err && inherits && s->lacks_objects)
		err = tell_lacks(s);
	if (!err)
		err = session_follow_code(s);
	if (!err)
		session_watch_faults(s);
	return err ? err : copy_start(s);
}

static void fill_row(const struct session *s, bool good)
{
	struct family_process *row = s->follow->row;

	if (!row)
		return;
	row->calls = s->res->totals.events;
	row->lost = s->res->totals.lost;
	row->live_nbytes = s->res->totals.live_nbytes;
	row->unknown_frees = s->res->totals.unknown_frees;
	row->state = good ? FAMILY_ENDED : FAMILY_FAILED;
}

/* The life of a copy. Its status as a process tells its maker nothing. */
static void copy_run(struct session *s, const struct ht_ev_thread *e, struct ht_held *held, int place)
{
	struct follow *f = s->follow;
	uint64_t since = held->since_ns;
	pid_t child = (pid_t)e->sub;
	const struct session_result *parents = s->res;
	int err;

	f->place = place;
	f->row = NULL;
	family_become(f->family, place, 0);
	held->recorder = (uint32_t)getpid();
	err = copy_begin(s, e, held);
	f->begun = !err;
	if (!err) {
		f->row = family_process_new(f->family, place, s->process.pid, f->parent);
		f->held_ns = clock_monotonic_ns() - since;
		if (f->row) {
			strcpy(f->row->file, f->file);
			f->row->start_ns = s->begin_ns - s->start_ns;
			f->row->held_ns = f->held_ns;
		}
	}
	/* By now the place may be another process's, if this one was let go for having stood too long. */
	if ((held->tgid != e->sub || !family_let_go(held)) && !err) {
		message_warn("child %d was let go before every probe stood: what it called at first is not recorded", s->process.pid);
		err = tape_writer_meta_u64(s->writer, "process.let_go_early", 1);
	}
	if (!err)
		err = tape_writer_meta_u64(s->writer, "process.held_ns", f->held_ns);
	if (!err) {
		s->embed = embed_new(&s->process, s->opts->embed_symbols);
		message_verbose("recording child %d of %d: %u sites, it stood for %llu us", s->process.pid, f->parent, attach_nr_sites(s->attach),
				(unsigned long long)f->held_ns / 1000);
		err = session_record_until_end(s);
	}
	if (!err || s->writer)
		err = session_finish(s, err);
	if (!f->begun) {
		family_count_left_out(f->family);
		if (s->res != parents && *s->res->tape_path)
			unlink(s->res->tape_path);
	}
	/* One that is gone already is none that could be recorded. */
	if (err && err != -ESRCH)
		message_warn("child %d of %d is not recorded%s: %s", s->process.pid > 0 ? s->process.pid : child, f->parent,
			     f->begun ? " any more" : "", *s->res->error ? s->res->error : strerror(-err));
	fill_row(s, !err);
	family_lose_patience(f->family, 0); /* born after the end mark */
	family_leave(f->family, place);
}

/* ---- the parent's side ---- */

static void leave_out(struct session *s, const struct ht_ev_thread *e, const char *why)
{
	struct follow *f = s->follow;

	if (!f->nr_left_out++) {
		snprintf(f->why, sizeof(f->why), "%s", why);
		message_warn("child %u of %d is not recorded: %s", e->sub, s->process.pid, why);
	}
	family_count_left_out(f->family);
}

static int note_copy(struct follow *f, pid_t pid)
{
	if (f->nr_copies == f->room) {
		unsigned room = f->room ? 2 * f->room : 16;
		pid_t *copies = reallocarray(f->copies, room, sizeof(*copies));

		if (!copies)
			return -ENOMEM;
		f->copies = copies;
		f->room = room;
	}
	f->copies[f->nr_copies++] = pid;
	return 0;
}

int session_follow_child(struct session *s, const struct ht_ev_thread *e)
{
	struct follow *f = s->follow;
	struct ht_held *held;
	char why[sizeof(f->why)];
	int place;
	pid_t pid;

	if (e->h.type == HT_EV_FORK && (e->h.flags & HT_EVF_SHARES))
		return 0; /* told again when it execs */
	held = e->h.flags & HT_EVF_HELD ? family_held(f->family, e->sub) : NULL;
	if (e->h.ts < s->start_ns) {
		if (held)
			family_let_go(held);
		return 0;
	}
	if (!held || held->state == HT_HELD_GONE) {
		leave_out(s, e, held ? "it had stood for 2 s before its recorder could be made, and was let go" :
				       "it was not held: too many processes were born at once");
		return 0;
	}
	place = family_enter(f->family);
	if (place < 0) {
		family_let_go(held);
		if (family_end_asked(f->family) >= 0)
			return 0;
		snprintf(why, sizeof(why), "%u processes are recorded already (--follow-max)", s->opts->follow);
		leave_out(s, e, why);
		return 0;
	}
	pid = fork();
	if (!pid) {
		copy_run(s, e, held, place);
		_exit(0);
	}
	if (pid < 0) {
		snprintf(why, sizeof(why), "the recorder cannot be copied: %s", strerror(errno));
		family_leave(f->family, place);
		family_let_go(held);
		leave_out(s, e, why);
		return 0;
	}
	family_become(f->family, place, pid);
	f->nr_recorded++;
	return note_copy(f, pid) ? session_fail(s, -ENOMEM, "out of memory") : 0;
}

int session_follow_holds(struct session *s)
{
	struct follow *f = s->follow;
	struct ht_held *held;
	uint32_t nr;
	size_t nbytes;
	int err;

	if (!f)
		return 0;
	nr = kernel_nr_holds(&s->kernel);
	if (nr == f->holds_seen)
		return 0;
	f->holds_seen = nr;
	err = session_drain(s, &nbytes);
	if (!err)
		err = session_follow_target(s);
	if (!err)
		err = session_place_new(s);
	held = family_held_by_pid(f->family, s->process.pid);
	if (held)
		family_let_go(held);
	else
		kill(s->process.pid, SIGCONT); /* another of its threads stopped it again meanwhile */
	return err;
}

/* Copies that have ended are seen off; who has stood for too long goes on. */
void session_follow_step(struct session *s)
{
	struct follow *f = s->follow;

	if (!f)
		return;
	for (unsigned i = 0; i < f->nr_copies; i++)
		if (waitpid(f->copies[i], NULL, WNOHANG) != 0)
			f->copies[i--] = f->copies[--f->nr_copies];
	ring_buffer__consume(f->doorbell);
	if (!f->parent && family_renew_guard(f->family))
		message_warn("the guard of held processes was killed; another one is there");
	family_lose_patience(f->family, PATIENCE_NS);
}

int session_follow_doorbell(const struct session *s)
{
	return s->follow ? kernel_doorbell(&s->kernel) : -1;
}

bool session_follow_end_asked(struct session *s)
{
	int cause = s->follow ? family_end_asked(s->follow->family) : -1;

	if (cause >= 0) /* the guard, which asks when the first recorder was killed, knows none of these */
		s->res->end = cause == SESSION_DURATION ? SESSION_DURATION : SESSION_SIGNAL;
	return cause >= 0;
}

/* ---- on the tape ---- */

int session_follow_execed(struct session *s)
{
	char *exe = s->follow ? process_exe(&s->process) : NULL;
	int err = exe ? tape_writer_meta(s->writer, "process.exe", exe) : 0;

	free(exe);
	return err ? session_fail_tape(s, err) : 0;
}

int session_follow_meta(struct session *s)
{
	const struct follow *f = s->follow;
	int err;

	if (!f)
		return 0;
	err = tape_writer_meta(s->writer, "process.start", f->start);
	if (err || !f->parent)
		return err;
	err = tape_writer_meta_u64(s->writer, "process.parent", (uint64_t)f->parent);
	if (!err)
		err = tape_writer_meta(s->writer, "process.parent_file", f->parent_file);
	return err ? err : tape_writer_meta_u64(s->writer, "process.start_ns", s->begin_ns - s->start_ns);
}

int session_follow_write_totals(struct session *s)
{
	struct follow *f = s->follow;
	uint32_t untold;
	int err;

	if (!f)
		return 0;
	untold = kernel_nr_untold(&s->kernel) - f->untold_before;
	for (uint32_t i = 0; i < untold; i++)
		family_count_left_out(f->family);
	if (untold && !f->nr_left_out)
		snprintf(f->why, sizeof(f->why), "no record tells of it: the control ring was full");
	f->nr_left_out += untold;
	err = tape_writer_meta_u64(s->writer, "children.recorded", f->nr_recorded);
	if (!err && f->nr_left_out)
		err = tape_writer_meta_u64(s->writer, "children.left_out", f->nr_left_out);
	if (!err && f->nr_left_out)
		err = tape_writer_meta(s->writer, "children.left_out.why", f->why);
	return err;
}

/* ---- the end ---- */

bool session_follow_is_gone(const struct session *s)
{
	return s->follow && s->follow->parent && !process_is_alive(&s->process);
}

void session_follow_ended(struct session *s)
{
	if (s->follow && s->follow->parent)
		family_give_spare(s->follow->family, s->follow->place);
}

void session_follow_wait(struct session *s)
{
	struct follow *f = s->follow;
	uint64_t deadline = s->opts->duration_ns && s->start_ns ? s->start_ns + s->opts->duration_ns : UINT64_MAX;

	if (!f || !f->begun)
		return;
	family_lose_patience(f->family, 0); /* born after the end mark */
	fill_row(s, !*s->res->error);
	if (*s->res->error || s->res->end == SESSION_SIGNAL || s->res->end == SESSION_DURATION)
		family_ask_end(f->family, s->res->end == SESSION_DURATION ? SESSION_DURATION : SESSION_SIGNAL);
	while (family_is_busy(f->family)) {
		usleep(WAIT_US);
		session_follow_step(s);
		if (session_read_signals(s))
			family_ask_end(f->family, SESSION_SIGNAL);
		if (clock_monotonic_ns() >= deadline)
			family_ask_end(f->family, SESSION_DURATION);
		message_progress("the first process has ended; others are still recorded");
	}
	message_progress(NULL);
	session_follow_step(s);
}
