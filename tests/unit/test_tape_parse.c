/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tape_parse.c - the parsers behind the checksums, on payloads that end at a guard page: cut at every length,
 * flipped and spliced at random. A tape made to harm has right checksums, so these must hold by themselves.
 */
#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "check.h"
#include "formats/block.h"
#include "formats/dict.h"
#include "formats/events.h"
#include "formats/index_map.h"
#include "formats/meta.h"
#include "guard_page.h"
#include "random_tape.h"

#define EVENTS_NR 400
#define GUARDED_NBYTES (1u << 20)

static uint8_t *guarded_end; /* what ends here ends at an unmapped page */
static struct tape_event truth[EVENTS_NR], decoded[EVENTS_NR];

static void make_guard(void)
{
	guarded_end = guard_page_end(GUARDED_NBYTES);
}

/* Copied so that the first byte behind it faults. */
static struct cursor guarded(const uint8_t *data, size_t nbytes)
{
	if (nbytes > GUARDED_NBYTES)
		exit(1);
	memcpy(guarded_end - nbytes, data, nbytes);
	return cursor_of(guarded_end - nbytes, nbytes);
}

/* A parser under test: 0 or -errno, why set when it fails. */
typedef int parse_fn(struct cursor payload, const char **why_ret);

static struct events_decoder *decoder;

static int parse_events(struct cursor payload, const char **why_ret)
{
	return events_decode(decoder, payload, truth[0].ns, truth[EVENTS_NR - 1].ns, EVENTS_NR, decoded, why_ret);
}

static int parse_dict(struct cursor payload, const char **why_ret)
{
	struct dict_reader *d = dict_reader_new();
	int err = dict_reader_add(d, payload, why_ret);

	dict_reader_free(d);
	return err;
}

static int parse_meta(struct cursor payload, const char **why_ret)
{
	struct meta m = { 0 };
	int err = meta_add(&m, payload, 20, why_ret);

	meta_free(&m);
	return err;
}

static void check_refused(int err, const char *why)
{
	CHECK(err == -EBADMSG || err == -ENOTSUP);
	CHECK(why && *why);
}

/* Whole: taken. Cut anywhere: refused. Damaged: taken or refused, and no byte behind the end is touched. */
static void test_parser(parse_fn *parse, const struct bytes *payload, struct rng *rng)
{
	uint8_t *copy = malloc(payload->nbytes);
	const char *why = NULL;
	unsigned nr_taken = 0;

	CHECK_EQ(parse(guarded(payload->data, payload->nbytes), &why), 0);
	for (size_t nbytes = 0; nbytes < payload->nbytes; nbytes++) {
		int err = parse(guarded(payload->data, nbytes), &why);

		if (err)
			check_refused(err, why);
		nr_taken += !err;
	}
	CHECK_EQ(nr_taken, parse == parse_dict ? 3 : 0); /* a DICT payload is whole behind each of its sections */
	for (unsigned run = 0; run < 20000; run++) {
		int err;

		memcpy(copy, payload->data, payload->nbytes);
		for (unsigned i = 0; i <= run % 4; i++) {
			size_t at = rng_below(rng, rng_below(rng, 2) ? payload->nbytes : 64);

			copy[at] = rng_below(rng, 2) ? (uint8_t)rng_u64(rng) : copy[rng_below(rng, payload->nbytes)];
		}
		err = parse(guarded(copy, payload->nbytes), &why);
		if (err)
			check_refused(err, why);
	}
	free(copy);
}

static void make_events(struct rng *rng, struct bytes *payload)
{
	struct random_style style = { .nr_addrs = 40, .nr_threads = 5, .step_ns_max = 50, .any_field = true };
	struct events_encoder *e = events_encoder_new();
	const struct bytes *columns;

	for (unsigned i = 0; i < EVENTS_NR; i++)
		truth[i] = random_event(rng, &style, i ? truth[i - 1].ns : 0);
	CHECK_EQ(events_encode(e, truth, EVENTS_NR, 1, &columns), 0);
	for (unsigned i = 0; i < COLUMN_NR; i++)
		bytes_append(payload, columns[i].data, columns[i].nbytes);
	events_encoder_free(e);
}

static void test_events(struct rng *rng)
{
	struct bytes payload = { 0 };
	const char *why;

	decoder = events_decoder_new();
	make_events(rng, &payload);
	CHECK_EQ(parse_events(guarded(payload.data, payload.nbytes), &why), 0);
	for (unsigned i = 0; i < EVENTS_NR; i++)
		CHECK(same_event(&truth[i], &decoded[i]));
	test_parser(parse_events, &payload, rng);
	events_decoder_free(decoder);
	bytes_free(&payload);
}

static void test_dict(struct rng *rng)
{
	struct dict_writer *d = dict_writer_new();
	struct tape_allocator a = { "glibc", "/lib/libc.so.6", "0123456789abcdef" };
	struct tape_frame frames[30];
	struct bytes payload = { 0 };
	char text[64];
	uint32_t id;
	uint8_t alloc;

	CHECK_EQ(dict_writer_allocator(d, &a, &alloc), 0);
	for (uint32_t i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "%*u", (int)(2 * i + 1), i);
		CHECK_EQ(dict_writer_string(d, text, &id), 0);
		for (uint32_t f = 0; f < 30; f++)
			frames[f] = (struct tape_frame){ .module = f % 4, .offset = rng_magnitude(rng) };
		CHECK_EQ(dict_writer_stack(d, frames, i, i & 1, &id), 0);
	}
	CHECK_EQ(dict_writer_pending(d), 41);
	CHECK_EQ(dict_writer_take(d, &payload), 0);
	CHECK_EQ(dict_writer_pending(d), 0);
	test_parser(parse_dict, &payload, rng);
	dict_writer_free(d);
	bytes_free(&payload);
}

static void test_meta(struct rng *rng)
{
	struct bytes payload = { 0 };
	char text[64];

	for (unsigned i = 0; i < 40; i++) {
		size_t nbytes = (size_t)snprintf(text, sizeof(text), "%*u", (int)i + 1, i);

		bytes_reserve(&payload, VARINT_NBYTES_MAX);
		bytes_put_varint(&payload, nbytes);
		bytes_append(&payload, text, nbytes);
	}
	test_parser(parse_meta, &payload, rng);
	bytes_free(&payload);
}

static void test_varints(struct rng *rng)
{
	uint8_t buf[VARINT_NBYTES_MAX + 1];

	for (unsigned run = 0; run < 100000; run++) {
		uint64_t v = run < 200 ? run : rng_magnitude(rng), d = rng_magnitude(rng);
		size_t nbytes = (size_t)(put_varint(buf, v) - buf);
		struct cursor c = guarded(buf, nbytes);

		CHECK(cursor_varint(&c) == v && !c.bad && cursor_left(&c) == 0);
		cursor_varint(&c);
		CHECK(c.bad);
		CHECK(unzigzag(zigzag(v - d)) == v - d);
	}
	memset(buf, 0xff, sizeof(buf));
	buf[9] = 1; /* 2^64 - 1 */
	CHECK_EQ(cursor_varint(&(struct cursor){ buf, buf + 10, false }), -1);
	for (unsigned last = 2; last < 256; last++) { /* more than 64 bits */
		struct cursor c = guarded(buf, 10);

		guarded_end[-1] = (uint8_t)last;
		cursor_varint(&c);
		CHECK(c.bad);
	}
}

/* Values are found or not, keys are forgotten at once, growth keeps all. */
static void test_index_map(struct rng *rng)
{
	struct index_map m;

	CHECK_EQ(index_map_init(&m), 0);
	for (unsigned round = 0; round < 3; round++) {
		uint64_t base = rng_u64(rng);

		for (uint32_t i = 0; i < 5000; i++)
			CHECK_EQ(index_map_set(&m, base + i * 16, i), 0);
		CHECK_EQ(index_map_set(&m, base, 77), 0);
		CHECK_EQ(m.nr, 5000);
		CHECK_EQ(index_map_find(&m, base), 77);
		CHECK_EQ(index_map_find(&m, base + 16), 1);
		CHECK_EQ(index_map_find(&m, base + 1), INDEX_NONE);
		if (round == 1)
			m.round = UINT32_MAX; /* the count of rounds comes round */
		index_map_clear(&m);
		CHECK_EQ(index_map_find(&m, base + 16), INDEX_NONE);
	}
	index_map_free(&m);
}

/* Room is made by what the head says, before its payload is looked at. */
static void test_count_of_events(void)
{
	static const uint16_t kinds[] = { BLOCK_EVENTS, BLOCK_KEYFRAME, BLOCK_STATE };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct block_head head = { .kind = kinds[i], .count = BLOCK_EVENTS_NR_MAX };
		uint8_t data[BLOCK_HEAD_NBYTES];
		const char *why = NULL;

		block_head_encode(&head, data);
		CHECK_EQ(block_head_decode(data, &head, &why), 0);
		head.count++;
		block_head_encode(&head, data);
		CHECK_EQ(block_head_decode(data, &head, &why), -EBADMSG);
		CHECK_STR(why, "more events in a block than the format allows");
	}
}

int main(void)
{
	struct rng rng = rng_seeded("test_tape_parse");

	make_guard();
	test_varints(&rng);
	test_index_map(&rng);
	test_events(&rng);
	test_dict(&rng);
	test_meta(&rng);
	test_count_of_events();
	return check_done();
}
