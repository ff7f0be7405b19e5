/* SPDX-License-Identifier: BSD-2-Clause */
/* heaptape probe --estimate: what recording will cost, for a person to read. */
#include "cmd_probe_estimate.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "message.h"
#include "record/estimate.h"
#include "report/cost_lines.h"

/* Only the kinds that occur have been timed. */
static void print_call(const struct estimate *est)
{
	static const char *const kinds[] = { [HT_TRAP_EMULATED] = "emulated", [HT_TRAP_STEPPED] = "stepped",
					     [HT_TRAP_RETURN] = "return probe" };
	const char *before = " (";

	printf("  a call: %.0f ns, %.2f traps", trap_cost_ns(&est->costs, est->traps) / (double)est->calls,
	       (double)trap_total(est->traps) / (double)est->calls);
	for (int t = HT_TRAP_EMULATED; t <= HT_TRAP_RETURN; t++) {
		if (!est->traps[t])
			continue;
		printf("%s%.2f %s of %llu ns", before, (double)est->traps[t] / (double)est->calls, kinds[t],
		       (unsigned long long)est->costs.ns[t]);
		before = ", ";
	}
	printf(")\n");
}

static void print_text(const struct estimate *est)
{
	char calls[COST_MAX], recorded[COST_MAX], cpus[COST_MAX];

	printf("%s calls/s: recording will take about %s\n", cost_number(calls, est->calls_per_s), cost_cpus(cpus, est->cpus));
	if (est->calls)
		print_call(est);
	if (est->recorded_calls_per_s < 0.95 * est->calls_per_s)
		printf("  its busy threads have no time left for that: it will make about %s calls/s\n",
		       cost_number(recorded, est->recorded_calls_per_s));
}

static void print_json(const struct estimate *est)
{
	cJSON *root = cJSON_CreateObject(), *e = cJSON_AddObjectToObject(root, "estimate");
	char *text;

	cJSON_AddNumberToObject(e, "duration_ns", (double)est->duration_ns);
	cJSON_AddNumberToObject(e, "calls", (double)est->calls);
	cJSON_AddNumberToObject(e, "calls_per_s", est->calls_per_s);
	cJSON_AddNumberToObject(e, "recorded_calls_per_s", est->recorded_calls_per_s);
	cJSON_AddNumberToObject(e, "cpus", est->cpus);
	cost_add_json(e, est->traps, &est->costs);
	text = cJSON_Print(root);
	printf("%s\n", text ? text : "null");
	cJSON_free(text);
	cJSON_Delete(root);
}

int probe_estimate(const struct process *p, struct allocator *const *list, unsigned nr, uint64_t duration_ns, bool json)
{
	struct estimate est;
	int err = estimate_run(p, list, nr, duration_ns, &est);

	if (err) {
		message_error("probe: %s", est.error[0] ? est.error : strerror(-err));
		return EXIT_FAILED;
	}
	if (json)
		print_json(&est);
	else
		print_text(&est);
	return EXIT_DONE;
}
