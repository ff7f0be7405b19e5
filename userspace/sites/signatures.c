/* SPDX-License-Identifier: BSD-2-Clause */
/* Looks for the functions of known libcs in a program's code. */
#include "signatures.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "sites/functions.h"

#define MUSL_MALLOC "__libc_malloc_impl" /* all of musl's ways to malloc end there; their own code is one jump each */
#define MUSL_FREE "__libc_free"
#define NEAR_NBYTES (64u << 10)          /* of a section that is linked as one */

enum {
	PLACES_MAX = 4,
	NAMES_MAX = 128, /* of one libc */
	FIXED_SURE = 96, /* fewer fixed bytes count only near the same section's malloc, */
	FIXED_NEAR = 24, /* and fewer than these only where that section has them */
	JUMP = 0xe9,     /* and a distance of 32 bits, counted from behind it */
	JUMP_NBYTES = 5,
};

uint64_t signature_hash(const uint8_t *bytes, size_t nbytes, const uint32_t *moved, uint32_t nr_moved)
{
	uint8_t *copy = malloc(nbytes);
	uint64_t hash;

	if (!copy)
		return 0;
	memcpy(copy, bytes, nbytes);
	for (uint32_t i = 0; i < nr_moved; i++)
		memset(copy + (moved[i] >> 4), 0, moved[i] & 15);
	hash = XXH3_64bits(copy, nbytes);
	free(copy);
	return hash;
}

static bool head_fits(const struct signature *sig, const uint8_t *code)
{
	for (unsigned i = 0; i < SIGNATURE_HEAD && i < sig->nbytes; i++)
		if (!sig->head_moved[i] && sig->head[i] != code[i])
			return false;
	return true;
}

int signature_seek(const struct signature *sig, const uint8_t *code, size_t nbytes, uint64_t vaddr, uint64_t *vaddrs, int max)
{
	size_t first = (sig->align - vaddr % sig->align) % sig->align;
	int nr = 0;

	for (size_t at = first; at <= nbytes && sig->nbytes <= nbytes - at; at += sig->align) {
		uint64_t hash;

		if (!head_fits(sig, code + at))
			continue;
		hash = signature_hash(code + at, sig->nbytes, sig->moved, sig->nr_moved);
		if (!hash)
			return -ENOMEM;
		if (hash != sig->hash)
			continue;
		if (nr < max)
			vaddrs[nr] = vaddr + at;
		nr++;
	}
	return nr;
}

/* ---- all of them ---- */

struct hit {
	uint64_t vaddrs[PLACES_MAX];
	int nr;
};

static bool is_same_code(const struct signature *a, const struct signature *b)
{
	return a->hash == b->hash && a->nbytes == b->nbytes;
}

static bool is_same_libc(const struct signature *a, const struct signature *b)
{
	return !strcmp(a->libc, b->libc);
}

/* Versions of the same libc may share a function. */
static bool is_same_kind(const struct signature *a, const struct signature *b)
{
	return !strncmp(a->libc, b->libc, strcspn(a->libc, " ") + 1);
}

static bool has_name(const struct signature *sig, const char *name)
{
	for (unsigned i = 0; i < SIGNATURE_NAMES && sig->names[i]; i++)
		if (!strcmp(sig->names[i], name))
			return true;
	return false;
}

static bool is_malloc(const struct signature *sig)
{
	return has_name(sig, "malloc") || has_name(sig, MUSL_MALLOC);
}

static bool is_free(const struct signature *sig)
{
	return has_name(sig, "free") || has_name(sig, "__libc_free");
}

static int seek_all(const struct object *obj, struct hit *hits)
{
	uint64_t vaddr, nbytes, offset;
	size_t nbytes_avail;

	for (unsigned i = 0; i < signature_table_nr; i++) {
		if (signature_table[i].nr_fixed < FIXED_NEAR)
			continue;
		for (unsigned k = 0; object_segment_at(obj, k, &vaddr, &nbytes, &offset) && hits[i].nr < PLACES_MAX; k++) {
			const uint8_t *code = object_code(obj, vaddr, &nbytes_avail);
			int nr = code ? signature_seek(&signature_table[i], code, nbytes_avail, vaddr, hits[i].vaddrs + hits[i].nr,
						       PLACES_MAX - hits[i].nr) : 0;

			if (nr < 0)
				return nr;
			hits[i].nr += nr;
		}
	}
	return 0;
}

/* Of the libcs whose malloc and free are there: a row of the one of which most functions are; -1: none. */
static int choose(const struct hit *hits)
{
	unsigned most = 0;
	int best = -1;

	for (unsigned i = 0; i < signature_table_nr; i++) {
		bool frees = false;
		unsigned nr = 0;

		if (!hits[i].nr || !is_malloc(&signature_table[i]))
			continue;
		for (unsigned k = 0; k < signature_table_nr; k++) {
			if (!hits[k].nr || !is_same_libc(&signature_table[i], &signature_table[k]))
				continue;
			frees |= is_free(&signature_table[k]);
			nr++;
		}
		if (frees && nr > most) {
			most = nr;
			best = (int)i;
		}
	}
	return best;
}

/* Whether so short a function may be the one at vaddr, with malloc at malloc_vaddr. */
static bool is_in_place(const struct signature *sig, uint64_t vaddr, const struct signature *malloc_sig, uint64_t malloc_vaddr)
{
	if (!is_same_kind(malloc_sig, sig))
		return false;
	if (sig->nr_fixed >= FIXED_NEAR)
		return vaddr + NEAR_NBYTES > malloc_vaddr && vaddr < malloc_vaddr + NEAR_NBYTES;
	return sig->section == malloc_sig->section && vaddr - sig->start == malloc_vaddr - malloc_sig->start;
}

static void drop_far(const struct object *obj, struct hit *hits, int best)
{
	const struct signature *malloc_sig = &signature_table[best];
	uint64_t malloc_vaddr = hits[best].vaddrs[0];

	for (unsigned i = 0; i < signature_table_nr; i++) {
		const struct signature *sig = &signature_table[i];
		uint64_t vaddr = malloc_vaddr - malloc_sig->start + sig->start;
		size_t nbytes_avail = 0;
		const uint8_t *code = NULL;
		int nr = 0;

		if (sig->nr_fixed >= FIXED_SURE)
			continue;
		/* Of the shortest there are more places than were kept. */
		if (sig->nr_fixed < FIXED_NEAR && sig->section == malloc_sig->section)
			code = object_code(obj, vaddr, &nbytes_avail);
		if (code && nbytes_avail > sig->nbytes)
			hits[i].nr = signature_seek(sig, code, sig->nbytes, vaddr, hits[i].vaddrs, 1);
		for (int k = 0; k < hits[i].nr && k < PLACES_MAX; k++)
			if (is_in_place(sig, hits[i].vaddrs[k], malloc_sig, malloc_vaddr))
				hits[i].vaddrs[nr++] = hits[i].vaddrs[k];
		hits[i].nr = nr;
	}
}

/*
 * The place of a row's function; 0: it is nowhere. Functions of a libc that have the same code (and so the same meaning) are as
 * many as its places. -ENOTUNIQ.
 */
static int place_of(const struct hit *hits, unsigned row, uint64_t *vaddr_ret)
{
	int earlier = 0, all = 0;

	for (unsigned i = 0; i < signature_table_nr; i++) {
		if (!is_same_libc(&signature_table[row], &signature_table[i]) || !is_same_code(&signature_table[row], &signature_table[i]))
			continue;
		earlier += i < row;
		all++;
	}
	if (hits[row].nr > all)
		return -ENOTUNIQ;
	*vaddr_ret = hits[row].nr ? hits[row].vaddrs[earlier < hits[row].nr ? earlier : hits[row].nr - 1] : 0;
	return 0;
}

/* Of a name, by this version of the libc, or (near) by any other; 0: nowhere. -ENOTUNIQ: they do not agree. */
static int place_by(const struct hit *hits, const struct signature *like, bool near, struct object_symbol *sym)
{
	int err = 0;

	sym->vaddr = 0;
	for (unsigned i = 0; i < signature_table_nr && !err; i++) {
		const struct signature *sig = &signature_table[i];
		uint64_t vaddr = 0;

		if (!hits[i].nr || !(near ? is_same_kind(sig, like) : is_same_libc(sig, like)) || !has_name(sig, sym->name))
			continue;
		err = place_of(hits, i, &vaddr);
		if (!err && sym->vaddr && vaddr != sym->vaddr)
			err = -ENOTUNIQ;
		sym->vaddr = vaddr;
		sym->nbytes = sig->nbytes;
	}
	return err;
}

/* A version's own function counts before those of its neighbours, which may have other names for the same code. */
static int place_of_name(const struct hit *hits, const struct signature *like, struct object_symbol *sym)
{
	int err = place_by(hits, like, false, sym);

	return err || sym->vaddr ? err : place_by(hits, like, true, sym);
}

/* A function that begins at a multiple of 16 and is one jump to `target`. */
static bool has_jump_to(const struct object *obj, uint64_t target)
{
	static const uint8_t landing[] = { 0xf3, 0x0f, 0x1e, 0xfa }; /* endbr64 */
	uint64_t vaddr, nbytes, offset;
	size_t nbytes_avail;

	for (unsigned i = 0; object_segment_at(obj, i, &vaddr, &nbytes, &offset); i++) {
		const uint8_t *code = object_code(obj, vaddr, &nbytes_avail);

		for (size_t at = (16 - vaddr % 16) % 16; code && at + sizeof(landing) + JUMP_NBYTES <= nbytes_avail; at += 16) {
			size_t jump = at + (memcmp(code + at, landing, sizeof(landing)) ? 0 : sizeof(landing));
			int32_t distance;

			memcpy(&distance, code + jump + 1, sizeof(distance));
			if (code[jump] == JUMP && vaddr + jump + JUMP_NBYTES + (uint64_t)(int64_t)distance == target)
				return true;
		}
	}
	return false;
}

/* Musl keeps its functions under names of its own, for itself, where the program brings others: then its free has no jump. */
static bool is_in_force(const struct object *obj, const struct hit *hits, const struct signature *libc)
{
	struct object_symbol inner = { .name = MUSL_FREE };

	return !has_name(libc, MUSL_MALLOC) || (!place_of_name(hits, libc, &inner) && has_jump_to(obj, inner.vaddr));
}

/* ---- the result ---- */

static void no_libc(char *text, size_t nbytes)
{
	size_t len = (size_t)snprintf(text, nbytes, "its code is none of the libcs that are known by it: ");
	const char *last = "";

	for (unsigned i = 0; i < signature_table_nr && len < nbytes; i++) {
		if (!strcmp(signature_table[i].libc, last))
			continue;
		len += (size_t)snprintf(text + len, nbytes - len, "%s%s", *last ? ", " : "", signature_table[i].libc);
		last = signature_table[i].libc;
	}
}

/* A name of the chosen libc, and where it is: vaddr 0: nowhere. */
struct named {
	const struct signature *sig;
	struct object_symbol sym;
	bool near; /* found by another version's code */
};

/* All names of the libc; their number. -ENOTUNIQ: list[nr - 1] is at more than one place. */
static int list_names(const struct hit *hits, const struct signature *libc, struct named *list, unsigned *nr_ret)
{
	int err = 0;

	*nr_ret = 0;
	for (unsigned i = 0; i < signature_table_nr && !err; i++) {
		const struct signature *sig = &signature_table[i];

		for (unsigned k = 0; k < SIGNATURE_NAMES && sig->names[k] && is_same_libc(sig, libc) && *nr_ret < NAMES_MAX && !err; k++) {
			struct named *n = &list[(*nr_ret)++];

			*n = (struct named){ .sig = sig, .sym = { .name = sig->names[k] } };
			err = place_of_name(hits, libc, &n->sym);
			n->near = n->sym.vaddr && !hits[i].nr;
		}
	}
	return err;
}

/* Of functions that are linked together all must be there. */
static const struct named *find_missing(const struct named *list, unsigned nr, const struct signature *libc)
{
	for (unsigned i = 0; i < nr; i++)
		if (!list[i].sym.vaddr && list[i].sig->section == libc->section)
			return &list[i];
	return NULL;
}

static bool hand_out(const struct named *list, unsigned nr, int (*fn)(void *arg, const struct object_symbol *sym), void *arg)
{
	bool near = false;

	for (unsigned i = 0; i < nr; i++) {
		struct object_symbol sym = list[i].sym;

		if (!sym.vaddr)
			continue;
		near |= list[i].near;
		fn(arg, &sym);
		if (!strcmp(sym.name, MUSL_MALLOC)) {
			sym.name = "malloc";
			fn(arg, &sym);
		}
	}
	return near;
}

/* 1: fn has all functions of the libc; 0: it is not clear where they are. */
static int report(const struct object *obj, const struct hit *hits, const struct signature *libc,
		  int (*fn)(void *arg, const struct object_symbol *sym), void *arg, char *text, size_t text_nbytes)
{
	struct named list[NAMES_MAX];
	const struct named *missing;
	unsigned nr;

	if (!is_in_force(obj, hits, libc)) {
		snprintf(text, text_nbytes, "its code has the malloc of %s, but the program has another one of its own", libc->libc);
		return 0;
	}
	if (list_names(hits, libc, list, &nr)) {
		snprintf(text, text_nbytes, "its code looks like %s, but its %s is found at more than one place", libc->libc,
			 list[nr - 1].sym.name);
		return 0;
	}
	missing = find_missing(list, nr, libc);
	if (missing) {
		snprintf(text, text_nbytes, "its code looks like %s, but its %s is another one", libc->libc, missing->sym.name);
		return 0;
	}
	snprintf(text, text_nbytes, "%s%s", libc->libc, hand_out(list, nr, fn, arg) ? " or a version near it" : "");
	return 1;
}

int signatures_find(const struct object *obj, int (*fn)(void *arg, const struct object_symbol *sym), void *arg, char *text,
		    size_t text_nbytes)
{
	struct hit *hits = calloc(signature_table_nr + 1, sizeof(*hits));
	int best, err = hits ? seek_all(obj, hits) : -ENOMEM;

	best = err ? -1 : choose(hits);
	if (!err && best < 0)
		no_libc(text, text_nbytes);
	if (best >= 0) {
		drop_far(obj, hits, best);
		err = report(obj, hits, &signature_table[best], fn, arg, text, text_nbytes);
	}
	free(hits);
	return err;
}
