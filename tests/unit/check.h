/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.h - the unit tests' few words. A failed check prints file, line and both values, and the program's
 * exit status (check_done) says whether all held; checks go on after a failure.
 */
#ifndef HEAPTAPE_TEST_CHECK_H
#define HEAPTAPE_TEST_CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static unsigned check_nr, check_nr_failed;

#define CHECK(cond)                                                                                    \
	do {                                                                                           \
		check_nr++;                                                                            \
		if (!(cond)) {                                                                         \
			check_nr_failed++;                                                             \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #cond);             \
		}                                                                                      \
	} while (0)

#define CHECK_EQ(got, want)                                                                            \
	do {                                                                                           \
		int64_t got_ = (int64_t)(got), want_ = (int64_t)(want);                                \
		check_nr++;                                                                            \
		if (got_ != want_) {                                                                   \
			check_nr_failed++;                                                             \
			fprintf(stderr, "%s:%d: %s is %" PRId64 ", not %" PRId64 "\n", __FILE__, __LINE__, \
				#got, got_, want_);                                                    \
		}                                                                                      \
	} while (0)

#define CHECK_STR(got, want)                                                                           \
	do {                                                                                           \
		const char *got_ = (got), *want_ = (want);                                             \
		check_nr++;                                                                            \
		if (!got_ || strcmp(got_, want_) != 0) {                                               \
			check_nr_failed++;                                                             \
			fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #got, \
				got_ ? got_ : "(null)", want_);                                        \
		}                                                                                      \
	} while (0)

/* Return this from main. */
static inline int check_done(void)
{
	printf("%u checks, %u failed\n", check_nr, check_nr_failed);
	return check_nr_failed || !check_nr;
}

#endif
