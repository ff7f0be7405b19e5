/* SPDX-License-Identifier: BSD-2-Clause */
/* find.c - see find.h. */
#include "find.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "symbols/build_id.h"
#include "symbols/checksum.h"
#include "symbols/debuginfod.h"
#include "symbols/vdso.h"

#define SYSTEM_DEBUG_DIR "/usr/lib/debug"

/* What a candidate must be. */
struct want {
	const char *build_id; /* "": none, then: */
	bool by_checksum;
	GElf_Word checksum;
	uint64_t newest; /* time of modification, 0: any */
};

__attribute__((format(printf, 2, 3))) static void tell(const struct find *f, const char *fmt, ...)
{
	char line[FIND_WHY_MAX];
	va_list ap;

	if (!f->tell)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	f->tell(f->arg, line);
}

void found_close(struct found *f)
{
	if (f->elf)
		elf_end(f->elf);
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	*f = FOUND_NONE;
}

/* The right file, or the reason why it is not it. */
static bool is_wanted(const struct find *f, const struct found *found, const struct want *want)
{
	char its[BUILD_ID_TEXT_MAX];
	struct stat st;
	uint32_t sum;

	build_id_of(found->elf, its);
	if (*want->build_id) {
		if (strcmp(its, want->build_id) == 0)
			return true;
		tell(f, "%s is another build (%s, recorded was %s): not used", found->path, *its ? its : "without a build id",
		     want->build_id);
		return false;
	}
	if (want->by_checksum) {
		if (checksum_file(found->fd, &sum) == 0 && sum == want->checksum)
			return true;
		tell(f, "%s is another build (its checksum is not that of the link to it): not used", found->path);
		return false;
	}
	if (want->newest && fstat(found->fd, &st) == 0 && (uint64_t)st.st_mtime > want->newest) {
		tell(f, "%s was changed after the recording, and has no build id to tell it by: not used", found->path);
		return false;
	}
	return true;
}

/* Takes fd over. */
static struct found take_fd(const struct find *f, int fd, const char *path, const struct want *want)
{
	struct found found = { .fd = fd, .path = strdup(path) };
	struct stat st;

	if (fd < 0 || !found.path || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		found_close(&found);
		return found;
	}
	found.elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (!found.elf || elf_kind(found.elf) != ELF_K_ELF || !is_wanted(f, &found, want))
		found_close(&found);
	return found;
}

static struct found try_path(const struct find *f, const struct want *want, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static struct found try_path(const struct find *f, const struct want *want, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	if (n < 0 || n >= (int)sizeof(path))
		return FOUND_NONE;
	/* O_NONBLOCK: paths come from a tape, and may name anything. */
	return take_fd(f, open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), path, want);
}

/* Links in the path, absolute ones too, stay below the root. */
static struct found try_root(const struct find *f, const struct want *want, const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_IN_ROOT };

	return take_fd(f, (int)syscall(SYS_openat2, f->root_fd, path, &how, sizeof(how)), path, want);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* .build-id/xx/yyy + suffix in the folders given and in the system's. */
static struct found try_build_id(const struct find *f, const struct want *want, const char *suffix)
{
	struct found found = FOUND_NONE;
	char name[2 * BUILD_ID_TEXT_MAX];

	if (!build_id_path(want->build_id, name, sizeof(name)))
		return found;
	for (size_t i = 0; i < f->nr_debug_dirs && found.fd < 0; i++) {
		found = try_path(f, want, "%s/.build-id/%s%s", f->debug_dirs[i], name, suffix);
		if (found.fd < 0)
			found = try_path(f, want, "%s/%s%s", f->debug_dirs[i], name, suffix);
	}
	if (found.fd < 0)
		found = try_path(f, want, SYSTEM_DEBUG_DIR "/.build-id/%s%s", name, suffix);
	return found;
}

struct found find_binary(const struct find *f, const char *path, const char *build_id)
{
	struct want want = { .build_id = build_id, .newest = f->recorded_at };
	struct found found = FOUND_NONE;

	if (strcmp(path, "[vdso]") == 0)
		return take_fd(f, vdso_open(), path, &want);
	if (path[0] != '/')
		return found;
	found = f->root_fd >= 0 ? try_root(f, &want, path) : try_path(f, &want, "%s", path);
	for (size_t i = 0; i < f->nr_debug_dirs && found.fd < 0; i++) {
		found = try_path(f, &want, "%s%s", f->debug_dirs[i], path);
		if (found.fd < 0)
			found = try_path(f, &want, "%s/%s", f->debug_dirs[i], base_name(path));
	}
	if (found.fd < 0)
		found = try_build_id(f, &want, "");
	return found;
}

/* By the name that the binary gives, in the folders that debuggers look into. */
static struct found try_link(const struct find *f, const struct found *binary, const char *path, const char *build_id)
{
	GElf_Word checksum = 0;
	const char *name = dwelf_elf_gnu_debuglink(binary->elf, &checksum);
	struct want want = { .build_id = build_id, .by_checksum = true, .checksum = checksum };
	struct found found = FOUND_NONE;
	char dir[PATH_MAX];

	if (!name || strchr(name, '/') || snprintf(dir, sizeof(dir), "%s", path) >= (int)sizeof(dir))
		return found;
	dirname(dir);
	for (size_t i = 0; i < f->nr_debug_dirs && found.fd < 0; i++) {
		found = try_path(f, &want, "%s%s/%s", f->debug_dirs[i], dir, name);
		if (found.fd < 0)
			found = try_path(f, &want, "%s/%s", f->debug_dirs[i], name);
	}
	if (found.fd < 0 && strcmp(base_name(path), name) != 0)
		found = try_path(f, &want, "%s/%s", dir, name);
	if (found.fd < 0)
		found = try_path(f, &want, "%s/.debug/%s", dir, name);
	if (found.fd < 0)
		found = try_path(f, &want, SYSTEM_DEBUG_DIR "%s/%s", dir, name);
	return found;
}

struct found find_debug(const struct find *f, const struct found *binary, const char *path, const char *build_id)
{
	struct want want = { .build_id = build_id };
	struct found found = *build_id ? try_build_id(f, &want, ".debug") : FOUND_NONE;

	if (found.fd < 0 && binary)
		found = try_link(f, binary, path, build_id);
	if (found.fd < 0 && f->debuginfod && *build_id) {
		char *got = NULL;
		int fd = debuginfod_fetch(build_id, &got);

		if (fd >= 0)
			found = take_fd(f, fd, got ? got : path, &want);
		free(got);
	}
	return found;
}

struct found find_shared(const struct find *f, Dwarf *dwarf, const char *debug_path, bool *needed_ret)
{
	const void *bytes = NULL;
	const char *name = NULL;
	ssize_t nbytes = dwelf_dwarf_gnu_debugaltlink(dwarf, &name, &bytes);
	char build_id[BUILD_ID_TEXT_MAX], dir[PATH_MAX];
	struct want want = { .build_id = build_id };
	struct found found;

	*needed_ret = nbytes > 0;
	build_id_text(bytes, nbytes > 0 ? (size_t)nbytes : 0, build_id);
	if (!*build_id || snprintf(dir, sizeof(dir), "%s", debug_path) >= (int)sizeof(dir))
		return FOUND_NONE;
	found = try_build_id(f, &want, ".debug");
	if (found.fd < 0 && name[0] == '/')
		found = try_path(f, &want, "%s", name);
	else if (found.fd < 0)
		found = try_path(f, &want, "%s/%s", dirname(dir), name);
	if (found.fd < 0)
		tell(f, "%s shares debug information with %s, which is not there: functions are named by their symbols alone",
		     debug_path, name);
	return found;
}
