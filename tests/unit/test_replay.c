/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replays of made-up tapes under real allocators, with the shadow model on, and under allocators with one fault
 * each: figures where there should be figures, the right error where not, and never somebody else's figures.
 */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "../replay/tape_maker.h"
#include "check.h"
#include "replay/replay.h"

#define THREADS_MANY 500
/* What the player itself may hold in private memory, and what each of its threads may add. */
#define REMAINS_NBYTES (1u << 20)
#define REMAINS_THREAD_NBYTES 1024u

static char tape_path[64], player_path[4200], allocators_dir[4200];

/* ---- tapes and plans ---- */

static void make_plan(struct plan *plan, enum plan_order order)
{
	struct tape_reader *r;
	struct plan_opts opts = { .order = order, .nr_checkpoints = 20 };
	int err = tape_reader_open(tape_path, NULL, &r);
	if (!err)
		err = plan_build(r, &opts, plan);
	if (err)
		maker_die(tape_path, err);
	tape_reader_close(r);
}

static void make_mixed_tape(uint64_t seed, uint32_t nr_threads, uint64_t nr_calls, uint64_t live)
{
	struct maker m;
	maker_open(&m, tape_path, seed, 2);
	for (uint32_t i = 1; i < nr_threads; i++)
		maker_thread_start(&m, MAKER_PID + i);
	while (m.nr_calls < nr_calls) {
		uint32_t i = (uint32_t)maker_below(&m, nr_threads);
		m.cpu = (uint16_t)(i % 2);
		maker_step(&m, MAKER_PID + i, live, 64);
	}
	for (uint32_t i = 1; i < nr_threads; i += 2)
		maker_thread_exit(&m, MAKER_PID + i);
	maker_close(&m);
}

/* Plain mallocs, so that a fault sits in the function that is called. */
static void make_plain_tape(uint64_t nr_calls, uint32_t nr_threads)
{
	struct maker m;
	maker_open(&m, tape_path, 1, 2);
	for (uint32_t i = 1; i < nr_threads; i++)
		maker_thread_start(&m, MAKER_PID + i);
	while (m.nr_calls < nr_calls) {
		uint32_t tid = MAKER_PID + (uint32_t)(m.nr_calls % nr_threads);
		if (m.nr > 1000)
			maker_free(&m, tid, maker_below(&m, m.nr));
		maker_birth(&m, tid, TAPE_MALLOC, 16 + maker_below(&m, 200), 0);
	}
	maker_close(&m);
}

/* ---- running ---- */

struct outcome {
	struct tested tested;
	struct replay_result result;
};

static void run(const struct plan *plan, const char *allocator, bool verify, uint64_t timeout_ns, struct outcome *o)
{
	struct replay_opts opts = { .player = player_path, .clock_tape = true, .repeat = 1, .verify = verify,
				    .timeout_ns = timeout_ns };
	struct cpu_map map;
	char why[512];
	*o = (struct outcome){ 0 };
	CHECK_EQ(cpu_map_make(plan, &map), 0);
	int err = tested_parse(allocator, &o->tested, why, sizeof(why));
	if (err) {
		fprintf(stderr, "%s: %s\n", allocator, why);
		CHECK_EQ(err, 0);
		exit(check_done());
	}
	o->result.tested = &o->tested;
	CHECK_EQ(replay_run(plan, &map, &opts, &o->result, 1), 0);
}

static void end(struct outcome *o)
{
	replay_result_free(&o->result);
	tested_free(&o->tested);
}

static void check_figures(const char *what, const struct plan *plan, const struct outcome *o, bool verified)
{
	const struct replay_result *r = &o->result;
	const struct split *s = &r->measured.end_split;
	if (r->error.kind)
		fprintf(stderr, "%s: %s: %s\n", what, r->error.kind, r->error.text);
	CHECK(!r->error.kind);
	if (r->error.kind)
		return;
	CHECK_EQ(r->verified, verified);
	CHECK(r->wall_ns.median > 0 && r->cpu_ns.median > 0);
	CHECK(r->measured.peak_resident >= r->measured.end_resident);
	CHECK_EQ(s->requested + s->internal + s->holes + s->retained + s->metadata, s->resident);
	CHECK_EQ(s->resident, r->measured.split_kernel_nbytes);
	CHECK_EQ(s->resident, r->measured.end_resident);
	CHECK_EQ(s->requested + s->unresident + s->outside, plan->facts.live_nbytes);
	CHECK_EQ(s->outside, 0);
	printf("%s: %" PRIu64 " calls executed, %" PRIu64 " kB at the peak, split adds up to the kernel's %" PRIu64 " kB\n",
	       what, plan->facts.nr_planned, r->measured.peak_resident >> 10, s->resident >> 10);
}

static void test_four_allocators(uint64_t seed, enum plan_order order, uint32_t nr_threads, uint64_t nr_calls)
{
	struct plan plan;
	make_mixed_tape(seed, nr_threads, nr_calls, 2000);
	make_plan(&plan, order);
	for (size_t i = 0; tested_names[i]; i++) {
		struct outcome o;
		char what[64];
		if (!tested_installed(tested_names[i])) {
			printf("SKIP %s: not installed\n", tested_names[i]);
			continue;
		}
		snprintf(what, sizeof(what), "%s, %u threads, %s", tested_names[i], nr_threads, plan_order_name(order));
		run(&plan, tested_names[i], true, 0, &o);
		check_figures(what, &plan, &o, true);
		end(&o);
	}
	plan_free(&plan);
}

/* ---- wrong allocators ---- */

static void check_error(const struct plan *plan, const char *allocator, const char *kind, bool verify)
{
	struct outcome o;
	char path[4300];
	snprintf(path, sizeof(path), "%s/%s.so", allocators_dir, allocator);
	run(plan, path, verify, 1500000000, &o);
	CHECK_STR(o.result.error.kind, kind);
	CHECK(!o.result.error.kind || o.result.error.text[0]);
	printf("%s: %s: %s\n", allocator, o.result.error.kind ? o.result.error.kind : "no error", o.result.error.text);
	end(&o);
}

static void test_wrong_allocators(void)
{
	struct plan plan;
	make_plain_tape(20000, 2);
	make_plan(&plan, PLAN_ORDER_DEPS);
	check_error(&plan, "alloc_null", "out_of_memory", false);
	check_error(&plan, "alloc_crash", "crashed", false);
	check_error(&plan, "alloc_leaves", "exited", false);
	check_error(&plan, "alloc_hang", "hang", false);
	check_error(&plan, "alloc_overlap", "overlap", true);
	check_error(&plan, "alloc_misaligned", "misaligned", true);
	check_error(&plan, "alloc_corrupt", "corrupt", true);
	check_error(&plan, "needs_gone", "not_loaded", false);
	check_error(&plan, "versioned", "not_in_force", false);
	plan_free(&plan);
}

/* malloc, free, calloc and realloc only: replayed, with internal waste unknown. */
static void test_without_usable_size(void)
{
	struct plan plan;
	struct outcome o;
	char path[4300];
	make_plain_tape(20000, 1);
	make_plan(&plan, PLAN_ORDER_DEPS);
	snprintf(path, sizeof(path), "%s/alloc_minimal.so", allocators_dir);
	run(&plan, path, true, 0, &o);
	CHECK(!o.result.error.kind);
	CHECK(!o.result.measured.has_usable);
	CHECK(o.result.warnings.nr > 0);
	end(&o);
	plan_free(&plan);
}

static void check_refused(const char *text, int want)
{
	struct tested t;
	char why[512] = "";
	int err = tested_parse(text, &t, why, sizeof(why));
	CHECK_EQ(err, want);
	CHECK(why[0] && !strchr(why, '\n'));
	printf("%s: %s\n", text, why);
	if (!err)
		tested_free(&t);
}

static void test_refusals(void)
{
	char path[4300];
	check_refused("nosuchmalloc", -EINVAL);
	check_refused("glibc,=1", -EINVAL);
	check_refused("/nonexistent/libmalloc.so", -ENOENT);
	check_refused("/etc/passwd", -ENOEXEC);
	check_refused("/dev/null", -ENOEXEC);
	check_refused("/usr", -ENOEXEC);
	snprintf(path, sizeof(path), "%s/without_malloc.so", allocators_dir);
	check_refused(path, -ENOEXEC);
}

static void test_settings_text(void)
{
	struct tested t;
	char why[512];
	CHECK_EQ(tested_parse("glibc,MALLOC_CONF=narenas:1,dirty_decay_ms:0,X=,MALLOC_ARENA_MAX=1", &t, why, sizeof(why)), 0);
	CHECK_EQ(t.nr_settings, 3);
	CHECK_STR(tested_setting(&t, "MALLOC_CONF"), "narenas:1,dirty_decay_ms:0");
	CHECK_STR(tested_setting(&t, "X"), "");
	CHECK_STR(tested_setting(&t, "MALLOC_ARENA_MAX"), "1");
	tested_free(&t);
}

/* ---- what the player adds ---- */

static void test_own_memory(uint32_t nr_threads)
{
	struct plan plan;
	struct outcome o;
	char text[4400];
	make_plain_tape(20000, nr_threads);
	make_plan(&plan, PLAN_ORDER_DEPS);
	snprintf(text, sizeof(text), "%s/alloc_bump.so", allocators_dir);
	run(&plan, text, false, 0, &o);
	CHECK(!o.result.error.kind);
	uint64_t mappings = o.result.measured.peak_resident;
	end(&o);
	snprintf(text, sizeof(text), "%s/alloc_bump.so,BUMP_MEMORY=shared", allocators_dir);
	run(&plan, text, false, 0, &o);
	CHECK(!o.result.error.kind);
	uint64_t anon = o.result.measured.process_anon;
	end(&o);
	plan_free(&plan);
	printf("%u threads under an allocator with memory of its own: %" PRIu64 " kB in figures, %" PRIu64
	       " kB private in the whole process\n", nr_threads, mappings >> 10, anon >> 10);
	CHECK(mappings < REMAINS_NBYTES + nr_threads * REMAINS_THREAD_NBYTES);
	CHECK(anon < REMAINS_NBYTES + nr_threads * REMAINS_THREAD_NBYTES);
}

/* jemalloc makes 4 arenas for each CPU that it believes in, 1 for a single one. */
static void check_arenas(unsigned cpus, unsigned want)
{
	struct maker m;
	struct plan plan;
	struct outcome o;
	char line[64];
	maker_open(&m, tape_path, 1, cpus);
	for (int i = 0; i < 1000; i++)
		maker_step(&m, MAKER_PID, 100, 0);
	maker_close(&m);
	make_plan(&plan, PLAN_ORDER_DEPS);
	run(&plan, "jemalloc,MALLOC_CONF=stats_print:true,stats_print_opts:mdablxe", false, 0, &o);
	CHECK(!o.result.error.kind);
	snprintf(line, sizeof(line), "opt.narenas: %u\n", want);
	CHECK(o.result.measured.output && strstr(o.result.measured.output, line));
	printf("jemalloc told of %u CPUs: %s", cpus, line);
	end(&o);
	plan_free(&plan);
}

static void test_machine(void)
{
	if (!tested_installed("jemalloc")) {
		printf("SKIP arenas: jemalloc is not installed\n");
		return;
	}
	check_arenas(1, 1);
	check_arenas(2, 8);
	check_arenas(16, 64);
}

static void find_places(void)
{
	ssize_t n = readlink("/proc/self/exe", player_path, 4000);
	if (n <= 0)
		exit(1);
	*strrchr(player_path, '/') = '\0';
	snprintf(allocators_dir, sizeof(allocators_dir), "%.4000s/replay-allocators", player_path);
	strcat(player_path, "/heaptape-player");
}

int main(void)
{
	const char *given = getenv("HEAPTAPE_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
	printf("HEAPTAPE_SEED=%" PRIu64 "\n", seed);
	snprintf(tape_path, sizeof(tape_path), "/tmp/test_replay-%d.tape", (int)getpid());
	find_places();
	test_refusals();
	test_settings_text();
	test_four_allocators(seed, PLAN_ORDER_DEPS, 1, 100000);
	test_four_allocators(seed + 1, PLAN_ORDER_DEPS, 8, 100000);
	test_four_allocators(seed + 2, PLAN_ORDER_DEPS, 64, 50000);
	test_four_allocators(seed + 3, PLAN_ORDER_STRICT, 4, 20000);
	test_wrong_allocators();
	test_without_usable_size();
	test_own_memory(1);
	test_own_memory(THREADS_MANY);
	test_machine();
	unlink(tape_path);
	return check_done();
}
