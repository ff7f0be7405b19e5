/* SPDX-License-Identifier: BSD-2-Clause */
/* heaptape doctor: what this kernel and these rights allow, and how to mend what is missing. Everything is tried. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "command.h"
#include "message.h"
#include "record/calibrate.h"
#include "record/kernel.h"
#include "target/files.h"
#include "target/process.h"

static const struct command_option options[] = {
	{ "json", 0, NULL, "print JSON" },
	{ NULL, 0, NULL, NULL },
};

struct finding {
	const char *name;
	const char *gives; /* what it is good for */
	bool needed;       /* nothing can be recorded without */
	bool ok;
	char detail[200];
	const char *mend;
};

enum {
	F_BTF, F_LOAD, F_MULTI, F_PERF, F_TRACEPOINTS, F_FAULTS, F_STACKS, F_OTHERS, F_MEM, F_MAP_FILES, F_NR,
};

static struct finding findings[F_NR] = {
	[F_BTF] = { "kernel type information", "loading the programs on this kernel", true, false, "",
		    "a kernel built with CONFIG_DEBUG_INFO_BTF (distributions' are, since 5.10)" },
	[F_LOAD] = { "BPF programs", "recording at all", true, false, "",
		     "run as root, or: setcap cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search,cap_checkpoint_restore+ep heaptape" },
	[F_MULTI] = { "uprobe_multi", "one link for all sites, without CAP_SYS_ADMIN", false, false, "",
		      "Linux 6.6 or later; perf-event uprobes are used without it" },
	[F_PERF] = { "perf-event uprobes", "kernels before 6.6 (--backend perf)", false, false, "",
		     "CONFIG_UPROBE_EVENTS, and CAP_SYS_ADMIN" },
	[F_TRACEPOINTS] = { "syscall tracepoints", "mmap, munmap, mremap, brk, madvise; record -- CMD", false, false, "",
			    "mount tracefs (mount -t tracefs tracefs /sys/kernel/tracing), CAP_DAC_READ_SEARCH" },
	[F_FAULTS] = { "page-fault events", "which pages of large blocks are touched", false, false, "",
		       "CAP_PERFMON (CAP_SYS_ADMIN where /proc/sys/kernel/perf_event_paranoid is 3)" },
	[F_STACKS] = { "call stacks", "record --stacks eh: each event's exact call stack", false, false, "",
		       "Linux 5.17 or later (bpf_loop), tracefs for noticing libraries that come and go; else --stacks none" },
	[F_OTHERS] = { "processes of other users", "record -p of what is not yours", false, false, "", "CAP_SYS_PTRACE" },
	[F_MEM] = { "reading back the breakpoints", "proof that every site stands", false, false, "",
		    "CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH" },
	[F_MAP_FILES] = { "deleted and replaced libraries", "targets whose packages were upgraded while they ran", false, false, "",
			  "CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH and CAP_CHECKPOINT_RESTORE" },
};

__attribute__((format(printf, 3, 4))) static void found(int which, bool ok, const char *fmt, ...)
{
	va_list ap;

	findings[which].ok = ok;
	va_start(ap, fmt);
	vsnprintf(findings[which].detail, sizeof(findings[which].detail), fmt, ap);
	va_end(ap);
}

static bool has_capability(unsigned cap)
{
	static uint64_t effective;
	static bool read;
	char *status, *line;

	if (!read && !file_read_all_at(AT_FDCWD, "/proc/self/status", &status, NULL)) {
		line = strstr(status, "CapEff:");
		if (line)
			effective = strtoull(line + strlen("CapEff:"), NULL, 16);
		free(status);
	}
	read = true;
	return effective >> cap & 1;
}

static void check_kernel(void)
{
	const char *why = "";
	struct kernel_opts opts = { .pid = getpid(), .backend = KERNEL_AUTO, .ring_nbytes = 65536, .mappings = true, .faults = true };
	struct kernel k;
	struct trap_costs costs = { 0 };
	char lacks[160];
	int err;

	found(F_BTF, !access("/sys/kernel/btf/vmlinux", R_OK), "/sys/kernel/btf/vmlinux");
	err = kernel_open(&opts, &k, &why);
	if (err && err != -EPERM && err != -EACCES && kernel_is_too_old(lacks, sizeof(lacks))) {
		found(F_LOAD, false, "this kernel's uprobe programs have no %s", lacks);
		findings[F_LOAD].mend = KERNEL_OLDEST " or later";
	} else if (err) {
		found(F_LOAD, false, "%s: %s", why, strerror(-err));
	}
	if (err) {
		found(F_MULTI, false, "not tried");
		found(F_TRACEPOINTS, false, "not tried");
		found(F_FAULTS, false, "not tried");
		return;
	}
	found(F_MULTI, k.backend == KERNEL_MULTI, "%s", k.backend == KERNEL_MULTI ? "a link could be made" : "the kernel knows no such link");
	found(F_TRACEPOINTS, k.has_tracepoints, "%s", k.has_tracepoints ? "attached" : strerror(-k.tracepoint_err));
	err = kernel_watch_faults(&k, getpid());
	found(F_FAULTS, !err, "%s", err ? strerror(-err) : "attached");
	err = calibrate_trap(&k, HT_TRAP_EMULATED, &costs);
	if (err)
		found(F_LOAD, false, "programs load, but a probe in this program itself fails: %s", strerror(-err));
	else
		found(F_LOAD, true, "loaded; one trap on an emulated instruction costs %llu ns here", (unsigned long long)costs.ns[HT_TRAP_EMULATED]);
	kernel_close(&k);
}

/* Loads the programs once more, with all that stacks need. */
static void check_stacks(void)
{
	struct kernel_opts opts = { .pid = getpid(), .ring_nbytes = 65536, .mappings = true, .stacks = HT_STACKS_EH };
	const char *why = "";
	struct kernel k;
	int err = kernel_open(&opts, &k, &why);

	if (err) {
		found(F_STACKS, false, "%s: %s; only --stacks none", why, strerror(-err));
		return;
	}
	found(F_STACKS, k.has_tracepoints, "%s",
	      k.has_tracepoints ? "--stacks eh, unwound in the kernel by .eh_frame" :
				  "only of the libraries that are there at the attach");
	kernel_close(&k);
}

static void check_perf(void)
{
	uint64_t type;
	int err = file_read_u64_at(AT_FDCWD, "/sys/bus/event_source/devices/uprobe/type", &type);

	if (err)
		found(F_PERF, false, "no uprobe PMU: %s", strerror(-err));
	else if (!has_capability(CAP_SYS_ADMIN))
		found(F_PERF, false, "the kernel has them, but they need CAP_SYS_ADMIN");
	else
		found(F_PERF, true, "PMU type %llu", (unsigned long long)type);
}

/* Process 1 stands for a process of somebody else. */
static void check_others(void)
{
	bool other = geteuid() == 0 || has_capability(CAP_SYS_PTRACE);
	struct process init;
	uint8_t byte;
	int fd;

	found(F_OTHERS, other, "%s", other ? "allowed" : "only your own");
	fd = open("/proc/1/maps", O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	if (fd < 0)
		found(F_OTHERS, false, "/proc/1/maps: %s", strerror(errno));
	if (process_open(1, &init)) {
		found(F_MEM, false, "/proc/1: %s", strerror(errno));
	} else {
		found(F_MEM, init.mem_fd >= 0, "%s", init.mem_fd >= 0 ? "/proc/1/mem opens" : "/proc/1/mem does not open");
		/* An address that no process maps: the error tells a missing right from a missing page. */
		if (init.mem_fd >= 0 && process_read(&init, 4096, &byte, 1) == -EACCES)
			found(F_MEM, false, "/proc/1/mem opens but does not read");
	}
	process_close(&init);
	/* The directory opens for many; following a link in it takes the right. */
	found(F_MAP_FILES, has_capability(CAP_SYS_ADMIN) || has_capability(CAP_CHECKPOINT_RESTORE), "%s",
	      has_capability(CAP_SYS_ADMIN) || has_capability(CAP_CHECKPOINT_RESTORE) ? "/proc/PID/map_files may be followed" :
											"/proc/PID/map_files may not be followed");
}

static bool can_record(void)
{
	for (int i = 0; i < F_NR; i++)
		if (findings[i].needed && !findings[i].ok)
			return false;
	return findings[F_MULTI].ok || findings[F_PERF].ok;
}

/* How it would record, and what would lack. */
static void print_mode(void)
{
	bool lacks = false;

	if (!can_record())
		return;
	printf("mode: %s", findings[F_MULTI].ok ? "one link for all probes of a library" :
						  "a perf event for each probe, put in place and taken away one by one (some 45 ms each)");
	for (int i = 0; i < F_NR; i++) {
		/* The other way to place probes is no loss. */
		if (findings[i].ok || i == F_MULTI || i == F_PERF)
			continue;
		printf("%s%s", lacks ? ", " : "; without: ", findings[i].name);
		lacks = true;
	}
	printf("%s\n", lacks ? "" : "; nothing else is missing");
}

static void print_text(const char *release)
{
	printf("Linux %s: %s\n", release,
	       !can_record()	   ? "nothing can be recorded here, see below" :
	       findings[F_MULTI].ok ? "recording works, with uprobe_multi" :
				      "recording works, with perf-event uprobes");
	print_mode();
	printf("\n");
	for (int i = 0; i < F_NR; i++) {
		const struct finding *f = &findings[i];

		printf("  %-8s %-32s %s\n", f->ok ? "ok" : "MISSING", f->name, f->detail);
		if (!f->ok)
			printf("           for:  %s\n           mend: %s\n", f->gives, f->mend);
	}
}

static void print_json(const char *release)
{
	cJSON *root = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(root, "findings");
	char *text;

	cJSON_AddStringToObject(root, "kernel", release);
	cJSON_AddBoolToObject(root, "can_record", can_record());
	cJSON_AddStringToObject(root, "backend", !can_record() ? "none" : findings[F_MULTI].ok ? "multi" : "perf");
	for (int i = 0; i < F_NR; i++) {
		cJSON *f = cJSON_CreateObject();

		cJSON_AddStringToObject(f, "name", findings[i].name);
		cJSON_AddBoolToObject(f, "ok", findings[i].ok);
		cJSON_AddStringToObject(f, "detail", findings[i].detail);
		cJSON_AddStringToObject(f, "gives", findings[i].gives);
		cJSON_AddStringToObject(f, "mend", findings[i].mend);
		cJSON_AddItemToArray(list, f);
	}
	text = cJSON_Print(root);
	printf("%s\n", text ? text : "null");
	cJSON_free(text);
	cJSON_Delete(root);
}

static int run(const struct command *cmd, int argc, char **argv)
{
	struct command_args args = { 0 };
	struct utsname uts;
	bool json = false;
	int option;

	while ((option = command_next_option_anywhere(cmd, &args, argc, argv)) >= 0)
		json = true;
	if (option != COMMAND_END)
		return option == COMMAND_HELP ? EXIT_DONE : EXIT_USAGE;
	if (args.next < argc)
		return command_usage_error(cmd, "takes no operands");
	uname(&uts);
	check_kernel();
	check_stacks();
	check_perf();
	check_others();
	if (json)
		print_json(uts.release);
	else
		print_text(uts.release);
	return can_record() ? EXIT_DONE : EXIT_FAILED;
}

const struct command cmd_doctor = {
	.name = "doctor",
	.synopsis = "[--json]",
	.summary = "Say what this machine allows, and how to mend what is missing",
	.description = "Tries everything that a recording needs, on this process and on process 1, and changes nothing.\n"
		       "Exit status 0 if a recording is possible.",
	.options = options,
	.run = run,
};
