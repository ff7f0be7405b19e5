/* SPDX-License-Identifier: BSD-2-Clause */
/* The bundled page, as it is, in the program's read-only data. Empty where it could not be made. */
#include "report/page_template.h"

#ifdef HEAPTAPE_PAGE
__asm__(".pushsection .rodata\n"
	".global heaptape_page_start, heaptape_page_end\n"
	"heaptape_page_start:\n"
	".incbin \"" HEAPTAPE_PAGE "\"\n"
	"heaptape_page_end:\n"
	".byte 0\n"
	".popsection\n");
extern const char heaptape_page_start[], heaptape_page_end[];

const char *page_template(size_t *nbytes_ret)
{
	*nbytes_ret = (size_t)(heaptape_page_end - heaptape_page_start);
	return *nbytes_ret ? heaptape_page_start : NULL;
}
#else
const char *page_template(size_t *nbytes_ret)
{
	*nbytes_ret = 0;
	return NULL;
}
#endif
