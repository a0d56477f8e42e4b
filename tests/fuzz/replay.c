/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/*
 * What stands in for libFuzzer in ordinary builds: runs every file named on the
 * command line through the target once, as libFuzzer does with file arguments.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static int run_file(const char *name)
{
	int result = 1;
	FILE *f = fopen(name, "rb");
	uint8_t *room = malloc(INPUT_MAX), *p = NULL;

	if (!f || !room)
		goto out;
	size_t n = fread(room, 1, INPUT_MAX, f);
	if (ferror(f) || !feof(f))
		goto out;
	/* a block of exactly n bytes, so that reading past the end is seen */
	p = malloc(n ? n : 1);
	if (!p)
		goto out;
	for (size_t i = 0; i < n; i++)
		p[i] = room[i];
	result = LLVMFuzzerTestOneInput(p, n) == 0 ? 0 : 1;
out:
	if (result != 0)
		fprintf(stderr, "%s: not run\n", name);
	free(p);
	free(room);
	if (f)
		fclose(f);
	return result;
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= run_file(argv[i]);
	printf("%d inputs\n", argc - 1);
	return failed || argc < 2;
}
