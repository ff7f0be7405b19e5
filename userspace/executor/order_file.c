/* SPDX-License-Identifier: BSD-2-Clause */
/* order_file.c - the runs that are asked of a cluster, as JSON: each names its allocator as it was found here. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "executor/executor.h"
#include "json_file.h"

#define ORDERS_NBYTES_MAX (64u << 20)

static cJSON *order_json(const struct run_order *order)
{
	const struct tested *a = order->tested;
	cJSON *o = cJSON_CreateObject(), *settings = cJSON_AddArrayToObject(o, "settings");

	cJSON_AddStringToObject(o, "label", a->label);
	cJSON_AddStringToObject(o, "name", a->name);
	cJSON_AddStringToObject(o, "path", a->path);
	cJSON_AddStringToObject(o, "build_id", a->build_id);
	cJSON_AddBoolToObject(o, "preload", a->preload);
	for (size_t i = 0; i < a->nr_settings; i++)
		cJSON_AddItemToArray(settings, cJSON_CreateString(a->settings[i]));
	cJSON_AddBoolToObject(o, "steered", order->is_steered);
	cJSON_AddNumberToObject(o, "flags", order->flags);
	cJSON_AddStringToObject(o, "what", order->what);
	return o;
}

int order_file_write(const char *path, const struct replay_opts *opts, const struct run_order *orders, size_t nr)
{
	cJSON *root = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(root, "runs");
	FILE *out = fopen(path, "we");
	int err = out ? 0 : -errno;
	char *text;

	cJSON_AddNumberToObject(root, "pace_milli", (double)opts->pace_milli);
	cJSON_AddNumberToObject(root, "timeout_ns", (double)opts->timeout_ns);
	cJSON_AddBoolToObject(root, "clock_tape", opts->clock_tape);
	cJSON_AddBoolToObject(root, "layout_fixed", opts->layout_fixed);
	for (size_t i = 0; i < nr; i++)
		cJSON_AddItemToArray(list, order_json(&orders[i]));
	text = cJSON_PrintUnformatted(root);
	if (!err && (!text || fputs(text, out) < 0))
		err = text ? -EIO : -ENOMEM;
	if (out && fclose(out) && !err)
		err = -errno;
	cJSON_free(text);
	cJSON_Delete(root);
	return err;
}

static char *text_in(const cJSON *o, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);

	return cJSON_IsString(item) ? strdup(item->valuestring) : NULL;
}

static uint64_t number_in(const cJSON *o, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);

	return cJSON_IsNumber(item) && item->valuedouble >= 0 ? (uint64_t)item->valuedouble : 0;
}

static bool is_set(const cJSON *o, const char *key)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, key));
}

/* On this machine the file has a place of its own on the disk, but it must be the same file. */
static int read_tested(const cJSON *o, struct tested *a)
{
	const cJSON *settings = cJSON_GetObjectItemCaseSensitive(o, "settings"), *one;
	struct stat st;
	int err = 0;

	*a = (struct tested){ .label = text_in(o, "label"), .name = text_in(o, "name"), .path = text_in(o, "path"),
			      .build_id = text_in(o, "build_id"), .preload = is_set(o, "preload") };
	if (!a->label || !a->name || !a->path || !a->build_id)
		return -EBADMSG;
	if (stat(a->path, &st))
		return -errno;
	a->dev = st.st_dev;
	a->ino = st.st_ino;
	cJSON_ArrayForEach(one, settings) {
		char *key = cJSON_IsString(one) ? strdup(one->valuestring) : NULL, *value = key ? strchr(key, '=') : NULL;

		if (value)
			*value++ = '\0';
		err = err ? err : value ? tested_add_setting(a, key, value) : -EBADMSG;
		free(key);
	}
	return err;
}

int order_file_read(const char *path, size_t index, struct replay_opts *opts, struct run_order *order, struct tested *a)
{
	static char what[64];
	cJSON *root = json_file_read(path, ORDERS_NBYTES_MAX);
	const cJSON *o = root ? cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(root, "runs"), (int)index) : NULL;
	char *text;
	int err;

	*a = (struct tested){ 0 };
	if (!o) {
		cJSON_Delete(root);
		return root ? -ENOENT : -EBADMSG;
	}
	opts->pace_milli = number_in(root, "pace_milli");
	opts->timeout_ns = number_in(root, "timeout_ns");
	opts->clock_tape = is_set(root, "clock_tape");
	opts->layout_fixed = is_set(root, "layout_fixed");
	text = text_in(o, "what");
	snprintf(what, sizeof(what), "%s", text ? text : "");
	free(text);
	*order = (struct run_order){ .tested = a, .is_steered = is_set(o, "steered"), .flags = (uint32_t)number_in(o, "flags"), .what = what };
	err = read_tested(o, a);
	cJSON_Delete(root);
	return err;
}
