/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding allocators by name in the dynamic linker's directories, and looking into them with libelf. */
#include "replay/tested.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <glob.h>
#include <gnu/libc-version.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __x86_64__
#define NATIVE_MACHINE EM_X86_64
#define NATIVE_TRIPLET "x86_64-linux-gnu"
#elif defined(__aarch64__)
#define NATIVE_MACHINE EM_AARCH64
#define NATIVE_TRIPLET "aarch64-linux-gnu"
#endif

#define CONF_DEPTH_MAX 4 /* of include lines in ld.so.conf */

static const struct known_allocator {
	const char *name, *file, *package;
} known[] = {
	{ "glibc", NULL, "libc6" },
	{ "jemalloc", "libjemalloc.so.2", "libjemalloc2" },
	{ "mimalloc", "libmimalloc.so.2", "libmimalloc2.0" },
	{ "mimalloc", "libmimalloc.so.2.0", "libmimalloc2.0" },
	{ "tcmalloc", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4" },
};
#define KNOWN_NR (sizeof(known) / sizeof(known[0]))

const char *const tested_names[] = { "glibc", "jemalloc", "mimalloc", "tcmalloc", NULL };

/* ---- the dynamic linker's directories ---- */

static bool file_in(const char *dir, size_t dir_len, const char *file, char **path_ret)
{
	if (asprintf(path_ret, "%.*s/%s", (int)dir_len, dir, file) < 0)
		return false;
	if (!access(*path_ret, R_OK))
		return true;
	free(*path_ret);
	return false;
}

static bool find_in_list(const char *dirs, const char *file, char **path_ret)
{
	while (dirs && *dirs) {
		size_t len = strcspn(dirs, ":");
		if (len && file_in(dirs, len, file, path_ret))
			return true;
		dirs += len + (dirs[len] == ':');
	}
	return false;
}

static bool find_by_conf(const char *conf, const char *file, unsigned depth, char **path_ret);

static bool find_by_include(const char *pattern, const char *file, unsigned depth, char **path_ret)
{
	glob_t found;
	bool hit = false;
	if (glob(pattern, 0, NULL, &found))
		return false;
	for (size_t i = 0; i < found.gl_pathc && !hit; i++)
		hit = find_by_conf(found.gl_pathv[i], file, depth + 1, path_ret);
	globfree(&found);
	return hit;
}

/* ld.so.conf(5): directories, one a line, and "include PATTERN". */
static bool find_by_conf(const char *conf, const char *file, unsigned depth, char **path_ret)
{
	FILE *f = depth < CONF_DEPTH_MAX ? fopen(conf, "re") : NULL;
	char line[4096];
	bool hit = false;
	while (f && !hit && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "#\n")] = '\0';
		char *word = line + strspn(line, " \t");
		if (!strncmp(word, "include", 7) && isspace((unsigned char)word[7]))
			hit = find_by_include(word + 7 + strspn(word + 7, " \t"), file, depth, path_ret);
		else if (*word == '/')
			hit = file_in(word, strcspn(word, " \t"), file, path_ret);
	}
	if (f)
		fclose(f);
	return hit;
}

static bool find_library(const char *file, char **path_ret)
{
	static const char *const usual = "/lib/" NATIVE_TRIPLET ":/usr/lib/" NATIVE_TRIPLET
					 ":/lib64:/usr/lib64:/lib:/usr/lib:/usr/local/lib";
	return find_in_list(getenv("LD_LIBRARY_PATH"), file, path_ret) ||
	       find_by_conf("/etc/ld.so.conf", file, 0, path_ret) || find_in_list(usual, file, path_ret);
}

/* libc's own file, from a symbol that no allocator replaces. */
static bool find_libc(char **path_ret)
{
	Dl_info info;
	if (!dladdr((void *)(uintptr_t)gnu_get_libc_version, &info) || !info.dli_fname)
		return false;
	*path_ret = strdup(info.dli_fname);
	return *path_ret;
}

static bool find_known(const char *name, char **path_ret, const char **package_ret)
{
	for (size_t i = 0; i < KNOWN_NR; i++) {
		if (strcmp(known[i].name, name))
			continue;
		*package_ret = known[i].package;
		if (known[i].file ? find_library(known[i].file, path_ret) : find_libc(path_ret))
			return true;
	}
	return false;
}

bool tested_installed(const char *name)
{
	char *path = NULL;
	const char *package = NULL;
	bool found = find_known(name, &path, &package);
	free(path);
	return found;
}

/* ---- looking into the file ---- */

static bool section_defines_malloc(Elf *elf, Elf_Scn *scn)
{
	GElf_Shdr shdr;
	Elf_Data *data = elf_getdata(scn, NULL);
	if (!gelf_getshdr(scn, &shdr) || !data || !shdr.sh_entsize)
		return false;
	for (size_t i = 0; i < shdr.sh_size / shdr.sh_entsize; i++) {
		GElf_Sym sym;
		if (!gelf_getsym(data, (int)i, &sym) || sym.st_shndx == SHN_UNDEF)
			continue;
		unsigned type = GELF_ST_TYPE(sym.st_info);
		const char *name = elf_strptr(elf, shdr.sh_link, sym.st_name);
		if (name && !strcmp(name, "malloc") && (type == STT_FUNC || type == STT_GNU_IFUNC))
			return true;
	}
	return false;
}

static bool defines_malloc(Elf *elf)
{
	Elf_Scn *scn = NULL;
	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr shdr;
		if (gelf_getshdr(scn, &shdr) && shdr.sh_type == SHT_DYNSYM && section_defines_malloc(elf, scn))
			return true;
	}
	return false;
}

static char *hex(const unsigned char *bytes, size_t nr)
{
	char *text = calloc(nr * 2 + 1, 1);
	for (size_t i = 0; text && i < nr; i++)
		sprintf(text + i * 2, "%02x", bytes[i]);
	return text;
}

static char *build_id_of_notes(Elf_Data *data)
{
	GElf_Nhdr note;
	size_t at = 0, name_at, desc_at;
	while (data && (at = gelf_getnote(data, at, &note, &name_at, &desc_at))) {
		const char *buf = data->d_buf;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof("GNU") && !strcmp(buf + name_at, "GNU"))
			return hex((const unsigned char *)buf + desc_at, note.n_descsz);
	}
	return NULL;
}

static char *build_id(Elf *elf)
{
	size_t nr;
	char *id = NULL;
	if (elf_getphdrnum(elf, &nr))
		nr = 0;
	for (size_t i = 0; i < nr && !id; i++) {
		GElf_Phdr phdr;
		if (gelf_getphdr(elf, (int)i, &phdr) && phdr.p_type == PT_NOTE)
			id = build_id_of_notes(elf_getdata_rawchunk(elf, (int64_t)phdr.p_offset, phdr.p_filesz, ELF_T_NHDR));
	}
	return id ? id : strdup("");
}

/* NULL if the object can be preloaded here, else what is wrong with it. */
static const char *objection(Elf *elf)
{
	GElf_Ehdr ehdr;
	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &ehdr))
		return "is no ELF file; a shared object (.so) that exports malloc is needed";
	if (ehdr.e_ident[EI_CLASS] != ELFCLASS64)
		return "is a 32-bit object; the player is a 64-bit program";
	if (ehdr.e_machine != NATIVE_MACHINE)
		return "is made for another kind of processor";
	if (ehdr.e_type != ET_DYN)
		return "is no shared object; build it with -shared";
	if (!defines_malloc(elf))
		return "exports no malloc";
	return NULL;
}

static int inspect(struct tested *a, char *why, size_t why_nbytes)
{
	struct stat st;
	if (a->preload && strpbrk(a->path, " :\t\n")) {
		snprintf(why, why_nbytes, "%s: LD_PRELOAD cannot carry a path with a space or colon; use a link to it",
			 a->path);
		return -EINVAL;
	}
	int fd = open(a->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		int err = fd < 0 ? -errno : -EINVAL;
		snprintf(why, why_nbytes, "%s: %s", a->path, fd < 0 ? strerror(-err) : "is no regular file");
		if (fd >= 0)
			close(fd);
		return fd < 0 ? err : -ENOEXEC;
	}
	a->dev = st.st_dev;
	a->ino = st.st_ino;
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	const char *wrong = objection(elf);
	if (wrong)
		snprintf(why, why_nbytes, "%s %s", a->path, wrong);
	else
		a->build_id = build_id(elf);
	elf_end(elf);
	close(fd);
	return wrong ? -ENOEXEC : a->build_id ? 0 : -ENOMEM;
}

/* ---- the text ---- */

/* Length of "KEY" if the text begins with "KEY=", else 0. */
static size_t key_length(const char *text)
{
	size_t n = 0;
	while (isalnum((unsigned char)text[n]) || text[n] == '_')
		n++;
	return n && !isdigit((unsigned char)text[0]) && text[n] == '=' ? n : 0;
}

static int add_setting(struct tested *a, char *setting)
{
	char **settings = reallocarray(a->settings, a->nr_settings + 2, sizeof(*settings));
	if (!settings || !setting) {
		a->settings = settings ? settings : a->settings;
		free(setting);
		return -ENOMEM;
	}
	a->settings = settings;
	settings[a->nr_settings++] = setting;
	settings[a->nr_settings] = NULL;
	return 0;
}

int tested_add_setting(struct tested *a, const char *key, const char *value)
{
	char *setting = NULL;
	if (asprintf(&setting, "%s=%s", key, value) < 0)
		setting = NULL;
	return add_setting(a, setting);
}

const char *tested_setting(const struct tested *a, const char *key)
{
	size_t len = strlen(key);
	for (size_t i = 0; i < a->nr_settings; i++) {
		if (!strncmp(a->settings[i], key, len) && a->settings[i][len] == '=')
			return a->settings[i] + len + 1;
	}
	return NULL;
}

/* text: behind the first comma. */
static int parse_settings(struct tested *a, const char *text, char *why, size_t why_nbytes)
{
	while (text) {
		if (!key_length(text)) {
			snprintf(why, why_nbytes, "'%s': settings are written KEY=VALUE, as in glibc,MALLOC_ARENA_MAX=1",
				 text);
			return -EINVAL;
		}
		/* The player's own loading must stay what it is; and the figures would stand under a false name. */
		if (!strncmp(text, "LD_", 3)) {
			snprintf(why, why_nbytes, "'%s': variables of the dynamic linker are no settings of an allocator; "
				 "name the shared object instead, as in --alloc PATH", text);
			return -EINVAL;
		}
		const char *end = strchr(text, ',');
		while (end && !key_length(end + 1))
			end = strchr(end + 1, ',');
		size_t len = end ? (size_t)(end - text) : strlen(text);
		int err = add_setting(a, strndup(text, len));
		if (err)
			return err;
		text = end ? end + 1 : NULL;
	}
	return 0;
}

static void list_names(char *to, size_t nbytes)
{
	size_t n = 0;
	for (size_t i = 0; tested_names[i] && n < nbytes; i++)
		n += (size_t)snprintf(to + n, nbytes - n, "%s%s", i ? ", " : "", tested_names[i]);
}

static int locate(struct tested *a, const char *what, size_t len, char *why, size_t why_nbytes)
{
	char *text = strndup(what, len), names[128];
	const char *package = NULL;
	if (!text)
		return -ENOMEM;
	if (strchr(text, '/')) {
		a->path = text;
		a->name = strdup(strrchr(text, '/') + 1);
		a->preload = true;
		return a->name ? 0 : -ENOMEM;
	}
	a->name = text;
	if (find_known(text, &a->path, &package)) {
		a->preload = strcmp(text, "glibc") != 0;
		return 0;
	}
	if (package) {
		snprintf(why, why_nbytes, "%s is not installed: Debian package %s", text, package);
		return -ENOENT;
	}
	list_names(names, sizeof(names));
	snprintf(why, why_nbytes,
		 "no allocator is called '%s'; names: %s; or the path of a shared object, with a '/' in it", text,
		 names);
	return -EINVAL;
}

int tested_parse(const char *text, struct tested *a, char *why, size_t why_nbytes)
{
	size_t len = strcspn(text, ",");
	*a = (struct tested){ .label = strdup(text) };
	snprintf(why, why_nbytes, "out of memory");
	int err = a->label ? locate(a, text, len, why, why_nbytes) : -ENOMEM;
	if (!err && text[len])
		err = parse_settings(a, text + len + 1, why, why_nbytes);
	if (!err)
		err = inspect(a, why, why_nbytes);
	if (err)
		tested_free(a);
	return err;
}

void tested_free(struct tested *a)
{
	for (size_t i = 0; i < a->nr_settings; i++)
		free(a->settings[i]);
	free(a->settings);
	free(a->label);
	free(a->name);
	free(a->path);
	free(a->build_id);
	*a = (struct tested){ 0 };
}
