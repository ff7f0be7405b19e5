/* SPDX-License-Identifier: BSD-2-Clause */
/* heaptape probe: where the probes of a process or a library would stand, for a person to read. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/prepare.h"
#include "cmd_probe_estimate.h"
#include "cmd_probe_runtime.h"
#include "command.h"
#include "message.h"
#include "record/drain.h"
#include "record/kernel.h"
#include "report/probe_lines.h"
#include "sites/inventory.h"

static const struct command_option options[] = {
	{ "pid", 'p', "PID", "the process whose allocators are looked at" },
	{ "lib", 'l', "FILE", "a shared object or program instead of a process" },
	{ "json", 0, NULL, "print JSON" },
	{ "estimate", 0, "TIME", "count the calls of process PID for TIME (2s) instead, and say what recording will cost it" },
	{ "no-cache", 0, NULL, "check anew, whatever an earlier check has left" },
	{ NULL, 0, NULL, NULL },
};

enum { OPT_JSON = 256 + 2, OPT_ESTIMATE, OPT_NO_CACHE };
enum { RING_NBYTES = 4 << 20 }; /* the calls of some milliseconds, twice */

struct probe {
	bool json, no_cache;
	uint64_t estimate_ns;
	struct kernel kernel;
	struct drain *drain;
	bool has_kernel;
	struct trap_costs costs;
	cJSON *array;
	const char *program; /* whose runtime is told, too */
};

/* Without the rights for it, plans are shown unchecked, and why. */
static void probe_open(struct probe *p, pid_t pid)
{
	struct kernel_opts opts = { .pid = pid ? pid : getpid(), .ring_nbytes = RING_NBYTES };
	const char *why = "";
	int err = kernel_open(&opts, &p->kernel, &why);

	if (err) {
		message_warn("plans cannot be checked here, and costs not measured: %s failed: %s; see heaptape doctor", why,
			     strerror(-err));
		return;
	}
	p->has_kernel = true;
	for (int t = HT_TRAP_EMULATED; t <= HT_TRAP_RETURN && !err; t++)
		err = calibrate_trap(&p->kernel, (enum ht_trap)t, &p->costs);
	if (!err)
		err = drain_new(p->kernel.ring_fds, p->kernel.nr_cpus + 1, &p->drain);
	if (err)
		message_warn("the cost of a trap could not be measured: %s", strerror(-err));
}

static void probe_close(struct probe *p)
{
	drain_free(p->drain);
	if (p->has_kernel)
		kernel_close(&p->kernel);
	cJSON_Delete(p->array);
}

static int probe_one(struct probe *p, struct allocator *a, const struct process *target, struct prepare_result *prepared)
{
	struct prepare_opts opts = { .no_cache = p->no_cache, .target = target, .target_runs = target };
	int err;

	message_progress("checking the plans of %s", object_path(a->obj));
	err = prepare_plans(p->drain ? &p->kernel : NULL, p->drain, a, &opts, prepared);
	message_progress(NULL);
	if (err)
		message_error("probe: %s: %s", object_path(a->obj), strerror(-err));
	return err;
}

static void show(struct probe *p, const struct allocator *a, const struct prepare_result *prepared)
{
	const struct trap_costs *costs = p->drain ? &p->costs : NULL;

	if (!p->json) {
		probe_print(a, prepared, costs);
		return;
	}
	if (!p->array)
		p->array = cJSON_CreateArray();
	cJSON_AddItemToArray(p->array, probe_json(a, prepared, costs));
}

static void print_root(struct probe *p, cJSON *root)
{
	char *text;

	cJSON_AddItemToObject(root, "allocators", p->array ? p->array : cJSON_CreateArray());
	p->array = NULL;
	text = cJSON_Print(root);
	printf("%s\n", text ? text : "null");
	cJSON_free(text);
}

static void print_json(struct probe *p)
{
	cJSON *root = cJSON_CreateObject();

	probe_runtime(p->program, root);
	print_root(p, root);
	cJSON_Delete(root);
}

/* A runtime is all that is to be told of the program. false: it has none. */
static bool only_runtime(struct probe *p, const char *path)
{
	cJSON *root = p->json ? cJSON_CreateObject() : NULL;
	bool known = probe_runtime(path, root);

	if (known && root)
		print_root(p, root);
	cJSON_Delete(root);
	return known;
}

static int probe_lib(struct probe *p, const char *path)
{
	struct prepare_result prepared;
	struct allocator *a;
	struct object *obj;
	int err;

	err = object_open_path(path, &obj);
	if (err == -ENOEXEC) {
		message_error("probe: %s is no 64-bit ELF file of this machine", path);
		return EXIT_FAILED;
	}
	if (err) {
		message_error("probe: %s: %s", path, strerror(-err));
		return EXIT_FAILED;
	}
	err = survey_object(obj, &a);
	if (!err && only_runtime(p, path)) {
		object_close(obj);
		return EXIT_DONE;
	}
	if (err <= 0) {
		char why[512];

		survey_why_none(obj, why, sizeof(why));
		object_close(obj);
		message_error("probe: %s: %s%s%s", path, err ? strerror(-err) : "defines no malloc and free", *why ? "; it is static and stripped, and " : "",
			      why);
		return EXIT_FAILED;
	}
	probe_open(p, 0);
	err = probe_one(p, a, NULL, &prepared);
	if (!err)
		show(p, a, &prepared);
	p->program = path;
	if (!err && p->json)
		print_json(p);
	else if (!err)
		probe_runtime(path, NULL);
	allocator_free(a);
	return err ? EXIT_FAILED : EXIT_DONE;
}

static int probe_inventory(struct probe *p, const struct process *target, const struct inventory *inv)
{
	struct allocator *list[HT_OBJECTS_MAX];
	unsigned nr = inventory_nr(inv);
	int err = 0;

	for (unsigned i = 0; i < nr && !err; i++) {
		struct prepare_result prepared;

		list[i] = inventory_get(inv, i);
		err = probe_one(p, list[i], target, &prepared);
		if (!err && !p->estimate_ns)
			show(p, list[i], &prepared);
	}
	if (err)
		return EXIT_FAILED;
	if (p->estimate_ns)
		return probe_estimate(target, list, nr, p->estimate_ns, p->json);
	if (p->json)
		print_json(p);
	else
		probe_runtime(p->program, NULL);
	return EXIT_DONE;
}

static int probe_pid(struct probe *p, pid_t pid)
{
	struct inventory *inv = inventory_new();
	int err, status = EXIT_FAILED;
	struct process target;
	unsigned nr_new;
	char exe[32];

	snprintf(exe, sizeof(exe), "/proc/%d/exe", pid);
	p->program = exe;
	err = process_open(pid, &target);
	if (!err && inv)
		err = inventory_update(inv, &target, &nr_new);
	if (err || !inv) {
		message_error("probe: pid %d: %s", pid, err == -ESRCH ? "no such process" : strerror(err ? -err : ENOMEM));
	} else if (!inventory_nr(inv) && !p->estimate_ns && only_runtime(p, exe)) {
		status = EXIT_DONE;
	} else if (!inventory_nr(inv)) {
		const char *why = inventory_why_none(inv);

		message_error("probe: pid %d: nothing that it has mapped defines malloc and free%s%s", pid,
			      *why ? "; the program is static and stripped, and " : "", why);
	} else {
		probe_open(p, pid);
		status = probe_inventory(p, &target, inv);
	}
	inventory_free(inv);
	process_close(&target);
	return status;
}

static int run(const struct command *cmd, int argc, char **argv)
{
	struct command_args args = { 0 };
	const char *lib = NULL;
	struct probe p = { 0 };
	uint64_t pid = 0;
	int option, status;

	while ((option = command_next_option_anywhere(cmd, &args, argc, argv)) >= 0) {
		if (option == 'p' && (parse_count(args.value, &pid) || !pid || pid > 1 << 22))
			return command_usage_error(cmd, "--pid wants a number, not '%s'", args.value);
		if (option == 'l')
			lib = args.value;
		if (option == OPT_JSON)
			p.json = true;
		if (option == OPT_NO_CACHE)
			p.no_cache = true;
		if (option == OPT_ESTIMATE && (parse_duration_ns(args.value, &p.estimate_ns) || !p.estimate_ns))
			return command_usage_error(cmd, "--estimate wants a time such as 2s or 500ms, not '%s'", args.value);
	}
	if (option != COMMAND_END)
		return option == COMMAND_HELP ? EXIT_DONE : EXIT_USAGE;
	if (!pid == !lib || args.next < argc)
		return command_usage_error(cmd, "name either a process (-p PID) or a file (--lib FILE)");
	if (p.estimate_ns && lib)
		return command_usage_error(cmd, "--estimate counts the calls of a process (-p PID), a file makes none");
	status = lib ? probe_lib(&p, lib) : probe_pid(&p, (pid_t)pid);
	probe_close(&p);
	return status;
}

const struct command cmd_probe = {
	.name = "probe",
	.synopsis = "-p PID [--estimate TIME] | --lib FILE  [--json]",
	.summary = "Show where probes would stand, and what a call would cost",
	.description = "Prints for each recorded function its sites: offset in the file, role, whether the kernel emulates the\n"
		       "instruction (cheap) or steps it (five times as dear), on which outcome of a branch it counts, and where size\n"
		       "and block are found; then how many traps a usual call takes, and what that costs on this machine. Plans that\n"
		       "rest on data flow are first checked with known calls in a process without rights (what cannot be loaded there\n"
		       "is compared with the simple plans on the target for up to two seconds), and what holds is remembered in\n"
		       "/var/cache/heaptape or where HEAPTAPE_CACHE says (off: nowhere). With --estimate it counts the calls of a\n"
		       "running process at these sites for a while and says what recording will cost it.",
	.options = options,
	.run = run,
};
