/* SPDX-License-Identifier: BSD-2-Clause */
/* info_folder.h - what is on the tapes of a folder, one for each process: as a tree, or as JSON. */
#ifndef HEAPTAPE_INFO_FOLDER_H
#define HEAPTAPE_INFO_FOLDER_H

#include <stdbool.h>

#include "formats/process_folder.h"

/* An exit status. */
int info_folder_print(const char *path, const struct process_folder *folder, bool json, bool salvage);

#endif
