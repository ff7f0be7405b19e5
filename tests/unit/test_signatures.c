/* SPDX-License-Identifier: BSD-2-Clause */
/* test_signatures.c - functions known by their code: found where they are, and nowhere else. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "sites/functions.h"
#include "sites/signatures.h"

enum { CODE = 4096, LONG = 200, AT = 1024 };
static const uint64_t base = 0x401000;

/* Some code, no two places of which are alike, and the signature of LONG bytes at AT with a relocation in its head and one behind. */
static const uint32_t moved[] = { 5 * 16 + 4, 100 * 16 + 7 };

static void fill(uint8_t *code)
{
	uint32_t state = 1;

	for (int i = 0; i < CODE; i++) {
		state = state * 1664525 + 1013904223;
		code[i] = (uint8_t)(state >> 24);
	}
}

static struct signature some_signature(const uint8_t *code)
{
	struct signature sig = { .libc = "some 1", .names = { "malloc" }, .nbytes = LONG, .align = 16, .moved = moved, .nr_moved = 2 };

	sig.hash = signature_hash(code + AT, LONG, moved, 2);
	memcpy(sig.head, code + AT, SIGNATURE_HEAD);
	memset(sig.head_moved + 5, 255, 4);
	return sig;
}

static void test_moved_bytes_may_be_anything(void)
{
	uint8_t code[CODE];
	uint64_t places[4] = { 0 };
	struct signature sig;

	fill(code);
	sig = some_signature(code);
	memset(code + AT + 5, 0xaa, 4);
	memset(code + AT + 100, 0x55, 7);
	CHECK_EQ(signature_seek(&sig, code, CODE, base, places, 4), 1);
	CHECK_EQ(places[0], base + AT);
}

static void test_any_other_byte_counts(void)
{
	uint8_t code[CODE];
	uint64_t places[4];
	struct signature sig;
	unsigned nr_found = 0;

	fill(code);
	sig = some_signature(code);
	for (int i = 0; i < LONG; i++) {
		code[AT + i] ^= 1;
		nr_found += signature_seek(&sig, code, CODE, base, places, 4) == 1;
		code[AT + i] ^= 1;
	}
	CHECK_EQ(nr_found, 4 + 7);
}

static void test_twice_is_told(void)
{
	uint8_t code[CODE];
	uint64_t places[4] = { 0 };
	struct signature sig;

	fill(code);
	sig = some_signature(code);
	memcpy(code + 2 * AT, code + AT, LONG);
	memcpy(code + 3 * AT + 8, code + AT, LONG); /* not where such a function may begin */
	CHECK_EQ(signature_seek(&sig, code, CODE, base, places, 4), 2);
	CHECK_EQ(places[1], base + 2 * AT);
	CHECK_EQ(signature_seek(&sig, code, CODE, base, places, 1), 2);
}

static void test_cut_off(void)
{
	uint8_t code[CODE], *piece;
	uint64_t places[4];
	struct signature sig;

	fill(code);
	sig = some_signature(code);
	for (size_t nbytes = 0; nbytes <= AT + LONG; nbytes += nbytes < AT ? 128 : 1) {
		piece = malloc(nbytes + 1); /* whoever reads behind it is caught by the sanitizer */
		memcpy(piece, code, nbytes);
		CHECK_EQ(signature_seek(&sig, piece, nbytes, base, places, 4), nbytes == AT + LONG);
		free(piece);
	}
}

static int count(void *arg, const struct object_symbol *sym)
{
	(void)sym;
	(*(unsigned *)arg)++;
	return 0;
}

/* A program with a libc that is linked to it has none inside. */
static void test_program_without_a_libc(void)
{
	struct object *obj;
	unsigned nr = 0;
	char text[512];

	CHECK_EQ(object_open_path("/proc/self/exe", &obj), 0);
	CHECK_EQ(signatures_find(obj, count, &nr, text, sizeof(text)), 0);
	CHECK_EQ(nr, 0);
	CHECK(strstr(text, "none of the libcs that are known by it: glibc "));
	object_close(obj);
}

/* Each libc of the table has malloc and free, and its rows say of themselves what is so. */
static void test_table(void)
{
	for (unsigned i = 0; i < signature_table_nr; i++) {
		const struct signature *sig = &signature_table[i];
		bool has_malloc = false, has_free = false;
		uint32_t end = 0, nr_moved = 0;

		for (uint32_t k = 0; k < sig->nr_moved; k++) {
			CHECK(sig->moved[k] >> 4 >= end);
			end = (sig->moved[k] >> 4) + (sig->moved[k] & 15);
			nr_moved += sig->moved[k] & 15;
		}
		CHECK(sig->names[0] && sig->hash && end <= sig->nbytes);
		CHECK_EQ(sig->nr_fixed, sig->nbytes - nr_moved);
		for (unsigned k = 0; k < signature_table_nr; k++) {
			for (unsigned n = 0; n < SIGNATURE_NAMES && signature_table[k].names[n] && !strcmp(sig->libc, signature_table[k].libc); n++) {
				const struct function *f = function_find(signature_table[k].names[n]);

				has_malloc |= (f && function_is_malloc(f)) || !strcmp(signature_table[k].names[n], "__libc_malloc_impl");
				has_free |= f && function_is_free(f);
			}
		}
		CHECK(has_malloc && has_free);
	}
}

int main(void)
{
	test_moved_bytes_may_be_anything();
	test_any_other_byte_counts();
	test_twice_is_told();
	test_cut_off();
	test_program_without_a_libc();
	test_table();
	return check_done();
}
