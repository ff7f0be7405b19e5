/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_strip.c - `heaptape strip`: a tape that may leave the house. */
#include <stdint.h>

#include "command.h"
#include "rewrite/rewrite_run.h"

static int strip_main(const struct command *cmd, int argc, char **argv)
{
	struct rewrite_opts opts = { .to_ns = UINT64_MAX, .strip = true };
	struct command_args args = { 0 };
	const char *out_path = NULL;
	bool salvage = false;
	int option;

	while ((option = command_next_option_anywhere(cmd, &args, argc, argv)) != COMMAND_END) {
		switch (option) {
		case COMMAND_BAD: return EXIT_USAGE;
		case COMMAND_HELP: return EXIT_DONE;
		case 'a': opts.no_addresses = true; break;
		case 'o': out_path = args.value; break;
		case 'f': opts.overwrite = true; break;
		case 's': salvage = true; break;
		}
	}
	if (argc - args.next != 1)
		return command_usage_error(cmd, argc == args.next ? "which tape?" : "one tape at a time");
	if (!out_path)
		return command_usage_error(cmd, "-o FILE says where the stripped tape goes");
	return rewrite_run(argv[args.next], out_path, salvage, &opts);
}

const struct command cmd_strip = {
	.name = "strip",
	.synopsis = "FILE -o FILE [--addresses] [-f] [--salvage]",
	.summary = "a tape without stacks, names and command line, that may leave the house",
	.description = "What stays: calls with their times, threads, CPUs, sizes and addresses, mappings, page faults, the resident\n"
		       "set, what the machine has (CPUs, nodes, page size, the kernel's version number), the allocators' names, and\n"
		       "the calls that steer them.\n"
		       "What goes: stacks, paths, build ids, names of threads and programs, the command line, the process id, the\n"
		       "date, the allocators' settings in the environment (their values may name paths), the rest of the kernel's name.",
	.options = (const struct command_option[]){
		{ "addresses", 'a', NULL, "addresses go too: objects are told by dense numbers; mappings and page faults, which are\n"
					  "nothing but addresses, and sub-allocations are left out" },
		{ "output", 'o', "FILE", "the new tape" },
		{ "force", 'f', NULL, "overwrite the output file" },
		{ "salvage", 's', NULL, "pass over damaged blocks, and say how many, instead of failing" },
		{ 0 },
	},
	.run = strip_main,
};
