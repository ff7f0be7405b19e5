/* SPDX-License-Identifier: BSD-2-Clause */
/* What heaptape probe says about each function. */
#include "probe_lines.h"

#include <stdio.h>

#include "formats/tape.h"
#include "message.h"
#include "sites/code.h"

static const char *const role_names[] = { [HT_ROLE_ONE] = "one",	 [HT_ROLE_STASH] = "stash", [HT_ROLE_FINISH] = "finish",
					  [HT_ROLE_GIVE_UP] = "give-up", [HT_ROLE_STEER] = "steer",
					  [HT_ROLE_GUARD] = "guard",
					  [HT_ROLE_OWN] = "own" };
static const char *const class_names[] = { [SITE_EMULATED] = "emulated", [SITE_STEPPED] = "stepped", [SITE_RETURN] = "return" };
static const char *const check_names[] = { [PLAN_CHECK_NONE] = "unchecked",
					   [PLAN_CHECK_PASSED] = "passed",
					   [PLAN_CHECK_LIVE] = "agreed on the target",
					   [PLAN_CHECK_FAILED] = "failed, replaced" };
static const char *const how_names[] = { [PREPARED_SIMPLE] = "none",
					 [PREPARED_CACHED] = "remembered",
					 [PREPARED_CHECKED] = "scratch process",
					 [PREPARED_LIVE] = "on the target" };

static const char *loc_text(const struct ht_loc *loc, char *buf, size_t buf_nbytes)
{
	const char *deref = loc->xform == HT_XFORM_DEREF ? " (stored where the argument points)" : "";

	switch (loc->from) {
	case HT_FROM_NONE: return "";
	case HT_FROM_STASH: snprintf(buf, buf_nbytes, "kept"); break;
	case HT_FROM_STACK: snprintf(buf, buf_nbytes, "[%s%+d]", code_reg_name(code_sp_reg()), loc->disp); break;
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
	} values[] = { { "size", &ps->site.size },
		       { ps->site.mul.xform == HT_XFORM_HIGH ? "overflow" : "times", &ps->site.mul },
		       { "block", &ps->site.ptr },
		       { "old", &ps->site.old },
		       { "align", &ps->site.align } };
	char buf[80];

	printf("    0x%-8llx %-8s %-8s %-28s", (unsigned long long)ps->offset, role_names[ps->site.role], class_names[ps->class],
	       ps->class == SITE_RETURN ? "(on return)" : ps->insn);
	if (ps->site.cond)
		printf(" if %s", code_cond_name(ps->site.cond));
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (values[i].loc->from != HT_FROM_NONE)
			printf(" %s=%s", values[i].name, loc_text(values[i].loc, buf, sizeof(buf)));
	printf("\n");
}

static double per_call(uint32_t traps)
{
	return (double)traps / PLAN_USUAL_CALLS;
}

static double call_ns(const struct plan *plan, const struct trap_costs *costs)
{
	return per_call(plan->traps.emulated) * (double)costs->ns[HT_TRAP_EMULATED] +
	       per_call(plan->traps.stepped) * (double)costs->ns[HT_TRAP_STEPPED] +
	       per_call(plan->traps.returned) * (double)costs->ns[HT_TRAP_RETURN];
}

static void print_plan(const struct plan *plan, const struct trap_costs *costs)
{
	const struct plan_traps *t = &plan->traps;

	printf("  %-36s ", plan->symbol);
	if (plan->skipped) {
		printf("no probe: %s\n", plan->why);
		return;
	}
	if (!plan->nr_sites) {
		printf("NOT RECORDED: %s\n", plan->why);
		return;
	}
	printf("a call: %.2f emulated", per_call(t->emulated));
	if (t->stepped)
		printf(", %.2f stepped", per_call(t->stepped));
	if (t->returned)
		printf(", %.2f return", per_call(t->returned));
	if (costs)
		printf(": %.2f us", call_ns(plan, costs) / 1e3);
	printf("; check: %s%s%s\n", check_names[plan->check], *plan->why ? "; " : "", plan->why);
	for (unsigned k = 0; k < plan->nr_sites; k++)
		print_site(&plan->sites[k]);
}

static void print_check(const struct prepare_result *p)
{
	const struct check_result *c = &p->check;
	char took[HUMAN_MAX];

	switch (p->how) {
	case PREPARED_SIMPLE: printf("  simple plans, not checked%s%s\n", *p->why ? ": " : "", p->why); break;
	case PREPARED_CACHED:
		printf("  remembered: %u plans held in %llu known calls of a scratch process, %u were replaced, %u cannot be called\n",
		       c->nr_checked, (unsigned long long)c->nr_calls, c->nr_failed, c->nr_unreached);
		break;
	case PREPARED_CHECKED:
		printf("  %u plans hold in %llu known calls of a scratch process, %u replaced, %u cannot be called (%s)\n",
		       c->nr_checked, (unsigned long long)c->nr_calls, c->nr_failed, c->nr_unreached, human_ns(took, p->took_ns));
		break;
	case PREPARED_LIVE:
		printf("  %u plans agree with the simple ones in %llu calls of the target, %u differed, %u made too few calls (%s)\n",
		       c->nr_checked, (unsigned long long)c->nr_calls, c->nr_failed, c->nr_unreached, human_ns(took, p->took_ns));
		break;
	}
	if (p->how != PREPARED_SIMPLE && !p->counted)
		printf("  what is usual was not counted: each way of a branch is taken for as likely as the other\n");
}

void probe_print(const struct allocator *a, const struct prepare_result *prepared, const struct trap_costs *costs)
{
	printf("%s  %s  build id %s\n", a->name, object_path(a->obj), *object_build_id(a->obj) ? object_build_id(a->obj) : "none");
	if (*a->found)
		printf("  found by its machine code, which is that of %s\n", a->found);
	print_check(prepared);
	for (unsigned i = 0; i < a->nr_plans; i++)
		print_plan(&a->plans[i], costs);
}

/* ---- JSON ---- */

static void add_loc(cJSON *o, const char *name, const struct ht_loc *loc)
{
	char buf[80];

	if (loc->from != HT_FROM_NONE)
		cJSON_AddStringToObject(o, name, loc_text(loc, buf, sizeof(buf)));
}

static cJSON *site_json(const struct plan_site *ps)
{
	cJSON *s = cJSON_CreateObject();

	cJSON_AddNumberToObject(s, "offset", (double)ps->offset);
	cJSON_AddStringToObject(s, "role", role_names[ps->site.role]);
	cJSON_AddStringToObject(s, "class", class_names[ps->class]);
	cJSON_AddStringToObject(s, "insn", ps->insn);
	if (ps->site.cond)
		cJSON_AddStringToObject(s, "if", code_cond_name(ps->site.cond));
	add_loc(s, "size", &ps->site.size);
	add_loc(s, ps->site.mul.xform == HT_XFORM_HIGH ? "overflow" : "times", &ps->site.mul);
	add_loc(s, "block", &ps->site.ptr);
	add_loc(s, "old", &ps->site.old);
	add_loc(s, "align", &ps->site.align);
	return s;
}

static cJSON *plan_json(const struct plan *plan, const struct trap_costs *costs)
{
	cJSON *f = cJSON_CreateObject(), *sites = cJSON_AddArrayToObject(f, "sites");

	cJSON_AddStringToObject(f, "name", plan->symbol);
	cJSON_AddStringToObject(f, "op", tape_kind_name(plan->function->kind));
	cJSON_AddNumberToObject(f, "emulated", per_call(plan->traps.emulated));
	cJSON_AddNumberToObject(f, "stepped", per_call(plan->traps.stepped));
	cJSON_AddNumberToObject(f, "returns", per_call(plan->traps.returned));
	if (costs)
		cJSON_AddNumberToObject(f, "call_ns", call_ns(plan, costs));
	cJSON_AddBoolToObject(f, "recorded", plan->nr_sites || plan->skipped);
	cJSON_AddStringToObject(f, "check", check_names[plan->check]);
	cJSON_AddStringToObject(f, "why", plan->why);
	for (unsigned k = 0; k < plan->nr_sites; k++)
		cJSON_AddItemToArray(sites, site_json(&plan->sites[k]));
	return f;
}

cJSON *probe_json(const struct allocator *a, const struct prepare_result *prepared, const struct trap_costs *costs)
{
	cJSON *o = cJSON_CreateObject(), *check, *functions;

	cJSON_AddStringToObject(o, "name", a->name);
	cJSON_AddStringToObject(o, "path", object_path(a->obj));
	cJSON_AddStringToObject(o, "build_id", object_build_id(a->obj));
	if (*a->found)
		cJSON_AddStringToObject(o, "found", a->found);
	check = cJSON_AddObjectToObject(o, "check");
	cJSON_AddStringToObject(check, "made", how_names[prepared->how]);
	cJSON_AddStringToObject(check, "why", prepared->why);
	cJSON_AddBoolToObject(check, "counted", prepared->counted);
	cJSON_AddNumberToObject(check, "plans", prepared->check.nr_checked);
	cJSON_AddNumberToObject(check, "replaced", prepared->check.nr_failed);
	cJSON_AddNumberToObject(check, "not_callable", prepared->check.nr_unreached);
	cJSON_AddNumberToObject(check, "calls", (double)prepared->check.nr_calls);
	cJSON_AddNumberToObject(check, "took_ns", (double)prepared->took_ns);
	functions = cJSON_AddArrayToObject(o, "functions");
	for (unsigned i = 0; i < a->nr_plans; i++)
		cJSON_AddItemToArray(functions, plan_json(&a->plans[i], costs));
	return o;
}
