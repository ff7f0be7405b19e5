/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slack.h - what blocks of before the recording may have been asked for, of which only the reserved size is known.
 *
 * The same program's requests of the same size class, which are on the tape, tell by how much they fall short of the class in
 * the mean. Classes are the reserved sizes that were found; a request belongs to the smallest that holds it, unless that
 * is further away than any allocator's classes are apart.
 */
#ifndef HEAPTAPE_REPLAY_SLACK_H
#define HEAPTAPE_REPLAY_SLACK_H

#include <stdint.h>

#define SLACK_SIZES_MAX 65536u /* larger ones are taken as they are */
#define SLACK_UNIT 8u          /* all allocators' sizes are multiples of it */
#define SLACK_ENOUGH 16u       /* requests that a class has to have seen */

struct slack {
	uint16_t class_of[SLACK_SIZES_MAX / SLACK_UNIT + 1]; /* by size / SLACK_UNIT, rounded up: the class, as such a number; 0: none */
	uint32_t nr[SLACK_SIZES_MAX / SLACK_UNIT + 1];       /* requests, by class */
	uint64_t sum[SLACK_SIZES_MAX / SLACK_UNIT + 1];      /* bytes by which they fall short */
};

/* A block of this reserved size was found; all of them, then slack_ready, then requests. */
void slack_found(struct slack *s, uint64_t reserved);
void slack_ready(struct slack *s);
void slack_request(struct slack *s, uint64_t nbytes);
/* The likely request behind a reserved size; the size itself if too few requests tell. */
uint64_t slack_likely(const struct slack *s, uint64_t reserved);

#endif
