/* SPDX-License-Identifier: BSD-2-Clause */
/* unseen.h - runtimes with a heap of their own that no profile knows: told by the files that they are in. */
#ifndef HEAPTAPE_UNSEEN_H
#define HEAPTAPE_UNSEEN_H

/* "V8" for /usr/lib/libnode.so.108; NULL: the file is of none. Static. */
const char *unseen_runtime(const char *path);

#endif
