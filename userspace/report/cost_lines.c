/* SPDX-License-Identifier: BSD-2-Clause */
/* Costs for people and for programs. */
#include "cost_lines.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *cost_number(char *buf, double n)
{
	double unit = n < 1000 ? 1 : pow(10, floor(log10(n)) - 2); /* three digits */
	char digits[COST_MAX];
	size_t len, to = 0;

	snprintf(digits, sizeof(digits), "%.0f", n < 0 || n > 1e15 ? 0 : round(n / unit) * unit);
	len = strlen(digits);
	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			buf[to++] = ',';
		buf[to++] = digits[i];
	}
	buf[to] = '\0';
	return buf;
}

const char *cost_cpus(char *buf, double cpus)
{
	if (cpus < 0.001)
		snprintf(buf, COST_MAX, "less than 0.001 of a CPU");
	else if (cpus < 0.095)
		snprintf(buf, COST_MAX, "%.1g of a CPU", cpus);
	else if (cpus < 1.05)
		snprintf(buf, COST_MAX, "%.1f of a CPU", cpus);
	else
		snprintf(buf, COST_MAX, "%.1f CPUs", cpus);
	return buf;
}

void cost_add_json(cJSON *to, const uint64_t traps[HT_TRAP_NR], const struct trap_costs *costs)
{
	cJSON_AddNumberToObject(to, "traps", (double)trap_total(traps));
	cJSON_AddNumberToObject(to, "traps_emulated", (double)traps[HT_TRAP_EMULATED]);
	cJSON_AddNumberToObject(to, "traps_stepped", (double)traps[HT_TRAP_STEPPED]);
	cJSON_AddNumberToObject(to, "traps_return", (double)traps[HT_TRAP_RETURN]);
	cJSON_AddNumberToObject(to, "trap_ns", (double)costs->ns[HT_TRAP_EMULATED]);
	cJSON_AddNumberToObject(to, "stepped_trap_ns", (double)costs->ns[HT_TRAP_STEPPED]);
	cJSON_AddNumberToObject(to, "return_trap_ns", (double)costs->ns[HT_TRAP_RETURN]);
}
