/* SPDX-License-Identifier: BSD-2-Clause */
/* vdso.h - the kernel's own shared object, which is in no file: the one that this process has mapped. */
#ifndef HEAPTAPE_VDSO_H
#define HEAPTAPE_VDSO_H

/* A file in memory that holds it, to be closed by the caller; -1 if there is none. */
int vdso_open(void);

#endif
