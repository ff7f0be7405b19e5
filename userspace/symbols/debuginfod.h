/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * debuginfod.h - debug files from the servers that DEBUGINFOD_URLS names, by elfutils' library, which is loaded only
 * when it is asked for.
 */
#ifndef HEAPTAPE_DEBUGINFOD_H
#define HEAPTAPE_DEBUGINFOD_H

/* Why debuginfod cannot be asked, or NULL if it can. */
const char *debuginfod_missing(void);
/* An open file, or -1. *path_ret (freed by the caller, may be NULL): where it is kept. Waits for the network. */
int debuginfod_fetch(const char *build_id, char **path_ret);

#endif
