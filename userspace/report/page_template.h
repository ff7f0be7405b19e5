/* SPDX-License-Identifier: BSD-2-Clause */
/* page_template.h - the page that web/ was bundled into when heaptape was built. */
#ifndef HEAPTAPE_PAGE_TEMPLATE_H
#define HEAPTAPE_PAGE_TEMPLATE_H

#include <stddef.h>

/* NULL: heaptape was built without npm, so there is none. */
const char *page_template(size_t *nbytes_ret);

#endif
