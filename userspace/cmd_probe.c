/* SPDX-License-Identifier: BSD-2-Clause */
/* heaptape probe: where the probes of a process or a library would stand, for a person to read. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd_probe_estimate.h"
#include "command.h"
#include "formats/tape.h"
#include "message.h"
#include "sites/code.h"
#include "sites/inventory.h"

static const struct command_option options[] = {
	{ "pid", 'p', "PID", "the process whose allocators are looked at" },
	{ "lib", 'l', "FILE", "a shared object or program instead of a process" },
	{ "json", 0, NULL, "print JSON" },
	{ "estimate", 0, "TIME", "count the calls of process PID for TIME (2s) instead, and say what recording will cost it" },
	{ NULL, 0, NULL, NULL },
};

enum { OPT_JSON = 256 + 2, OPT_ESTIMATE };

static const char *const role_names[] = { [HT_ROLE_ONE] = "one",	 [HT_ROLE_STASH] = "stash", [HT_ROLE_FINISH] = "finish",
					  [HT_ROLE_GIVE_UP] = "give-up", [HT_ROLE_STEER] = "steer" };
static const char *const class_names[] = { [SITE_EMULATED] = "emulated", [SITE_STEPPED] = "stepped", [SITE_RETURN] = "return" };
static const char *const check_names[] = { [PLAN_CHECK_NONE] = "unchecked", [PLAN_CHECK_PASSED] = "passed",
					   [PLAN_CHECK_FAILED] = "failed" };

static const char *loc_text(const struct ht_loc *loc, char *buf, size_t buf_nbytes)
{
	const char *deref = loc->xform == HT_XFORM_DEREF ? " (stored where the argument points)" : "";

	switch (loc->from) {
	case HT_FROM_NONE: return "";
	case HT_FROM_STASH: snprintf(buf, buf_nbytes, "kept"); break;
	case HT_FROM_STACK: snprintf(buf, buf_nbytes, "[rsp%+d]", loc->disp); break;
	case HT_FROM_MEM: snprintf(buf, buf_nbytes, "[%s%+d]", code_reg_name(loc->reg), loc->disp); break;
	default: snprintf(buf, buf_nbytes, "%s%s", code_reg_name(loc->reg), deref); break;
	}
	return buf;
}

static void print_site(const struct plan_site *ps)
{
	const struct {
		const char *name;
		const struct ht_loc *loc;
	} values[] = { { "size", &ps->site.size }, { "times", &ps->site.mul }, { "block", &ps->site.ptr },
		       { "old", &ps->site.old },   { "align", &ps->site.align } };
	char buf[80];

	printf("    0x%-8llx %-8s %-8s %-28s", (unsigned long long)ps->offset, role_names[ps->site.role], class_names[ps->class],
	       ps->class == SITE_RETURN ? "(on return)" : ps->insn);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (values[i].loc->from != HT_FROM_NONE)
			printf(" %s=%s", values[i].name, loc_text(values[i].loc, buf, sizeof(buf)));
	printf("\n");
}

static void print_allocator(const struct allocator *a)
{
	printf("%s  %s  build id %s\n", a->name, object_path(a->obj), *object_build_id(a->obj) ? object_build_id(a->obj) : "none");
	for (unsigned i = 0; i < a->nr_plans; i++) {
		const struct plan *plan = &a->plans[i];

		printf("  %-36s ", plan->symbol);
		if (plan->skipped)
			printf("no probe: %s\n", plan->why);
		else if (!plan->nr_sites)
			printf("NOT RECORDED: %s\n", plan->why);
		else
			printf("a call: %u emulated, %u stepped, %u return; check: %s%s%s\n", plan->nr_emulated,
			       plan->nr_stepped, plan->nr_returns, check_names[plan->check], *plan->why ? "; " : "", plan->why);
		for (unsigned k = 0; k < plan->nr_sites; k++)
			print_site(&plan->sites[k]);
	}
}

static cJSON *site_json(const struct plan_site *ps)
{
	cJSON *s = cJSON_CreateObject();
	char buf[80];

	cJSON_AddNumberToObject(s, "offset", (double)ps->offset);
	cJSON_AddStringToObject(s, "role", role_names[ps->site.role]);
	cJSON_AddStringToObject(s, "class", class_names[ps->class]);
	cJSON_AddStringToObject(s, "insn", ps->insn);
	cJSON_AddStringToObject(s, "size", loc_text(&ps->site.size, buf, sizeof(buf)));
	cJSON_AddStringToObject(s, "block", loc_text(&ps->site.ptr, buf, sizeof(buf)));
	return s;
}

static cJSON *allocator_json(const struct allocator *a)
{
	cJSON *o = cJSON_CreateObject(), *functions = cJSON_AddArrayToObject(o, "functions");

	cJSON_AddStringToObject(o, "name", a->name);
	cJSON_AddStringToObject(o, "path", object_path(a->obj));
	cJSON_AddStringToObject(o, "build_id", object_build_id(a->obj));
	for (unsigned i = 0; i < a->nr_plans; i++) {
		const struct plan *plan = &a->plans[i];
		cJSON *f = cJSON_CreateObject(), *sites = cJSON_AddArrayToObject(f, "sites");

		cJSON_AddStringToObject(f, "name", plan->symbol);
		cJSON_AddStringToObject(f, "op", tape_kind_name(plan->function->kind));
		cJSON_AddNumberToObject(f, "emulated", plan->nr_emulated);
		cJSON_AddNumberToObject(f, "stepped", plan->nr_stepped);
		cJSON_AddNumberToObject(f, "returns", plan->nr_returns);
		cJSON_AddBoolToObject(f, "recorded", plan->nr_sites || plan->skipped);
		cJSON_AddStringToObject(f, "check", check_names[plan->check]);
		cJSON_AddStringToObject(f, "why", plan->why);
		for (unsigned k = 0; k < plan->nr_sites; k++)
			cJSON_AddItemToArray(sites, site_json(&plan->sites[k]));
		cJSON_AddItemToArray(functions, f);
	}
	return o;
}

static void print_all(struct allocator *const *list, unsigned nr, bool json)
{
	cJSON *root, *array;
	char *text;

	if (!json) {
		for (unsigned i = 0; i < nr; i++)
			print_allocator(list[i]);
		return;
	}
	root = cJSON_CreateObject();
	array = cJSON_AddArrayToObject(root, "allocators");
	for (unsigned i = 0; i < nr; i++)
		cJSON_AddItemToArray(array, allocator_json(list[i]));
	text = cJSON_Print(root);
	printf("%s\n", text ? text : "null");
	cJSON_free(text);
	cJSON_Delete(root);
}

static int probe_lib(const char *path, bool json)
{
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
	if (err <= 0) {
		object_close(obj);
		message_error("probe: %s: %s", path, err ? strerror(-err) : "defines no malloc and free");
		return EXIT_FAILED;
	}
	print_all(&a, 1, json);
	allocator_free(a);
	return EXIT_DONE;
}

static int probe_pid(pid_t pid, bool json, uint64_t estimate_ns)
{
	struct allocator *list[HT_OBJECTS_MAX];
	struct inventory *inv = inventory_new();
	struct process p;
	int err, status = EXIT_DONE;
	unsigned nr_new;

	err = process_open(pid, &p);
	if (!err && inv)
		err = inventory_update(inv, &p, &nr_new);
	if (err || !inv) {
		message_error("probe: pid %d: %s", pid, err == -ESRCH ? "no such process" : strerror(err ? -err : ENOMEM));
	} else if (!inventory_nr(inv)) {
		message_error("probe: pid %d: nothing that it has mapped defines malloc and free", pid);
		err = -ENOENT;
	} else {
		for (unsigned i = 0; i < inventory_nr(inv); i++)
			list[i] = inventory_get(inv, i);
		if (estimate_ns)
			status = probe_estimate(&p, list, inventory_nr(inv), estimate_ns, json);
		else
			print_all(list, inventory_nr(inv), json);
	}
	inventory_free(inv);
	process_close(&p);
	return err || !inv ? EXIT_FAILED : status;
}

static int run(const struct command *cmd, int argc, char **argv)
{
	struct command_args args = { 0 };
	const char *lib = NULL;
	uint64_t pid = 0, estimate_ns = 0;
	bool json = false;
	int option;

	while ((option = command_next_option_anywhere(cmd, &args, argc, argv)) >= 0) {
		if (option == 'p' && (parse_count(args.value, &pid) || !pid || pid > 1 << 22))
			return command_usage_error(cmd, "--pid wants a number, not '%s'", args.value);
		if (option == 'l')
			lib = args.value;
		if (option == OPT_JSON)
			json = true;
		if (option == OPT_ESTIMATE && (parse_duration_ns(args.value, &estimate_ns) || !estimate_ns))
			return command_usage_error(cmd, "--estimate wants a time such as 2s or 500ms, not '%s'", args.value);
	}
	if (option != COMMAND_END)
		return option == COMMAND_HELP ? EXIT_DONE : EXIT_USAGE;
	if (!pid == !lib || args.next < argc)
		return command_usage_error(cmd, "name either a process (-p PID) or a file (--lib FILE)");
	if (estimate_ns && lib)
		return command_usage_error(cmd, "--estimate counts the calls of a process (-p PID), a file makes none");
	return lib ? probe_lib(lib, json) : probe_pid((pid_t)pid, json, estimate_ns);
}

const struct command cmd_probe = {
	.name = "probe",
	.synopsis = "-p PID [--estimate TIME] | --lib FILE  [--json]",
	.summary = "Show where probes would stand, and what a call would cost",
	.description = "Prints for each recorded function its sites: offset in the file, role, whether the kernel emulates the\n"
		       "instruction (cheap) or steps it (five times as dear), and where size and block are found. Probes nothing;\n"
		       "record checks plans that rest on data flow with known calls before it uses them. With --estimate it counts\n"
		       "the calls of a running process at these sites for a while and says what recording will cost it.",
	.options = options,
	.run = run,
};
