/* SPDX-License-Identifier: BSD-2-Clause */
/* The verbs, in the order in which help shows them. */
#include "command.h"

#include <stddef.h>

extern const struct command cmd_record, cmd_probe, cmd_info, cmd_dump, cmd_export, cmd_cut, cmd_strip, cmd_report, cmd_diff,
	cmd_replay, cmd_rerun, cmd_check, cmd_bisect, cmd_tune, cmd_shrink,
	cmd_doctor, cmd_replay_job;

const struct command *const commands[] = {
	&cmd_record, &cmd_probe, &cmd_info, &cmd_dump, &cmd_export, &cmd_cut, &cmd_strip, &cmd_report, &cmd_diff, &cmd_replay, &cmd_rerun, &cmd_check,
	&cmd_bisect, &cmd_tune, &cmd_shrink, &cmd_doctor,
	&cmd_replay_job, NULL, /* without a summary: not shown */
};
