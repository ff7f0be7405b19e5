/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows on disk. */
#include "rows_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "cache_dir.h"

#define CACHE_MAGIC "htrows\n"
#define CACHE_VERSION 2 /* raised whenever rows or rules mean something else */
#define CACHE_FILE_MAX (1u << 30)

struct cache_head {
	char magic[8];
	uint32_t version;
	uint32_t nr_pages, nr_rows, nr_rules;
	uint64_t base;
	uint64_t key;
	uint64_t checksum; /* XXH3 of what follows */
};

/* ---- names ---- */

/* What the rows are made of. */
static uint64_t object_key(const struct object *obj)
{
	uint64_t bounds[3], key = CACHE_VERSION;
	Elf *elf = object_elf(obj);
	Elf_Scn *scn = NULL;
	size_t names;

	for (unsigned i = 0; object_segment_at(obj, i, &bounds[0], &bounds[1], &bounds[2]); i++)
		key = XXH3_64bits_withSeed(bounds, sizeof(bounds), key);
	if (elf_getshdrstrndx(elf, &names))
		return key;
	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr shdr;
		const char *name;
		Elf_Data *data;

		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type == SHT_NOBITS)
			continue;
		name = elf_strptr(elf, names, shdr.sh_name);
		if (!name || strncmp(name, ".eh_frame", strlen(".eh_frame")) != 0)
			continue;
		data = elf_rawdata(scn, NULL);
		if (data && data->d_buf)
			key = XXH3_64bits_withSeed(data->d_buf, data->d_size, key ^ shdr.sh_addr);
	}
	return key;
}

static bool cache_path(const struct object *obj, uint64_t key, char *path, size_t room)
{
	char folder[3072];
	const char *build_id = object_build_id(obj);
	int n;

	if (cache_dir(folder, sizeof(folder)))
		return false;
	n = snprintf(path, room, "%s/%.40s-%016llx.rows", folder, *build_id ? build_id : "none", (unsigned long long)key);
	return n > 0 && (size_t)n < room;
}

/* ---- loading ---- */

static bool read_whole(int fd, void *buf, size_t nbytes)
{
	char *at = buf;

	while (nbytes) {
		ssize_t got = read(fd, at, nbytes);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += got;
		nbytes -= (size_t)got;
	}
	return true;
}

static size_t payload_nbytes(uint32_t nr_pages, uint32_t nr_rows, uint32_t nr_rules)
{
	return (size_t)nr_rules * sizeof(struct ht_rule) + (size_t)nr_pages * sizeof(struct ht_page) +
	       (size_t)nr_rows * sizeof(uint32_t);
}

static struct rows *load_from(int fd, uint64_t key)
{
	struct cache_head h;
	struct rows *rows;
	struct stat st;
	size_t nbytes;

	if (fstat(fd, &st) || st.st_size > CACHE_FILE_MAX || !read_whole(fd, &h, sizeof(h)))
		return NULL;
	if (memcmp(h.magic, CACHE_MAGIC, sizeof(h.magic)) != 0 || h.version != CACHE_VERSION || h.key != key)
		return NULL;
	nbytes = payload_nbytes(h.nr_pages, h.nr_rows, h.nr_rules);
	if ((uint64_t)st.st_size != sizeof(h) + nbytes || rows_new(h.base, h.nr_pages, h.nr_rows, h.nr_rules, &rows))
		return NULL;
	if (read_whole(fd, rows->block, nbytes) && XXH3_64bits(rows->block, nbytes) == h.checksum && rows_are_sound(rows))
		return rows;
	rows_free(rows);
	return NULL;
}

struct rows *rows_cache_load(const struct object *obj)
{
	uint64_t key = object_key(obj);
	struct rows *rows = NULL;
	char path[4096];
	int fd;

	if (!cache_path(obj, key, path, sizeof(path)))
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0) {
		rows = load_from(fd, key);
		close(fd);
	}
	return rows;
}

/* ---- storing ---- */

static bool write_whole(int fd, const void *buf, size_t nbytes)
{
	const char *at = buf;

	while (nbytes) {
		ssize_t put = write(fd, at, nbytes);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		at += put;
		nbytes -= (size_t)put;
	}
	return true;
}

void rows_cache_store(const struct object *obj, const struct rows *rows)
{
	size_t nbytes = payload_nbytes(rows->nr_pages, rows->nr_rows, rows->nr_rules), packed_nbytes;
	struct cache_head h = { .version = CACHE_VERSION, .nr_pages = rows->nr_pages, .nr_rows = rows->nr_rows,
				.nr_rules = rows->nr_rules, .base = rows->base, .key = object_key(obj) };
	char path[4096], part[4112];
	bool done;
	int fd;

	/* The three parts stand one behind the other in the block, as they are written. */
	packed_nbytes = (size_t)((const char *)(rows->rows + rows->nr_rows) - (const char *)rows->block);
	if (packed_nbytes != nbytes || !cache_path(obj, h.key, path, sizeof(path)))
		return;
	memcpy(h.magic, CACHE_MAGIC, sizeof(h.magic));
	h.checksum = XXH3_64bits(rows->block, nbytes);
	snprintf(part, sizeof(part), "%s.XXXXXX", path);
	fd = mkostemp(part, O_CLOEXEC);
	if (fd < 0)
		return;
	done = write_whole(fd, &h, sizeof(h)) && write_whole(fd, rows->block, nbytes);
	done = !close(fd) && done;
	if (!done || rename(part, path))
		unlink(part);
}

int rows_get(const struct object *obj, struct rows **rows_ret)
{
	int err;

	*rows_ret = rows_cache_load(obj);
	if (*rows_ret)
		return 0;
	err = rows_build(obj, rows_ret);
	if (!err)
		rows_cache_store(obj, *rows_ret);
	return err;
}
