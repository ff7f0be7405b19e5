/* SPDX-License-Identifier: BSD-2-Clause */
/* Failures of runs, in words. */
#include "replay/measure_error.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "formats/tape.h"

void run_error_set(struct run_error *e, const char *kind, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	e->kind = kind;
}

void run_error_add_output(struct run_error *e, const struct launched *l)
{
	size_t end = l->output_nbytes, n = strlen(e->text);
	while (end && l->output[end - 1] == '\n')
		end--;
	size_t start = end;
	while (start && l->output[start - 1] != '\n')
		start--;
	snprintf(e->text + n, sizeof(e->text) - n, "%.*s", (int)(end - start), l->output + start);
}

static void describe_operation(const struct control *c, const struct plan *plan, char *buf, size_t nbytes)
{
	uint32_t thread = c->error_thread < plan->head.nr_threads ? c->error_thread : 0;
	const char *name = tape_kind_name(c->error_kind);
	snprintf(buf, nbytes, "operation %llu of thread %u (recorded as %u): %s(%llu)", (unsigned long long)c->error_op,
		 thread, plan->threads[thread].tid, c->error_kind < PLAN_CALL_NR && name ? name : "?",
		 (unsigned long long)c->error_size);
}

static void error_of_player(struct run_error *e, const struct control *c, const struct plan *plan)
{
	char op[160];
	unsigned long long addr = c->error_addr;
	describe_operation(c, plan, op, sizeof(op));
	switch (c->error) {
	case CONTROL_ERR_NULL: run_error_set(e, "out_of_memory", "NULL returned at %s", op); break;
	case CONTROL_ERR_OVERLAP: run_error_set(e, "overlap", "0x%llx overlaps a live object at %s", addr, op); break;
	case CONTROL_ERR_MISALIGNED:
		run_error_set(e, "misaligned", "0x%llx is not aligned to %llu at %s", addr,
			      (unsigned long long)c->error_align, op);
		break;
	case CONTROL_ERR_CORRUPT:
		run_error_set(e, "corrupt", "contents of the object at 0x%llx changed (at 0x%llx), seen at %s", addr,
			      (unsigned long long)c->error_other, op);
		break;
	case CONTROL_ERR_THREAD:
		run_error_set(e, "thread", "a thread could not be started: %s", strerror((int)c->error_detail));
		break;
	case CONTROL_ERR_SETUP:
		run_error_set(e, c->error_detail == ENOMEM ? "out_of_memory" : "setup",
			      "the player could not map its tables: %s", strerror((int)c->error_detail));
		break;
	default:
		run_error_set(e, "marks", "0x%llx: the heap is spread over more address space than can be followed", addr);
	}
}

static void error_of_signal(struct run_error *e, const struct launched *l)
{
	int sig = WTERMSIG(l->status);
	const char *name = sigabbrev_np(sig);
	uint64_t nr_done = 0;
	if (sig == SIGKILL) {
		run_error_set(e, "killed", "the player was killed (SIGKILL), by the kernel if memory ran out");
		return;
	}
	nr_done = l->threads ? atomic_load(&l->threads[0].nr_done) : 0;
	run_error_set(e, "crashed", "SIG%s (%s) after operation %llu of the first thread%s", name ? name : "?",
		      strsignal(sig), (unsigned long long)nr_done, l->output_nbytes ? "; it said: " : "");
	run_error_add_output(e, l);
}

void run_error_of_end(struct run_error *e, const struct launched *l, const struct plan *plan, const struct tested *a)
{
	uint32_t stage = atomic_load(&l->control->stage);
	if (atomic_load(&l->control->error) != CONTROL_OK) {
		error_of_player(e, l->control, plan);
	} else if (WIFSIGNALED(l->status)) {
		error_of_signal(e, l);
	} else if (stage == CONTROL_NONE) {
		run_error_set(e, "not_loaded", "%s could not be loaded (exit status %d)%s", a->path, WEXITSTATUS(l->status),
			      l->output_nbytes ? ": " : "");
		run_error_add_output(e, l);
	} else {
		run_error_set(e, "exited", "the process ended with status %d in mid-replay%s", WEXITSTATUS(l->status),
			      l->output_nbytes ? "; it said: " : "");
		run_error_add_output(e, l);
	}
}
