/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd_probe_runtime.h"

#include <inttypes.h>
#include <stdio.h>

#include "runtime/runtime.h"

static const char *kind_of(const struct runtime_probe *p)
{
	return p->is_return ? "return probe" : p->capture.trap == HT_TRAP_EMULATED ? "emulated" : "stepped";
}

static uint64_t offset_of(const struct runtime *rt, const struct runtime_probe *p)
{
	uint64_t offset = 0;

	object_offset(rt->obj, p->vaddr, &offset);
	return offset;
}

static void print(const struct runtime *rt, int err)
{
	const struct runtime_profile *profile = rt->profile;

	printf("runtime of %s (%s%s%s) in %s\n", profile->language, profile->name, *rt->version ? ", " : "", rt->version, object_path(rt->obj));
	if (err) {
		printf("  not recorded: %s\n", rt->why);
		return;
	}
	printf("  pages: %s\n  objects: %s\n", profile->pages, profile->objects);
	for (unsigned i = 0; i < rt->nr_probes; i++)
		printf("  %-34s at 0x%08" PRIx64 "  %-12s  %s\n", rt->probes[i].function, offset_of(rt, &rt->probes[i]), kind_of(&rt->probes[i]),
		       rt->probes[i].capture.tally ? "counted, no record" : "record");
}

static void put(cJSON *root, const struct runtime *rt, int err)
{
	cJSON *o = cJSON_AddObjectToObject(root, "runtime"), *list;

	cJSON_AddStringToObject(o, "name", rt->profile->name);
	cJSON_AddStringToObject(o, "version", rt->version);
	if (err)
		cJSON_AddStringToObject(o, "why_not", rt->why);
	list = cJSON_AddArrayToObject(o, "probes");
	for (unsigned i = 0; i < rt->nr_probes && !err; i++) {
		cJSON *probe = cJSON_CreateObject();

		cJSON_AddItemToArray(list, probe);
		cJSON_AddStringToObject(probe, "function", rt->probes[i].function);
		cJSON_AddNumberToObject(probe, "offset", (double)offset_of(rt, &rt->probes[i]));
		cJSON_AddStringToObject(probe, "kind", kind_of(&rt->probes[i]));
		cJSON_AddBoolToObject(probe, "record", !rt->probes[i].capture.tally);
	}
}

bool probe_runtime(const char *path, cJSON *root)
{
	const struct runtime_profile *profile;
	struct runtime_sink nobody = { 0 };
	struct runtime *rt = NULL;
	struct object *obj;
	int err;

	if (object_open_path(path, &obj))
		return false;
	profile = runtime_find(obj, NULL);
	if (profile) {
		err = runtime_open(profile, obj, RUNTIME_OS | RUNTIME_PAGES | RUNTIME_OBJECTS, &nobody, &rt);
		if (rt && root)
			put(root, rt, err);
		else if (rt)
			print(rt, err);
		runtime_free(rt);
	}
	object_close(obj);
	return profile;
}
