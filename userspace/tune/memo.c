/* SPDX-License-Identifier: BSD-2-Clause */
/* memo.c - see memo.h. One JSON file: lists of numbers by "part figure settings". */
#include "tune/memo.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "cache_dir.h"
#include "json_file.h"
#include "replay/tested.h"
#include "trials/trials.h"

#define MEMO_VERSION "1" /* of what the figures mean: another one begins anew */
#define MEMO_NBYTES_MAX (16 << 20)
#define KEY_MAX 1200

struct memo {
	char path[PATH_MAX];
	cJSON *lists;
	bool changed;
};

/* The tape's content, and the library's: by build id and, since not all have one, size and time. */
static int make_key(const char *tape, const char *alloc, uint64_t *key_ret)
{
	struct stat st = { 0 };
	struct tested a;
	char why[512], *text = NULL;
	int err = tested_parse(alloc, &a, why, sizeof(why));

	if (err)
		return err;
	if (stat(a.path, &st) || asprintf(&text, MEMO_VERSION " %s %s %s %lld %lld.%09ld %016" PRIx64, alloc, a.path, a.build_id, (long long)st.st_size,
					 (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, trials_tape_hash(tape)) < 0)
		err = -EIO;
	*key_ret = text ? XXH3_64bits(text, strlen(text)) : 0;
	free(text);
	tested_free(&a);
	return err;
}

struct memo *memo_open(const char *tape, const char *alloc)
{
	struct memo *m = calloc(1, sizeof(*m));
	char cache[PATH_MAX - 64];
	uint64_t key;

	if (!m || cache_dir(cache, sizeof(cache)) || make_key(tape, alloc, &key)) {
		free(m);
		return NULL;
	}
	snprintf(m->path, sizeof(m->path), "%s/tune", cache);
	if (mkdir(m->path, 0700) && errno != EEXIST) {
		free(m);
		return NULL;
	}
	snprintf(m->path, sizeof(m->path), "%s/tune/%016" PRIx64 ".json", cache, key);
	m->lists = json_file_read(m->path, MEMO_NBYTES_MAX - 1);
	if (!cJSON_IsObject(m->lists)) { /* none yet, or not ours to understand */
		cJSON_Delete(m->lists);
		m->lists = cJSON_CreateObject();
	}
	return m;
}

static const char *name_of(char name[KEY_MAX], const char *settings, unsigned part, int figure)
{
	snprintf(name, KEY_MAX, "%u %d %s", part, figure, settings);
	return name;
}

bool memo_get(const struct memo *m, const char *settings, unsigned part, int figure, size_t i, double *value_ret)
{
	char name[KEY_MAX];
	const cJSON *value = m ? cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(m->lists, name_of(name, settings, part, figure)), (int)i) : NULL;

	if (!cJSON_IsNumber(value))
		return false;
	*value_ret = value->valuedouble;
	return true;
}

void memo_add(struct memo *m, const char *settings, unsigned part, int figure, double value)
{
	char name[KEY_MAX];
	cJSON *list;

	if (!m)
		return;
	list = cJSON_GetObjectItemCaseSensitive(m->lists, name_of(name, settings, part, figure));
	if (!list)
		list = cJSON_AddArrayToObject(m->lists, name);
	cJSON_AddItemToArray(list, cJSON_CreateNumber(value));
	m->changed = true;
}

static int save(const struct memo *m)
{
	char part[PATH_MAX + 8], *text = cJSON_PrintUnformatted(m->lists);
	FILE *f;
	int err = text ? 0 : -ENOMEM;

	if (err)
		return err;
	snprintf(part, sizeof(part), "%s.part", m->path);
	f = fopen(part, "we");
	if (!f || fputs(text, f) < 0)
		err = -EIO;
	if (f && fclose(f))
		err = -EIO;
	if (!err && rename(part, m->path))
		err = -errno;
	free(text);
	return err;
}

int memo_close(struct memo *m)
{
	int err = m && m->changed ? save(m) : 0;

	if (m)
		cJSON_Delete(m->lists);
	free(m);
	return err;
}
