/* SPDX-License-Identifier: BSD-2-Clause */
/* calibrate.h - what one trap costs on this machine, now. */
#ifndef HEAPTAPE_CALIBRATE_H
#define HEAPTAPE_CALIBRATE_H

#include <stdint.h>

#include "record/kernel.h"

/* Nanoseconds that an emulated trap with our program adds to an instruction: the least of several windows, so that
 * other work on the machine does not count. Probes a function of this process for some milliseconds. -errno. */
int calibrate_trap(struct kernel *k, uint64_t *trap_ns_ret);

#endif
