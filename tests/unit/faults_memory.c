/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <errno.h>
#include <stddef.h>

#include "faults.h"

#if defined(__SANITIZE_ADDRESS__) || !defined(__GLIBC__)

bool faults_have_malloc(void)
{
	return false; /* sanitizers bring one of their own */
}

#else
/* The C library's own, under the names it keeps for this. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

/* malloc() is declared with attributes that these need not have. */
void *malloc(size_t n);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t n);

bool faults_have_malloc(void)
{
	return true;
}

static bool no_memory(void)
{
	if (!faults_fails(FAULT_MALLOC))
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t n)
{
	return no_memory() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return no_memory() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return no_memory() ? NULL : __libc_realloc(p, n);
}
#endif
