/* SPDX-License-Identifier: BSD-2-Clause */
/* apr_pools.c - pools in pools of Apache's runtime, cleared and destroyed; prints what it asked for in the form of custom_calls.c. */
#include <apr_general.h>
#include <apr_pools.h>
#include <apr_strings.h>
#include <stdio.h>

static unsigned long nr, nbytes;

static void *take(apr_pool_t *pool, apr_size_t n)
{
	nr++;
	nbytes += n;
	return n & 1 ? apr_palloc(pool, n) : apr_pcalloc(pool, n);
}

/* A pool's destructor takes memory of that very pool. */
static apr_status_t say_goodbye(void *pool)
{
	take(pool, 77);
	return APR_SUCCESS;
}

int main(void)
{
	unsigned long before;
	apr_pool_t *root, *request, *inner;

	apr_initialize();
	apr_pool_create(&root, NULL);
	for (int i = 0; i < 200; i++) {
		apr_pool_create(&request, root);
		apr_pool_create(&inner, request);
		nr++; /* the library notes each destructor in the pool */
		nbytes += 4 * sizeof(void *);
		apr_pool_pre_cleanup_register(inner, inner, say_goodbye);
		for (apr_size_t k = 1; k < 40; k++) {
			take(request, 10 * k + 1);
			take(inner, 300 * k);
		}
		nr++;
		nbytes += sizeof("hello");
		apr_pstrdup(inner, "hello");
		if (i % 3 == 0)
			apr_pool_clear(request);
		if (i % 2)
			apr_pool_destroy(request);
	}
	before = nr;
	apr_pool_destroy(root);
	printf("apr %lu %lu %lu\n", nr, nbytes, nr);
	fprintf(stderr, "%lu of them by destructors at the end\n", nr - before);
	apr_terminate();
	return 0;
}
