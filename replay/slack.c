/* SPDX-License-Identifier: BSD-2-Clause */
#include "replay/slack.h"

void slack_found(struct slack *s, uint64_t reserved)
{
	if (reserved && reserved <= SLACK_SIZES_MAX)
		s->class_of[(reserved + SLACK_UNIT - 1) / SLACK_UNIT] = 1;
}

void slack_ready(struct slack *s)
{
	uint16_t class = 0;

	for (uint32_t i = SLACK_SIZES_MAX / SLACK_UNIT; i; i--) {
		if (s->class_of[i])
			class = (uint16_t)i;
		s->class_of[i] = class;
	}
}

/* No allocator's classes are further apart than a quarter of their size, or 16 bytes where that is more. */
static uint64_t distance_max(uint64_t class)
{
	return class / 4 > 16 ? class / 4 : 16;
}

void slack_request(struct slack *s, uint64_t nbytes)
{
	uint64_t class;
	uint32_t i;

	if (!nbytes || nbytes > SLACK_SIZES_MAX)
		return;
	i = s->class_of[(nbytes + SLACK_UNIT - 1) / SLACK_UNIT];
	class = (uint64_t)i * SLACK_UNIT;
	if (!i || class - nbytes > distance_max(class))
		return;
	s->nr[i]++;
	s->sum[i] += class - nbytes;
}

uint64_t slack_likely(const struct slack *s, uint64_t reserved)
{
	uint64_t i = (reserved + SLACK_UNIT - 1) / SLACK_UNIT;

	if (!reserved || reserved > SLACK_SIZES_MAX || s->nr[i] < SLACK_ENOUGH)
		return reserved;
	return reserved - s->sum[i] / s->nr[i];
}
