/* SPDX-License-Identifier: BSD-2-Clause */
/* Loads the BPF object, makes a ring for each CPU and attaches what is no allocator site. */
#include "kernel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf/record.skel.h"
#include "message.h"

#define ATTACH_UPROBE_MULTI ((enum bpf_attach_type)48) /* BPF_TRACE_UPROBE_MULTI of Linux 6.6's headers, younger than Debian 12's */
#define CONTROL_RING_NBYTES (1u << 20) /* 7,000 system calls between two looks */
#define MEMO_SETS 16384u  /* of HT_MEMO_WAYS, 64 bytes each: 4 MiB */
#define MEMO_CHUNKS 512u /* 16 MiB: 65,536 memos of 32 frames */
#define SHARDS_READY 12u /* 400,000 rows: python3 and its libraries */
#define SMALL_SHARE 8u    /* of that, where there are many recordings */
#define SCRATCHES_A_CPU 2 /* bpf/stack.bpf.h */
#define FILES_MAX 262144 /* descriptors: more than threads that were ever seen in a process */
#define VERIFIER_LINES 12
#define FILES_SPARE 8    /* an eighth is left for all else when threads have taken theirs */
#define INIT_PID_NS_INO 0xEFFFFFFCu /* PROC_PID_INIT_INO, the same on every kernel */

/* Of what a verifier says, thousands of lines, the end tells what it does not like. */
static int print_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char *text, *line, *end;
	int nr = 0;

	if (message_level < 1 || level == LIBBPF_DEBUG || vasprintf(&text, fmt, ap) < 0)
		return 0;
	end = text + strlen(text);
	while (end > text && end[-1] == '\n')
		*--end = '\0';
	for (line = end; line > text && nr < VERIFIER_LINES; line--)
		nr += line[-1] == '\n';
	if (nr == VERIFIER_LINES)
		line++; /* behind the newline in front of them */
	for (char *next = line; next; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		message_verbose("%s", line);
	}
	free(text);
	return 0;
}

/* The attach type appeared with 6.6: creating a link with it tells -EINVAL before, another error (no such path) since. */
bool kernel_has_multi(void)
{
	struct bpf_insn insns[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K }, { .code = BPF_JMP | BPF_EXIT } };
	LIBBPF_OPTS(bpf_prog_load_opts, load, .expected_attach_type = ATTACH_UPROBE_MULTI);
	LIBBPF_OPTS(bpf_link_create_opts, create);
	unsigned long offset = 0;
	int prog_fd, link_fd;

	prog_fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, NULL, "Dual BSD/GPL", insns, 2, &load);
	if (prog_fd < 0)
		return false;
	create.uprobe_multi.path = "/";
	create.uprobe_multi.offsets = &offset;
	create.uprobe_multi.cnt = 1;
	link_fd = bpf_link_create(prog_fd, -1, ATTACH_UPROBE_MULTI, &create);
	close(prog_fd);
	if (link_fd >= 0)
		close(link_fd);
	return link_fd >= 0 || link_fd == -EBADF;
}

bool kernel_is_too_old(char *lacks, size_t lacks_nbytes)
{
	static const struct {
		enum bpf_func_id helper;
		const char *words;
	} needed[] = { { BPF_FUNC_task_storage_get, "storage of a thread's own (5.11)" },
		       { BPF_FUNC_get_attach_cookie, "attach cookies (5.15)" },
		       { BPF_FUNC_loop, "bpf_loop (5.17)" } };
	size_t len = 0;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, needed[i].helper, NULL) && len < lacks_nbytes)
			len += (size_t)snprintf(lacks + len, lacks_nbytes - len, "%s%s", len ? ", " : "", needed[i].words);
	return len;
}

/* In a child's first step. */
static bool is_birth(const struct bpf_program *prog)
{
	return !strncmp(bpf_program__name(prog), "child_", 6);
}

static void choose_programs(const struct kernel_opts *opts, struct kernel *k)
{
	bool multi = k->backend == KERNEL_MULTI;
	struct bpf_program *prog;

	bpf_program__set_autoload(k->skel->progs.multi_entry, multi);
	bpf_program__set_autoload(k->skel->progs.multi_return, multi);
	bpf_program__set_autoload(k->skel->progs.perf_entry, !multi);
	bpf_program__set_autoload(k->skel->progs.perf_return, !multi);
	bpf_program__set_autoload(k->skel->progs.multi_capture, multi && opts->captures);
	bpf_program__set_autoload(k->skel->progs.multi_capture_return, multi && opts->captures);
	bpf_program__set_autoload(k->skel->progs.perf_capture, !multi && opts->captures);
	bpf_program__set_autoload(k->skel->progs.perf_capture_return, !multi && opts->captures);
	bpf_map__set_autocreate(k->skel->maps.captures_kept, opts->captures);
	bpf_program__set_autoload(k->skel->progs.on_fault, opts->faults);
	bpf_object__for_each_program(prog, k->skel->obj)
		if (!strncmp(bpf_program__section_name(prog), "tp/", 3))
			bpf_program__set_autoload(prog, is_birth(prog) ? opts->family_head : opts->mappings);
}

unsigned kernel_nr_cpus(void)
{
	int nr = libbpf_num_possible_cpus();

	return nr < 1 ? 1 : nr < HT_CPUS_MAX ? (unsigned)nr : HT_CPUS_MAX - 1;
}

/* What stacks need is made only if there are to be any. */
static void set_stacks(const struct kernel_opts *opts, struct kernel *k)
{
	unsigned share = opts->small ? SMALL_SHARE : 1;

	k->skel->rodata->stacks_mode = (__u8)opts->stacks;
	k->skel->rodata->stacks_frees = opts->stacks && opts->free_stacks;
	if (opts->max_frames)
		k->skel->rodata->stacks_frames = opts->max_frames;
	if (!opts->stacks)
		return;
	k->skel->rodata->memo_sets_mask = MEMO_SETS / share - 1;
	k->skel->rodata->memo_chunks_mask = MEMO_CHUNKS / share - 1;
	bpf_map__set_max_entries(k->skel->maps.memo_chunks, MEMO_CHUNKS / share);
	bpf_map__set_max_entries(k->skel->maps.memos, MEMO_SETS / share * HT_MEMO_WAYS);
	bpf_map__set_max_entries(k->skel->maps.scratches, k->nr_cpus * SCRATCHES_A_CPU);
}

static int set_constants(const struct kernel_opts *opts, struct kernel *k)
{
	struct stat st;

	k->skel->rodata->control_ring = k->nr_cpus;
	set_stacks(opts, k);
	if (stat("/proc/self/ns/pid", &st))
		return -errno;
	if (st.st_ino != INIT_PID_NS_INO) {
		k->skel->rodata->pid_ns_dev = st.st_dev;
		k->skel->rodata->pid_ns_ino = st.st_ino;
	}
	return opts->follows ? bpf_map__reuse_fd(k->skel->maps.held, opts->held_fd) : 0;
}

static int make_rings(const struct kernel_opts *opts, struct kernel *k)
{
	int map_fd = bpf_map__fd(k->skel->maps.rings);

	k->ring_fds = calloc(k->nr_cpus + 1, sizeof(*k->ring_fds));
	if (!k->ring_fds)
		return -ENOMEM;
	for (unsigned i = 0; i <= k->nr_cpus; i++)
		k->ring_fds[i] = -1;
	for (__u32 i = 0; i <= k->nr_cpus; i++) {
		size_t nbytes = i < k->nr_cpus ? opts->ring_nbytes : CONTROL_RING_NBYTES;
		int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ht_ring", 0, 0, (__u32)nbytes, NULL);

		if (fd < 0)
			return fd;
		k->ring_fds[i] = fd;
		if (bpf_map_update_elem(map_fd, &i, &fd, BPF_ANY))
			return -errno;
	}
	return 0;
}

/*
 * Room for rows in its places. The kernel waits for a grace period, 10 to 20 ms, whenever a map is put into another: nobody is to
 * stand for that. What cannot be had is made later.
 */
static void make_shards(struct kernel *k)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	LIBBPF_OPTS(bpf_map_batch_opts, batch);
	__u32 indices[SHARDS_READY], nr = 0;
	int fds[SHARDS_READY], map_fd = bpf_map__fd(k->skel->maps.shards);

	k->shards = calloc(SHARDS_READY, sizeof(*k->shards));
	while (k->shards && k->nr_shards < SHARDS_READY) {
		int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ht_shard", sizeof(__u32), sizeof(struct ht_shard), 1, &opts);
		void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(struct ht_shard), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (at == MAP_FAILED) {
			if (fd >= 0)
				close(fd);
			break;
		}
		indices[k->nr_shards] = k->nr_shards;
		fds[k->nr_shards] = fd;
		k->shards[k->nr_shards++] = at;
	}
	nr = k->nr_shards;
	/* All by one call, and one period; kernels before 5.13 take them singly. */
	if (nr && bpf_map_update_batch(map_fd, indices, fds, &nr, &batch))
		for (nr = 0; nr < k->nr_shards && !bpf_map_update_elem(map_fd, &indices[nr], &fds[nr], BPF_ANY);)
			nr++;
	for (unsigned i = 0; i < k->nr_shards; i++) {
		close(fds[i]);
		if (i >= nr)
			munmap(k->shards[i], sizeof(struct ht_shard));
	}
	k->nr_shards = nr;
}

/* Where no tracefs is mounted, one for this process alone: in a mount namespace of its own, that nobody else sees. */
static void mount_own_tracefs(void)
{
	if (!access("/sys/kernel/tracing/events", F_OK) || !access("/sys/kernel/debug/tracing/events", F_OK))
		return;
	/* What fails here shows when the tracepoints are attached, with the reason. */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL))
		return;
	if (mount("tracefs", "/sys/kernel/tracing", "tracefs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return;
}

/* Everything but sites and page faults. Links are the skeleton's, destroyed with it. */
static int attach_rest(const struct kernel_opts *opts, struct kernel *k, const char **why_ret)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, k->skel->obj) {
		const char *section = bpf_program__section_name(prog);
		bool syscall_tp = !strncmp(section, "tp/", 3), btf_tp = !strncmp(section, "tp_btf/", 7);
		bool oom_tp = !strncmp(section, "raw_tp/", 7);
		struct bpf_link **link = NULL;

		if (!bpf_program__autoload(prog) || !(syscall_tp || btf_tp || oom_tp))
			continue;
		if (syscall_tp && k->tracepoint_err)
			continue; /* all or none; threads and the process are followed all the same */
		for (int i = 0; i < k->skel->skeleton->prog_cnt; i++)
			if (*k->skel->skeleton->progs[i].prog == prog)
				link = k->skel->skeleton->progs[i].link;
		if (!link)
			return -EINVAL;
		*link = bpf_program__attach(prog);
		if (*link)
			continue;
		if (oom_tp) {
			k->oom_err = -errno;
			continue;
		}
		if (btf_tp) {
			*why_ret = "attaching to thread and process events";
			return -errno;
		}
		if (is_birth(prog)) /* no such call on this machine (fork and vfork of arm64) */
			k->err_followed = errno == ENOENT ? k->err_followed : -errno;
		else
			k->tracepoint_err = -errno;
	}
	if (k->tracepoint_err)
		k->err_followed = k->tracepoint_err;
	k->has_tracepoints = opts->mappings && !k->tracepoint_err;
	return 0;
}

/* Each thread's page faults take a descriptor. A command to record was forked before, and keeps its limit. */
static void raise_file_limit(void)
{
	struct rlimit many = { FILES_MAX, FILES_MAX }, files;

	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur >= FILES_MAX)
		return;
	if (files.rlim_max < FILES_MAX && !setrlimit(RLIMIT_NOFILE, &many))
		return;
	files.rlim_cur = files.rlim_max < FILES_MAX ? files.rlim_max : FILES_MAX;
	setrlimit(RLIMIT_NOFILE, &files);
}

int kernel_open(const struct kernel_opts *opts, struct kernel *k, const char **why_ret)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	int err, nr_cpus = libbpf_num_possible_cpus();

	memset(k, 0, sizeof(*k));
	libbpf_set_print(print_libbpf);
	setrlimit(RLIMIT_MEMLOCK, &unlimited); /* needed before 5.11 only; without the right the load says so */
	raise_file_limit();
	*why_ret = "counting the CPUs";
	if (nr_cpus < 1)
		return nr_cpus;
	k->nr_cpus = (unsigned)(nr_cpus < HT_CPUS_MAX ? nr_cpus : HT_CPUS_MAX - 1);
	k->backend = opts->backend;
	if (k->backend == KERNEL_AUTO)
		k->backend = kernel_has_multi() ? KERNEL_MULTI : KERNEL_PERF;

	if (opts->mappings || opts->follows)
		mount_own_tracefs();
	*why_ret = "opening the BPF programs";
	k->skel = record_bpf__open();
	if (!k->skel)
		return -errno;
	choose_programs(opts, k);
	err = set_constants(opts, k);
	if (!err) {
		*why_ret = "loading the BPF programs into the kernel";
		err = record_bpf__load(k->skel);
		if (err == -EACCES) { /* who lacks the right is told EPERM */
			*why_ret = "the kernel's check of the BPF programs (-v shows its words)";
			err = -EINVAL;
		}
	}
	if (!err) {
		*why_ret = "making the ring buffers";
		err = make_rings(opts, k);
	}
	if (!err && opts->small && opts->stacks == HT_STACKS_EH)
		make_shards(k);
	if (!err && opts->pid)
		kernel_target(k, opts->pid, opts->hold);
	if (!err)
		err = attach_rest(opts, k, why_ret);
	if (err)
		kernel_close(k);
	return err;
}

void kernel_target(struct kernel *k, pid_t pid, unsigned hold)
{
	volatile struct record_bpf__bss *bss = k->skel->bss;

	bss->recorder_pid = (__u32)getpid();
	bss->hold_mode = hold;
	__atomic_store_n(&k->skel->data->target_tgid, (__u32)pid, __ATOMIC_SEQ_CST);
}

void kernel_reset(struct kernel *k)
{
	kernel_target(k, (pid_t)HT_NOBODY, HT_HOLD_NONE);
	memset(k->skel->bss->site_thin, 0, sizeof(k->skel->bss->site_thin));
	k->skel->bss->target_oom = 0;
	kernel_follow(k, false);
	/* All memos are void, and the lists of code. */
	__atomic_fetch_add(&k->skel->bss->text_gen, 1, __ATOMIC_SEQ_CST);
	k->nr_fault_fds = 0;
	k->fault_fds = NULL;
	k->fault_err = 0;
}

void kernel_follow(struct kernel *k, bool on)
{
	__atomic_store_n(&k->skel->bss->follows, on, __ATOMIC_SEQ_CST);
}

uint32_t kernel_nr_holds(const struct kernel *k)
{
	return __atomic_load_n(&k->skel->bss->nr_holds, __ATOMIC_SEQ_CST);
}

uint32_t kernel_nr_untold(const struct kernel *k)
{
	return __atomic_load_n(&k->skel->bss->nr_untold, __ATOMIC_SEQ_CST);
}

int kernel_doorbell(const struct kernel *k)
{
	return bpf_map__fd(k->skel->maps.doorbell);
}

int kernel_new_held_table(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);

	return bpf_map_create(BPF_MAP_TYPE_ARRAY, "held", sizeof(__u32), sizeof(struct ht_held_table), 1, &opts);
}

int kernel_watch_faults(struct kernel *k, pid_t tid)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_PAGE_FAULTS,
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_ADDR,
		.inherit = 1,
		.inherit_thread = 1, /* threads, not child processes (5.13) */
	};
	struct rlimit files;
	int fd, *fds, err = 0;

	fd = (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!getrlimit(RLIMIT_NOFILE, &files) && (rlim_t)fd >= files.rlim_cur - files.rlim_cur / FILES_SPARE)
		err = -EMFILE;
	/* Not by a link, which would take a second descriptor for each thread. */
	if (!err && ioctl(fd, PERF_EVENT_IOC_SET_BPF, bpf_program__fd(k->skel->progs.on_fault)))
		err = -errno;
	fds = err ? NULL : realloc(k->fault_fds, (k->nr_fault_fds + 1) * sizeof(*fds));
	if (!fds) {
		close(fd);
		return err ? err : -ENOMEM;
	}
	k->fault_fds = fds;
	k->fault_fds[k->nr_fault_fds++] = fd;
	return 0;
}

void kernel_close(struct kernel *k)
{
	for (unsigned i = 0; i < k->nr_fault_fds; i++)
		close(k->fault_fds[i]);
	free(k->fault_fds);
	record_bpf__destroy(k->skel);
	for (unsigned i = 0; i < k->nr_shards; i++)
		munmap(k->shards[i], sizeof(struct ht_shard));
	free(k->shards);
	for (unsigned i = 0; k->ring_fds && i <= k->nr_cpus; i++)
		if (k->ring_fds[i] >= 0)
			close(k->ring_fds[i]);
	free(k->ring_fds);
	memset(k, 0, sizeof(*k));
}

void kernel_counters(const struct kernel *k, struct ht_counters *sum_ret)
{
	memset(sum_ret, 0, sizeof(*sum_ret));
	for (unsigned cpu = 0; cpu < k->nr_cpus; cpu++) {
		const volatile struct ht_counters *each = &k->skel->bss->counters[cpu];

		for (int cause = 0; cause < HT_LOSS_NR; cause++)
			sum_ret->lost[cause] += each->lost[cause];
		if (each->lost_last_ts > sum_ret->lost_last_ts)
			sum_ret->lost_last_ts = each->lost_last_ts;
		sum_ret->nested += each->nested;
		for (int t = 0; t < HT_TRAP_NR; t++)
			sum_ret->traps[t] += each->traps[t];
		sum_ret->other_lost += each->other_lost;
		sum_ret->timed_ns += each->timed_ns;
		sum_ret->timed += each->timed;
	}
}

void kernel_thin_stacks(const struct kernel *k, unsigned site_nr, uint8_t lg)
{
	volatile __u8 *thin = k->skel->bss->site_thin;

	if (site_nr < HT_SITES_MAX)
		thin[site_nr] = lg;
}

bool kernel_target_oom(const struct kernel *k)
{
	return k->skel->bss->target_oom;
}

void kernel_unwind(const struct kernel *k, struct unwind_kernel *uk_ret)
{
	*uk_ret = (struct unwind_kernel){ .texts = k->skel->bss_unwind->texts,
					  .pages = k->skel->bss_unwind->pages,
					  .rules = k->skel->bss_unwind->rules,
					  .text_changes = k->skel->bss_unwind->text_changes,
					  .texts_version = (uint64_t *)&k->skel->bss->texts_version,
					  .text_gen = (uint64_t *)&k->skel->bss->text_gen,
					  .map_seq = (uint64_t *)&k->skel->bss->map_seq,
					  .texts_wanted = &k->skel->bss->texts_wanted,
					  .ready = k->shards,
					  .nr_ready = k->nr_shards,
					  .shards_fd = bpf_map__fd(k->skel->maps.shards) };
}

void kernel_stack_counters(const struct kernel *k, struct ht_stack_counters *sum_ret)
{
	uint64_t *sum = (uint64_t *)sum_ret;

	memset(sum_ret, 0, sizeof(*sum_ret));
	for (unsigned cpu = 0; cpu < k->nr_cpus; cpu++) {
		const volatile __u64 *each = (const volatile __u64 *)&k->skel->bss->stack_counters[cpu];

		for (size_t i = 0; i < sizeof(*sum_ret) / sizeof(*each); i++)
			sum[i] += each[i];
	}
}

uint64_t kernel_missed_runs(const struct kernel *k)
{
	const struct bpf_program *progs[] = { k->skel->progs.multi_entry, k->skel->progs.multi_return, k->skel->progs.perf_entry,
					      k->skel->progs.perf_return };
	uint64_t missed = 0;

	for (size_t i = 0; i < sizeof(progs) / sizeof(progs[0]); i++) {
		struct bpf_prog_info info = { 0 };
		__u32 len = sizeof(info);

		if (bpf_program__fd(progs[i]) >= 0 && !bpf_prog_get_info_by_fd(bpf_program__fd(progs[i]), &info, &len))
			missed += info.recursion_misses;
	}
	return missed;
}
