/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stack_truth.h - functions that know who called them: the compiler's entry and exit hooks keep a list of return
 * addresses beside the stack. All that is to be compared lies in one section, in programs and plugins alike.
 */
#ifndef HEAPTAPE_STACK_TRUTH_H
#define HEAPTAPE_STACK_TRUTH_H

#include <stddef.h>
#include <stdint.h>

#define KNOWN __attribute__((noinline, section("known_text")))
#define UNSEEN __attribute__((noinline, no_instrument_function))

#ifdef __cplusplus
extern "C" {
#endif
/* Allocates, and logs the stack that the event must have. */
void *truth_malloc(size_t size);
/* A signal handler was entered: the code at `pc` is what it interrupted. */
void truth_interrupted(uint64_t pc);
void truth_resumed(void);
/* The code of a program or plugin. */
void truth_code(const char *start, const char *end);
extern const char __start_known_text[] __attribute__((visibility("hidden")));
extern const char __stop_known_text[] __attribute__((visibility("hidden")));
/* What a test calls per round; a plugin's entry. */
typedef int (*truth_plugin)(int depth);
#ifdef __cplusplus
}
#endif

#endif
