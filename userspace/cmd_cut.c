/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_cut.c - `heaptape cut`: a smaller tape, of the time between two moments. */
#include <stdint.h>

#include "command.h"
#include "rewrite/rewrite_run.h"

struct cut {
	const char *out_path;
	bool salvage;
	struct rewrite_opts rewrite;
};

/* One option. 0, or the status to leave with plus one. */
static int take_option(struct cut *c, const struct command *cmd, int option, const char *value)
{
	switch (option) {
	case COMMAND_BAD: return EXIT_USAGE + 1;
	case COMMAND_HELP: return EXIT_DONE + 1;
	case 'F':
	case 'T':
		if (parse_duration_ns(value, option == 'F' ? &c->rewrite.from_ns : &c->rewrite.to_ns))
			return command_usage_error(cmd, "--%s wants a time such as 90s or 5m, not '%s'", option == 'F' ? "from" : "to",
						   value) + 1;
		break;
	case 'o': c->out_path = value; break;
	case 'f': c->rewrite.overwrite = true; break;
	case 's': c->salvage = true; break;
	}
	return 0;
}

static int cut_main(const struct command *cmd, int argc, char **argv)
{
	struct command_args args = { 0 };
	struct cut c = { .rewrite = { .to_ns = UINT64_MAX } };
	int option, status;

	while ((option = command_next_option_anywhere(cmd, &args, argc, argv)) != COMMAND_END) {
		status = take_option(&c, cmd, option, args.value);
		if (status)
			return status - 1;
	}
	if (argc - args.next != 1)
		return command_usage_error(cmd, argc == args.next ? "which tape?" : "one tape at a time");
	if (!c.out_path)
		return command_usage_error(cmd, "-o FILE says where the smaller tape goes");
	if (c.rewrite.from_ns >= c.rewrite.to_ns)
		return command_usage_error(cmd, "--from lies before --to");
	return rewrite_run(argv[args.next], c.out_path, c.salvage, &c.rewrite);
}

const struct command cmd_cut = {
	.name = "cut",
	.synopsis = "FILE [--from TIME] [--to TIME] -o FILE [-f] [--salvage]",
	.summary = "a smaller tape: the time between two moments",
	.description = "The new tape starts with a keyframe, so that it knows all objects that lived at --from; times stay those\n"
		       "of the recording. FILE may be the folder of a ring, which becomes one file.",
	.options = (const struct command_option[]){
		{ "from", 'F', "TIME", "since the start of the recording (90s, 5m); default: where the tape begins" },
		{ "to", 'T', "TIME", "what happens then and later is left out; default: the tape's end" },
		{ "output", 'o', "FILE", "the new tape" },
		{ "force", 'f', NULL, "overwrite the output file" },
		{ "salvage", 's', NULL, "pass over damaged blocks, and say how many, instead of failing" },
		{ 0 },
	},
	.run = cut_main,
};
