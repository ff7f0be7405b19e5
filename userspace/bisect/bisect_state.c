/* SPDX-License-Identifier: BSD-2-Clause */
/* bisect_state.c - all runs of a search so far, in a file that is replaced as a whole. Everything else follows from them. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bisect/bisect.h"

#define STATE_NAME "heaptape bisect 1"
#define STATE_NBYTES_MAX (64u << 20)

static int take_revision(struct bisect *b, const cJSON *o)
{
	const cJSON *id = cJSON_GetObjectItem(o, "id"), *reason = cJSON_GetObjectItem(o, "reason"), *run;
	struct revision *rev;

	if (!cJSON_IsString(id))
		return -EBADMSG;
	rev = bisect_add(b, id->valuestring);
	if (!rev)
		return -ENOMEM;
	rev->reason = cJSON_IsString(reason) ? strdup(reason->valuestring) : NULL;
	cJSON_ArrayForEach(run, cJSON_GetObjectItem(o, "runs"))
		if (!cJSON_IsNumber(run) || samples_add(&rev->samples, run->valuedouble))
			return -EBADMSG;
	return 0;
}

static int parse(struct bisect *b, const char *text)
{
	cJSON *o = cJSON_Parse(text);
	const cJSON *name = cJSON_GetObjectItem(o, "state"), *rev;
	int err = cJSON_IsString(name) && !strcmp(name->valuestring, STATE_NAME) ? 0 : -EBADMSG;

	if (!err)
		cJSON_ArrayForEach(rev, cJSON_GetObjectItem(o, "revisions"))
			err = err ? err : take_revision(b, rev);
	cJSON_Delete(o);
	return err;
}

int bisect_state_load(struct bisect *b)
{
	FILE *f = b->state_path ? fopen(b->state_path, "re") : NULL;
	struct stat st;
	char *text;
	int err;

	if (!f)
		return b->state_path && errno != ENOENT ? -errno : 0;
	if (fstat(fileno(f), &st) || st.st_size > STATE_NBYTES_MAX) {
		fclose(f);
		return -EBADMSG;
	}
	text = calloc(1, (size_t)st.st_size + 1);
	err = !text ? -ENOMEM : fread(text, 1, (size_t)st.st_size, f) == (size_t)st.st_size ? parse(b, text) : -EIO;
	free(text);
	fclose(f);
	return err;
}

static char *print(const struct bisect *b)
{
	cJSON *o = cJSON_CreateObject(), *list;
	char *text;

	cJSON_AddStringToObject(o, "state", STATE_NAME);
	list = cJSON_AddArrayToObject(o, "revisions");
	for (size_t i = 0; i < b->nr_revisions; i++) {
		const struct revision *rev = &b->revisions[i];
		cJSON *one = cJSON_CreateObject(), *runs;

		cJSON_AddItemToArray(list, one);
		cJSON_AddStringToObject(one, "id", rev->id);
		if (rev->reason)
			cJSON_AddStringToObject(one, "reason", rev->reason);
		runs = cJSON_AddArrayToObject(one, "runs");
		for (size_t k = 0; k < rev->samples.nr; k++)
			cJSON_AddItemToArray(runs, cJSON_CreateNumber(rev->samples.list[k]));
	}
	text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	return text;
}

int bisect_state_save(const struct bisect *b)
{
	char part[PATH_MAX + 8], *text;
	int fd, err = 0;
	size_t nbytes;

	if (!b->state_path)
		return 0;
	text = print(b);
	if (!text)
		return -ENOMEM;
	nbytes = strlen(text);
	snprintf(part, sizeof(part), "%s.part", b->state_path);
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, nbytes) != (ssize_t)nbytes)
		err = errno ? -errno : -EIO;
	if (fd >= 0 && close(fd) && !err)
		err = -errno;
	if (!err && rename(part, b->state_path))
		err = -errno;
	free(text);
	return err;
}
