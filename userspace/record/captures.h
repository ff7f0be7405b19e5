/* SPDX-License-Identifier: BSD-2-Clause */
/* captures.h - the probes of a runtime's profile put into the process. Belongs to the recording thread. */
#ifndef HEAPTAPE_CAPTURES_H
#define HEAPTAPE_CAPTURES_H

#include "record/kernel.h"
#include "runtime/runtime.h"
#include "target/process.h"

struct captures;

/* k must have been opened for captures. Every probe of rt stands when this returns 0; else -errno and no probe is left:
 * -ENXIO if *missing_ret (may be NULL) shows no breakpoint in the process. */
int captures_attach(const struct kernel *k, const struct process *p, const struct runtime *rt, struct captures **c_ret,
		    const struct runtime_probe **missing_ret);
void captures_free(struct captures *c);

#endif
