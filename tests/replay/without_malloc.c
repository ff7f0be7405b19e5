/* SPDX-License-Identifier: BSD-2-Clause */
/* A shared object that exports no malloc. */
int heaptape_test_answer(void);

__attribute__((visibility("default"))) int heaptape_test_answer(void)
{
	return 42;
}
