/* SPDX-License-Identifier: BSD-2-Clause */
/* The HTML report: the bundled page with the analysis in it, as JSON, deflated, in base64, so that nothing of it is markup. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "report/page_template.h"
#include "report/report.h"

#define MARKER "@HEAPTAPE_DATA@"

static void put_base64(const unsigned char *data, size_t nbytes, FILE *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < nbytes; i += 3) {
		size_t left = nbytes - i;
		unsigned three = (unsigned)data[i] << 16 | (left > 1 ? (unsigned)data[i + 1] << 8 : 0) | (left > 2 ? data[i + 2] : 0);

		fputc(digits[three >> 18], out);
		fputc(digits[three >> 12 & 63], out);
		fputc(left > 1 ? digits[three >> 6 & 63] : '=', out);
		fputc(left > 2 ? digits[three & 63] : '=', out);
	}
}

static int put_data(const char *text, FILE *out)
{
	uLong nbytes = strlen(text);
	uLongf packed_nbytes = compressBound(nbytes);
	unsigned char *packed = malloc(packed_nbytes);
	int err = packed && compress2(packed, &packed_nbytes, (const unsigned char *)text, nbytes, Z_BEST_COMPRESSION) == Z_OK ? 0 : -ENOMEM;

	if (!err)
		put_base64(packed, packed_nbytes, out);
	free(packed);
	return err;
}

bool report_has_html(void)
{
	size_t nbytes;

	return page_template(&nbytes) != NULL;
}

int report_print_html(const struct report *r, FILE *out)
{
	size_t nbytes;
	const char *page = page_template(&nbytes), *marker = page ? memmem(page, nbytes, MARKER, strlen(MARKER)) : NULL;
	char *text;
	int err;

	if (!marker)
		return -ENOTSUP;
	text = report_json(r);
	if (!text)
		return -ENOMEM;
	fwrite(page, 1, (size_t)(marker - page), out);
	err = put_data(text, out);
	marker += strlen(MARKER);
	fwrite(marker, 1, nbytes - (size_t)(marker - page), out);
	free(text);
	return err;
}
