/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests of known distributions behind size classes: the mean comes back; what is not known stays as it is. */
#include <stdlib.h>

#include "check.h"
#include "replay/slack.h"
#include "xorshift.h"

static struct slack *slack;

static void begin(const uint64_t *found, size_t nr)
{
	free(slack);
	slack = calloc(1, sizeof(*slack));
	for (size_t i = 0; i < nr; i++)
		slack_found(slack, found[i]);
	slack_ready(slack);
}

static void test_classes(void)
{
	const uint64_t found[] = { 48, 64, 80, 96, 112, 128, 160, 4096, 5120 };
	uint64_t sum = 0, nr = 0;

	begin(found, sizeof(found) / sizeof(*found));
	for (int i = 0; i < 10000; i++) {
		uint64_t size = 4097 + next_random(1024); /* all of class 5120 */

		slack_request(slack, size);
		sum += size;
		nr++;
		slack_request(slack, 64); /* a structure: always the same */
	}
	CHECK_EQ(slack_likely(slack, 5120), (sum + nr - 1) / nr);
	CHECK_EQ(slack_likely(slack, 64), 64);
	CHECK_EQ(slack_likely(slack, 4096), 4096); /* nobody asked */
	CHECK_EQ(slack_likely(slack, 80), 80);
	CHECK_EQ(slack_likely(slack, 10000000), 10000000);
	CHECK_EQ(slack_likely(slack, 0), 0);
}

/* The class of a request may not be among those found: a far larger one is not taken for it. */
static void test_gaps(void)
{
	const uint64_t found[] = { 48, 1024 };

	begin(found, 2);
	for (int i = 0; i < 100; i++)
		slack_request(slack, 500);
	CHECK_EQ(slack_likely(slack, 1024), 1024);
	for (int i = 0; i < 15; i++)
		slack_request(slack, 900);
	CHECK_EQ(slack_likely(slack, 1024), 1024); /* too few */
	slack_request(slack, 900);
	CHECK_EQ(slack_likely(slack, 1024), 900);
	slack_request(slack, UINT64_MAX);
	slack_request(slack, 0);
}

/* glibc's sizes are 8 more than multiples of 16. */
static void test_glibc(void)
{
	const uint64_t found[] = { 24, 40, 40968 };

	begin(found, 3);
	for (int i = 0; i < 20; i++) {
		slack_request(slack, 40960);
		slack_request(slack, 30);
	}
	CHECK_EQ(slack_likely(slack, 40968), 40960);
	CHECK_EQ(slack_likely(slack, 40), 30);
}

int main(void)
{
	test_classes();
	test_gaps();
	test_glibc();
	free(slack);
	return check_done();
}
