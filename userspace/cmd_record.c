/* SPDX-License-Identifier: BSD-2-Clause */
/* heaptape record: a tape of a live process, or of a command from its first allocation on. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "message.h"
#include "record/live_view.h"
#include "record/session.h"
#include "report/cost_lines.h"
#include "runtime/runtime.h"

static const struct command_option options[] = {
	{ "pid", 'p', "PID", "the process to record, all its threads; nothing in it is stopped or changed" },
	{ "output", 'o', "FILE", "the tape; %p is the pid, %h the host, %t the time (default heaptape-%p.tape)" },
	{ "force", 'f', NULL, "overwrite FILE" },
	{ "duration", 'd', "TIME", "end after TIME (30s, 5m); otherwise at Ctrl-C, SIGTERM or the target's end" },
	{ "backend", 0, "NAME", "auto, multi (uprobe_multi, Linux 6.6 and later) or perf (perf events, older kernels)" },
	{ "plans", 0, "auto|simple", "auto: the cheapest probe plans that a check with known calls bears out; simple: those that\n"
				    "need no check (entry and return of each function)" },
	{ "stacks", 0, "eh|fp|none", "call stacks of allocations: eh: by the unwind tables of every mapped object (default); fp: by\n"
				     "frame pointers, for programs built with them throughout; none" },
	{ "free-stacks", 0, NULL, "frees carry a call stack too" },
	{ "max-frames", 0, "N", "frames of a stack, at most 512 (default 128); what lies above is cut and counted" },
	{ "mappings", 0, "on|off", "record mmap, munmap, mremap, brk, madvise (default on; costs every process of the\n"
				   "machine 30 to 60 ns a system call while recording; off saves that with --stacks none)" },
	{ "faults", 0, "on|off", "record which pages the target touches first (default on)" },
	{ "buffer", 0, "SIZE", "ring buffer of each CPU, a power of two (default 16M, less on many CPUs)" },
	{ "no-cmdline", 0, NULL, "leave the target's arguments off the tape" },
	{ "ring", 0, "SIZE[,keep=TIME]", "FILE is a folder that holds the newest SIZE bytes (and nothing older than TIME), always\n"
					 "replayable; a copy is made beside it, and recording goes on, at SIGUSR1\n"
					 "(FILE.1.signal), --trigger-rss (FILE.2.rss), and when the target ends\n"
					 "(.exit) or is killed for lack of memory (.oom). SIZE must hold four lists\n"
					 "of all live objects, of 3 to 6 bytes each; a ring that the live set\n"
					 "outgrows is made larger, with a warning. From twelve on they cost 10 %" },
	{ "trigger-rss", 0, "SIZE", "copy the ring whenever the target's resident set reaches SIZE" },
	{ "keyframe", 0, "TIME", "list all live objects on the tape every TIME (default 10m), so that it can be read from there\n"
				 "on; 0: never" },
	{ "baseline", 0, "walk|pause|none", "the blocks that live when recording begins, read from the allocator's own lists: walk: while the\n"
					     "process runs (default); pause: while it is stopped (SIGSTOP), some 0.1 s a million blocks; none" },
	{ "time-resolution", 0, "us|ns", "of the events' times (default us)" },
	{ "user", 0, "NAME", "run CMD as this user (default: the user who called sudo)" },
	{ "ready-fd", 0, "N", "write a byte to descriptor N when every probe stands" },
	{ "max-cost", 0, "N%", "what recording may take of the target's CPU time, from 1% to 99%: beyond it frees lose their stacks, then\n"
				 "those of the busiest sites are thinned, then it ends; each step is told, and on the tape" },
	{ "live", 0, NULL, "show on the terminal, once a second, what lives and is called: rates, losses, the call stacks that hold most" },
	{ "runtime", 0, "auto|ghc|go|none", "of a program whose language has a runtime with a heap of its own: record what that holds, too (auto:\n"
					 "where the program is of a known kind; ghc: Haskell, go: Go)" },
	{ "levels", 0, "LIST", "of a runtime: os (its own counts only, cheap), pages (what it holds its objects in), objects; separated by\n"
			       "commas (default os,pages,objects)" },
	{ "alloc-fn", 0, "SPEC", "the program has an allocator of its own: 'zmalloc(size=arg1)->ret' is a function of it that allocates. A value is\n"
				 "arg1 to arg6 (arg2:32: an int; *arg1: what it points to), a size also a product (arg1*arg2, arg2*8, 64);\n"
				 "align= and group= (the pool that it belongs to) may stand there too; ->*arg1: the result is stored there" },
	{ "realloc-fn", 0, "SPEC", "one that resizes: 'zrealloc(old=arg1,size=arg2)->ret'" },
	{ "free-fn", 0, "SPEC", "one that frees: 'zfree(ptr=arg1)'. All three may be given several times" },
	{ "alloc-name", 0, "NAME", "what that allocator is called on the tape (default custom)" },
	{ "profile", 0, "FILE", "allocators described in a file, pools and their ends among them (README, examples/profiles); may be\n"
				"given several times" },
	{ "json", 0, NULL, "print the result as JSON on stdout" },
	{ "follow-fork", 0, NULL, "record child processes too, from their first call on: FILE is a folder with a tape for each process, which\n"
				  "begins with all that lived in its parent. A child is stopped (SIGSTOP) at its birth, and where it\n"
				  "maps code after an exec, until its probes stand, some 20 ms; a parent that waits with WUNTRACED, or takes\n"
				  "SIGCHLD without SA_NOCLDSTOP, sees that. Recording ends with the last process" },
	{ "follow-max", 0, "N", "processes recorded at once (default 64, at most 512); children beyond are left out, and said so" },
	/* Options without a letter are numbered by their rows: this one stands last, and has one. */
	{ "embed-symbols", 'E', NULL, "write the names of functions, files and lines onto the tape at the end, so that its call\n"
				      "stacks can be read where the program's files are not" },
	{ NULL, 0, NULL, NULL },
};

enum { OPT_BACKEND = 256 + 4, OPT_PLANS, OPT_STACKS, OPT_FREE_STACKS, OPT_MAX_FRAMES, OPT_MAPPINGS, OPT_FAULTS, OPT_BUFFER, OPT_NO_CMDLINE, OPT_RING, OPT_TRIGGER_RSS, OPT_KEYFRAME, OPT_BASELINE, OPT_TIME_RESOLUTION, OPT_USER, OPT_READY_FD, OPT_MAX_COST, OPT_LIVE, OPT_RUNTIME, OPT_LEVELS, OPT_ALLOC_FN, OPT_REALLOC_FN, OPT_FREE_FN, OPT_ALLOC_NAME, OPT_PROFILE, OPT_JSON, OPT_FOLLOW_FORK, OPT_FOLLOW_MAX };

#define FAMILY_SHOWN 20 /* processes that the last lines name */
#define KEYFRAME_PERIOD_NS 600000000000ull /* what cut must read at most, and what a damaged block can cost at most */

struct record_args {
	struct session_opts session;
	const char *alloc_name; /* of what --alloc-fn and its kin describe */
	bool json, follow;
};

#define COMMAND_LINE_ALLOCATOR "" /* what it is called until all options are read */

static int parse_on_off(const struct command *cmd, const char *name, const char *value, bool *on_ret)
{
	if (!strcmp(value, "on") || !strcmp(value, "off")) {
		*on_ret = value[1] == 'n';
		return 0;
	}
	return command_usage_error(cmd, "--%s is on or off, not '%s'", name, value);
}

static int parse_backend(const struct command *cmd, const char *value, enum kernel_backend *backend_ret)
{
	static const char *const names[] = { [KERNEL_AUTO] = "auto", [KERNEL_MULTI] = "multi", [KERNEL_PERF] = "perf" };

	for (int i = KERNEL_AUTO; i <= KERNEL_PERF; i++) {
		if (strcmp(value, names[i]) != 0)
			continue;
		*backend_ret = (enum kernel_backend)i;
		return 0;
	}
	return command_usage_error(cmd, "--backend is auto, multi or perf, not '%s'", value);
}

static int parse_stacks(const struct command *cmd, const char *value, enum ht_stacks_mode *stacks_ret)
{
	static const char *const names[] = { [HT_STACKS_NONE] = "none", [HT_STACKS_EH] = "eh", [HT_STACKS_FP] = "fp" };

	for (int i = HT_STACKS_NONE; i <= HT_STACKS_FP; i++) {
		if (strcmp(value, names[i]) != 0)
			continue;
		*stacks_ret = (enum ht_stacks_mode)i;
		return 0;
	}
	return command_usage_error(cmd, "--stacks is eh, fp or none, not '%s'", value);
}

static int parse_baseline(const struct command *cmd, const char *value, enum baseline_mode *mode_ret)
{
	static const char *const names[] = { [BASELINE_WALK] = "walk", [BASELINE_PAUSE] = "pause", [BASELINE_NONE] = "none" };

	for (int i = BASELINE_WALK; i <= BASELINE_NONE; i++) {
		if (strcmp(value, names[i]) != 0)
			continue;
		*mode_ret = (enum baseline_mode)i;
		return 0;
	}
	return command_usage_error(cmd, "--baseline is walk, pause or none, not '%s'", value);
}

static int parse_buffer(const struct command *cmd, const char *value, size_t *nbytes_ret)
{
	uint64_t nbytes;

	if (parse_nbytes(value, &nbytes) || nbytes < 4096 || nbytes > 1u << 30 || (nbytes & (nbytes - 1)))
		return command_usage_error(cmd, "--buffer is a power of two from 4K to 1G, not '%s'", value);
	*nbytes_ret = nbytes;
	return 0;
}

static int parse_number(const struct command *cmd, const char *name, const char *value, uint64_t max, uint64_t *n_ret)
{
	if (parse_count(value, n_ret) || *n_ret > max)
		return command_usage_error(cmd, "--%s wants a number, not '%s'", name, value);
	return 0;
}

static int parse_ring(const struct command *cmd, const char *value, struct ring_opts *ring)
{
	char size[64];
	const char *rest = strchrnul(value, ',');

	snprintf(size, sizeof(size), "%.*s", (int)(rest - value), value);
	if (parse_nbytes(size, &ring->nbytes) ||
	    (*rest && (strncmp(rest, ",keep=", 6) != 0 || parse_duration_ns(rest + 6, &ring->keep_ns) || !ring->keep_ns)))
		return command_usage_error(cmd, "--ring is SIZE or SIZE,keep=TIME, such as 256M or 1G,keep=30m, not '%s'", value);
	if (ring->nbytes < RING_LEAST_NBYTES)
		return command_usage_error(cmd, "a ring of %s has no room for %d keyframes: the least is %uM", value,
					   RING_KEYFRAMES_MIN, RING_LEAST_NBYTES >> 20);
	return 0;
}

static int parse_max_cost(const struct command *cmd, const char *value, double *share_ret)
{
	char *end;
	double percent = strtod(value, &end);

	if (end == value || strcmp(end, "%") != 0 || !(percent >= 1 && percent <= 99))
		return command_usage_error(cmd, "--max-cost wants a part of the target's CPU time from 1%% to 99%%, such as 20%%, not '%s'", value);
	*share_ret = percent / 100;
	return 0;
}

static int parse_runtime(const struct command *cmd, const char *value, const char **name_ret)
{
	*name_ret = value;
	if (!strcmp(value, "auto") || !strcmp(value, "none") || runtime_find(NULL, value))
		return 0;
	return command_usage_error(cmd, "--runtime is auto, ghc, go or none, not '%s'", value);
}

static int parse_levels(const struct command *cmd, const char *value, unsigned *levels_ret)
{
	static const char *const names[] = { "os", "pages", "objects" };
	const char *at = value;

	*levels_ret = RUNTIME_OS;
	do {
		size_t nbytes = strcspn(at, ","), i = 0;

		while (i < 3 && (strlen(names[i]) != nbytes || strncmp(at, names[i], nbytes) != 0))
			i++;
		if (i == 3)
			return command_usage_error(cmd, "--levels lists os, pages and objects, not '%s'", value);
		*levels_ret |= 1u << i;
		at += nbytes;
	} while (*at++);
	return 0;
}

static int parse_function(const struct command *cmd, const char *option, enum custom_kind kind, const char *value, struct custom_specs *specs)
{
	struct custom_function f;
	struct custom_error error;

	if (!custom_function_parse(value, kind, &f, &error) && !custom_specs_add(specs, COMMAND_LINE_ALLOCATOR, &f, &error))
		return 0;
	return command_usage_error(cmd, "--%s '%s': at %u: %s", option, value, error.column, error.what);
}

static int parse_profile(const struct command *cmd, const char *path, struct custom_specs *specs)
{
	static char text[CUSTOM_FILE_MAX + 1];
	struct custom_error error;
	FILE *in = fopen(path, "re");
	size_t nbytes;

	if (!in)
		return command_usage_error(cmd, "--profile %s: %s", path, strerror(errno));
	nbytes = fread(text, 1, sizeof(text), in);
	if (ferror(in) || nbytes == sizeof(text) || memchr(text, 0, nbytes)) {
		fclose(in);
		return command_usage_error(cmd, "--profile %s: no profile: a text of at most %d KiB is one", path, CUSTOM_FILE_MAX >> 10);
	}
	fclose(in);
	text[nbytes] = 0;
	if (custom_profile_parse(text, specs, &error))
		return command_usage_error(cmd, "--profile %s:%u:%u: %s", path, error.line, error.column, error.what);
	return 0;
}

/* What was described on the command line gets its name; each allocator has one of its own. */
static int name_customs(const struct command *cmd, struct record_args *args)
{
	struct custom_specs *specs = &args->session.customs;
	const char *name = args->alloc_name ? args->alloc_name : "custom";
	bool used = false;

	if (!custom_name_is_good(name))
		return command_usage_error(cmd, "--alloc-name is made of letters, digits and . _ - +, not '%s'", name);
	for (unsigned i = 0; i < specs->nr; i++)
		if (!*specs->list[i].name) {
			used = true;
			snprintf(specs->list[i].name, sizeof(specs->list[i].name), "%s", name);
		}
	if (args->alloc_name && !used)
		return command_usage_error(cmd, "--alloc-name names what --alloc-fn, --realloc-fn and --free-fn describe: none is given");
	for (unsigned i = 0; i < specs->nr; i++) {
		if (runtime_find(NULL, specs->list[i].name))
			return command_usage_error(cmd, "%s is a runtime's name; an allocator that is described has another", specs->list[i].name);
		for (unsigned k = 0; k < i; k++)
			if (!strcmp(specs->list[i].name, specs->list[k].name))
				return command_usage_error(cmd, "two allocators are called %s; --alloc-name names the one of the command line",
							   specs->list[i].name);
	}
	return 0;
}

static int parse_resolution(const struct command *cmd, const char *value, uint64_t *unit_ret)
{
	if (strcmp(value, "us") != 0 && strcmp(value, "ns") != 0)
		return command_usage_error(cmd, "--time-resolution is us or ns, not '%s'", value);
	*unit_ret = value[0] == 'u' ? 1000 : 1;
	return 0;
}

static int take_option(const struct command *cmd, int option, const char *value, struct record_args *args)
{
	struct session_opts *so = &args->session;
	uint64_t n = 0;
	int err = 0;

	switch (option) {
	case 'p':
		err = parse_number(cmd, "pid", value, INT32_MAX, &n);
		if (!err && !n)
			err = command_usage_error(cmd, "there is no pid 0");
		so->pid = (pid_t)n;
		break;
	case 'o': so->tape_path = value; break;
	case 'f': so->overwrite = true; break;
	case 'E': so->embed_symbols = true; break;
	case 'd':
		if (parse_duration_ns(value, &so->duration_ns) || !so->duration_ns)
			err = command_usage_error(cmd, "--duration wants a time such as 30s or 5m, not '%s'", value);
		break;
	case OPT_BACKEND: err = parse_backend(cmd, value, &so->backend); break;
	case OPT_PLANS:
		so->simple_plans = !strcmp(value, "simple");
		if (!so->simple_plans && strcmp(value, "auto") != 0)
			err = command_usage_error(cmd, "--plans is auto or simple, not '%s'", value);
		break;
	case OPT_STACKS: err = parse_stacks(cmd, value, &so->stacks); break;
	case OPT_FREE_STACKS: so->free_stacks = true; break;
	case OPT_MAX_FRAMES:
		err = parse_number(cmd, "max-frames", value, HT_FRAMES_MAX, &n);
		if (!err && !n)
			err = command_usage_error(cmd, "--max-frames is 1 to %d; --stacks none leaves stacks out", HT_FRAMES_MAX);
		so->max_frames = (unsigned)n;
		break;
	case OPT_MAPPINGS: err = parse_on_off(cmd, "mappings", value, &so->mappings); break;
	case OPT_FAULTS: err = parse_on_off(cmd, "faults", value, &so->faults); break;
	case OPT_BUFFER: err = parse_buffer(cmd, value, &so->ring_nbytes); break;
	case OPT_NO_CMDLINE: so->cmdline = false; break;
	case OPT_RING: err = parse_ring(cmd, value, &so->ring); break;
	case OPT_TRIGGER_RSS:
		if (parse_nbytes(value, &so->trigger_rss_nbytes) || !so->trigger_rss_nbytes)
			err = command_usage_error(cmd, "--trigger-rss wants a size such as 2G, not '%s'", value);
		break;
	case OPT_KEYFRAME:
		if (strcmp(value, "0") != 0 && parse_duration_ns(value, &so->ring.period_ns))
			err = command_usage_error(cmd, "--keyframe wants a time such as 10m, or 0, not '%s'", value);
		if (!strcmp(value, "0"))
			so->ring.period_ns = 0;
		break;
	case OPT_BASELINE: err = parse_baseline(cmd, value, &so->baseline); break;
	case OPT_TIME_RESOLUTION: err = parse_resolution(cmd, value, &so->time_unit_ns); break;
	case OPT_USER: so->user = value; break;
	case OPT_READY_FD:
		err = parse_number(cmd, "ready-fd", value, 1 << 20, &n);
		so->ready_fd = (int)n;
		break;
	case OPT_MAX_COST: err = parse_max_cost(cmd, value, &so->max_cost); break;
	case OPT_LIVE: so->live = true; break;
	case OPT_RUNTIME: err = parse_runtime(cmd, value, &so->runtime); break;
	case OPT_LEVELS: err = parse_levels(cmd, value, &so->levels); break;
	case OPT_ALLOC_FN: err = parse_function(cmd, "alloc-fn", CUSTOM_ALLOC, value, &so->customs); break;
	case OPT_REALLOC_FN: err = parse_function(cmd, "realloc-fn", CUSTOM_REALLOC, value, &so->customs); break;
	case OPT_FREE_FN: err = parse_function(cmd, "free-fn", CUSTOM_FREE, value, &so->customs); break;
	case OPT_ALLOC_NAME: args->alloc_name = value; break;
	case OPT_PROFILE: err = parse_profile(cmd, value, &so->customs); break;
	case OPT_JSON: args->json = true; break;
	case OPT_FOLLOW_FORK: args->follow = true; break;
	case OPT_FOLLOW_MAX:
		err = parse_number(cmd, "follow-max", value, FAMILY_LIMIT_MAX, &n);
		if (!err && n < 2)
			err = command_usage_error(cmd, "--follow-max is 2 to %d: the first process is one of them", FAMILY_LIMIT_MAX);
		so->follow = (unsigned)n;
		break;
	}
	return err;
}

static double calls_per_s(const struct session_result *res)
{
	return res->duration_ns ? 1e9 * (double)res->totals.events / (double)res->duration_ns : 0;
}

static double cpus_taken(const struct session_result *res)
{
	return res->duration_ns ? (double)res->cost_ns / (double)res->duration_ns : 0;
}

static void add_family(cJSON *root, const struct session_result *res)
{
	static const char *const states[] = { [FAMILY_RUNS] = "running", [FAMILY_ENDED] = "ended", [FAMILY_FAILED] = "failed" };
	cJSON *list = cJSON_AddArrayToObject(root, "processes");
	const struct family_process *p;
	struct family_totals totals;

	family_totals(res->family, &totals);
	cJSON_AddStringToObject(root, "folder", res->folder);
	cJSON_AddNumberToObject(root, "children_left_out", totals.nr_left_out);
	cJSON_AddNumberToObject(root, "children_loaded_late", totals.nr_loaded_late);
	for (unsigned i = 0; (p = family_process(res->family, i)); i++) {
		cJSON *o = cJSON_CreateObject();

		cJSON_AddNumberToObject(o, "pid", p->pid);
		cJSON_AddNumberToObject(o, "parent", p->parent);
		cJSON_AddStringToObject(o, "file", p->file);
		cJSON_AddNumberToObject(o, "start_ns", (double)p->start_ns);
		cJSON_AddNumberToObject(o, "held_ns", (double)p->held_ns);
		cJSON_AddNumberToObject(o, "events", (double)p->calls);
		cJSON_AddNumberToObject(o, "lost", (double)p->lost);
		cJSON_AddNumberToObject(o, "unknown_frees", (double)p->unknown_frees);
		cJSON_AddNumberToObject(o, "live_bytes", (double)p->live_nbytes);
		cJSON_AddStringToObject(o, "state", states[p->state]);
		cJSON_AddItemToArray(list, o);
	}
}

static void print_json(const struct session_result *res)
{
	cJSON *root = cJSON_CreateObject(), *baseline, *list = cJSON_AddArrayToObject(root, "allocators");
	char *text;

	cJSON_AddStringToObject(root, "tape", res->tape_path);
	cJSON_AddNumberToObject(root, "target_pid", res->pid);
	for (unsigned i = 0; i < res->nr_allocators; i++) {
		cJSON *a = cJSON_CreateObject();

		cJSON_AddStringToObject(a, "name", res->allocators[i].name);
		cJSON_AddStringToObject(a, "path", res->allocators[i].path);
		cJSON_AddStringToObject(a, "build_id", res->allocators[i].build_id);
		cJSON_AddNumberToObject(a, "sites", res->allocators[i].nr_sites);
		cJSON_AddNumberToObject(a, "functions_not_recorded", res->allocators[i].nr_unrecorded);
		cJSON_AddItemToArray(list, a);
	}
	cJSON_AddNumberToObject(root, "events", (double)res->totals.events);
	cJSON_AddNumberToObject(root, "lost", (double)res->totals.lost);
	cJSON_AddNumberToObject(root, "duration_ns", (double)res->duration_ns);
	cJSON_AddNumberToObject(root, "threads", (double)res->totals.threads);
	cJSON_AddNumberToObject(root, "bytes", (double)res->tape_nbytes);
	cJSON_AddNumberToObject(root, "nested", (double)res->totals.nested);
	cJSON_AddNumberToObject(root, "failed", (double)res->totals.failed);
	cJSON_AddNumberToObject(root, "unknown_frees", (double)res->totals.unknown_frees);
	cJSON_AddNumberToObject(root, "implied_frees", (double)res->totals.implied_frees);
	baseline = cJSON_AddObjectToObject(root, "baseline");
	cJSON_AddBoolToObject(baseline, "known", res->baseline.known);
	cJSON_AddNumberToObject(baseline, "objects", (double)res->baseline.nr_objects);
	cJSON_AddNumberToObject(baseline, "bytes", (double)res->baseline.nbytes);
	cJSON_AddNumberToObject(baseline, "walk_ns", (double)res->baseline.walk_ns);
	cJSON_AddNumberToObject(baseline, "pause_ns", (double)res->baseline.pause_ns);
	cJSON_AddStringToObject(baseline, "why", res->baseline.why);
	cJSON_AddNumberToObject(root, "other_lost", (double)res->other_lost);
	cost_add_json(root, res->traps, &res->costs);
	cJSON_AddNumberToObject(root, "calls_per_s", calls_per_s(res));
	cJSON_AddNumberToObject(root, "cpus", cpus_taken(res));
	if (res->family)
		add_family(root, res);
	text = cJSON_Print(root);
	printf("%s\n", text ? text : "null");
	cJSON_free(text);
	cJSON_Delete(root);
}

/* The figure that probe --estimate gives beforehand. */
static void print_cost(const struct session_result *res)
{
	char calls[COST_MAX], cpus[COST_MAX], count[HUMAN_MAX];
	uint64_t nr_traps = trap_total(res->traps);

	if (!res->duration_ns || !res->costs.ns[HT_TRAP_EMULATED])
		return;
	message_info("%s calls/s: recording took %s (%s traps of %.0f ns)", cost_number(calls, calls_per_s(res)),
		     cost_cpus(cpus, cpus_taken(res)), human_count(count, nr_traps),
		     nr_traps ? (double)res->cost_ns / (double)nr_traps : 0);
}

/* What lived before, and how well the calls since bear it out. */
static void print_baseline(const struct session_opts *so, const struct session_result *res)
{
	const struct session_baseline *b = &res->baseline;
	char count[HUMAN_MAX], nbytes[HUMAN_MAX], time[HUMAN_MAX], pause[HUMAN_MAX];

	/* Without a reason there is no allocator: a program with nothing but a runtime of its language. */
	if (!so->pid || so->baseline == BASELINE_NONE || (!b->known && !*b->why))
		return;
	if (!b->known) {
		message_warn("what lived before the recording is not known: %s; %llu blocks of it were freed since", b->why,
			     (unsigned long long)res->totals.unknown_frees);
		return;
	}
	message_info("baseline: %s blocks of %s lived before, read in %s%s%s%s; since then %llu frees of blocks that it lacks, "
		     "%llu of its blocks born again", human_count(count, b->nr_objects), human_nbytes(nbytes, b->nbytes),
		     human_ns(time, b->walk_ns), b->pause_ns ? " (the target stood for " : "",
		     b->pause_ns ? human_ns(pause, b->pause_ns) : "", b->pause_ns ? ")" : "",
		     (unsigned long long)res->totals.unknown_frees, (unsigned long long)res->totals.implied_frees);
	if (*b->why)
		message_info("not in the baseline: %s", b->why);
}

static int by_time(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* How long children stood at their start. */
static void print_holds(const struct family *f, unsigned nr)
{
	uint64_t *ns = calloc(nr + 1, sizeof(*ns));
	char median[HUMAN_MAX], most[HUMAN_MAX];
	unsigned nr_held = 0;

	for (unsigned i = 1; i < nr && ns; i++)
		if (family_process(f, i)->held_ns)
			ns[nr_held++] = family_process(f, i)->held_ns;
	if (nr_held) {
		qsort(ns, nr_held, sizeof(*ns), by_time);
		message_info("children stood for %s at their start (median), %s at most", human_ns(median, ns[nr_held / 2]),
			     human_ns(most, ns[nr_held - 1]));
	}
	free(ns);
}

/* What has become of each process. */
static void print_family(const struct session_result *res)
{
	char calls[HUMAN_MAX], live[HUMAN_MAX];
	const struct family_process *p;
	struct family_totals totals;
	unsigned nr = 0;

	family_totals(res->family, &totals);
	while ((p = family_process(res->family, nr)))
		if (nr++ < FAMILY_SHOWN)
			message_info("  %-14s %s of %d: %s calls, %s live at the end%s", p->file, p->parent ? "child" : "first", p->parent ? p->parent : p->pid,
				     human_count(calls, p->calls), human_nbytes(live, p->live_nbytes),
				     p->state == FAMILY_ENDED ? "" : "; its recorder did not live to its end");
	if (totals.nr_processes > FAMILY_SHOWN)
		message_info("  and %u more: heaptape info %s", totals.nr_processes - FAMILY_SHOWN, res->folder);
	print_holds(res->family, nr);
	if (totals.nr_loaded_late)
		message_info("%u of them waited until programs were loaded for them: more were born at once than are kept ready", totals.nr_loaded_late);
	if (totals.nr_left_out)
		message_warn("%u children are not recorded", totals.nr_left_out);
	if (totals.nr_failed)
		message_warn("%u recordings of children did not come to their end; what they wrote is there", totals.nr_failed);
}

static void print_summary(const struct session_opts *so, const struct session_result *res)
{
	static const char *const ends[] = { [SESSION_TARGET_EXITED] = "the target ended",
					    [SESSION_TARGET_OOM] = "the target was killed for lack of memory", [SESSION_DURATION] = "time is up",
					    [SESSION_COST] = "it cost too much",
					    [SESSION_SIGNAL] = "stopped" };
	char count[HUMAN_MAX], time[HUMAN_MAX], nbytes[HUMAN_MAX], live[HUMAN_MAX];

	message_info("%s: %s calls in %s by %llu threads, %s live at the end, %s on disk", ends[res->end],
		     human_count(count, res->totals.events), human_ns(time, res->duration_ns),
		     (unsigned long long)res->totals.threads, human_nbytes(live, res->totals.live_nbytes),
		     human_nbytes(nbytes, res->tape_nbytes));
	print_baseline(so, res);
	print_cost(res);
	if (res->totals.lost)
		message_warn("%llu calls were lost (%.3f %%); heaptape info %s says when; --buffer makes room",
			     (unsigned long long)res->totals.lost,
			     100.0 * (double)res->totals.lost / (double)(res->totals.lost + res->totals.events), res->tape_path);
	if (res->other_lost)
		message_warn("%llu other records (faults, mappings, threads) were lost", (unsigned long long)res->other_lost);
	if (so->follow)
		print_family(res);
	else if (res->totals.forks)
		message_info("the target made %llu child processes, which are not recorded; --follow-fork records them",
			     (unsigned long long)res->totals.forks);
	if (!so->pid && res->end == SESSION_TARGET_EXITED && WIFSIGNALED(res->child_status))
		message_info("the command was ended by signal %d", WTERMSIG(res->child_status));
	else if (!so->pid && res->end == SESSION_TARGET_EXITED && WEXITSTATUS(res->child_status))
		message_info("the command's exit status was %d", WEXITSTATUS(res->child_status));
	message_info("next: heaptape replay %s", res->tape_path);
}

static int run(const struct command *cmd, int argc, char **argv)
{
	static struct record_args ra; /* large */
	struct command_args args = { 0 };
	static struct session_result res; /* large */
	const char *why;
	int option, err;

	ra = (struct record_args){ .session = { .tape_path = "heaptape-%p.tape", .mappings = true, .faults = true, .cmdline = true,
					       .stacks = HT_STACKS_EH, .levels = RUNTIME_OS | RUNTIME_PAGES | RUNTIME_OBJECTS,
					       .ring = { .period_ns = KEYFRAME_PERIOD_NS }, .ready_fd = -1 } };

	while ((option = command_next_option(cmd, &args, argc, argv)) >= 0) {
		err = take_option(cmd, option, args.value, &ra);
		if (err)
			return err;
	}
	if (option != COMMAND_END)
		return option == COMMAND_HELP ? EXIT_DONE : EXIT_USAGE;
	if (args.next < argc)
		ra.session.argv = argv + args.next;
	if (!ra.session.pid == !ra.session.argv)
		return command_usage_error(cmd, "name either a process (-p PID) or a command (-- CMD ARGS)");
	if (ra.session.trigger_rss_nbytes && !ra.session.ring.nbytes)
		return command_usage_error(cmd, "--trigger-rss copies a ring: give --ring SIZE too");
	if (ra.session.pid && ra.session.user)
		return command_usage_error(cmd, "--user is for a command, not for a process that runs already");
	err = name_customs(cmd, &ra);
	if (err)
		return err;
	if (ra.session.pid == getpid())
		return command_usage_error(cmd, "a recorder cannot record itself");
	if (ra.session.live && !live_view_possible(&why))
		return command_usage_error(cmd, "--live wants a terminal: %s", why);
	if (ra.session.live && ra.session.argv && isatty(STDOUT_FILENO))
		return command_usage_error(cmd, "--live takes the terminal that CMD would print on: send its output to a file (>FILE)");
	if (ra.follow && !ra.session.follow)
		ra.session.follow = FAMILY_LIMIT;
	if (ra.session.follow && !ra.follow)
		return command_usage_error(cmd, "--follow-max is for --follow-fork");
	if (ra.follow && ra.session.ring.nbytes)
		return command_usage_error(cmd, "--follow-fork and --ring exclude each other: both make a folder of FILE");
	if (ra.follow && ra.session.live)
		return command_usage_error(cmd, "--follow-fork and --live exclude each other: the screen shows one process");
	err = session_run(&ra.session, &res);
	if (err)
		message_error("record: %s", res.error[0] ? res.error : strerror(-err));
	else
		print_summary(&ra.session, &res);
	if (!err && ra.json)
		print_json(&res);
	family_free(res.family);
	return err ? EXIT_FAILED : EXIT_DONE;
}

const struct command cmd_record = {
	.name = "record",
	.synopsis = "-p PID | -- CMD [ARGS]  [-o FILE] [--duration TIME]",
	.summary = "Record every allocation of a live process onto a tape",
	.description = "Finds every allocator that the process has mapped, puts a breakpoint of the kernel's at each of its\n"
		       "functions, and writes what passes there onto a tape. The process is not stopped, restarted or\n"
		       "changed; when the recorder ends, by any signal, it runs on at full speed. Nothing of the contents\n"
		       "of its memory is recorded. With -- CMD the tape begins with the command's first allocation.",
	.options = options,
	.run = run,
};
