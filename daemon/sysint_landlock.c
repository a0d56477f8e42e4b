/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/sysint.h"

/* Rights as of Landlock ABI 1 (Linux 5.13); REFER (ABI 2) and TRUNCATE (ABI 3) where there. */
#define READ_RIGHTS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_RIGHTS                                                      \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
	 LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |    \
	 LANDLOCK_ACCESS_FS_MAKE_DIR)
#define ALL_RIGHTS                                                                                \
	(READ_RIGHTS | WRITE_RIGHTS | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | \
	 LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |                            \
	 LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define REFER_RIGHT (1ULL << 13)
#define TRUNCATE_RIGHT (1ULL << 14)

/* Where the calendars' time zones are: read when a window first names one. */
#define ZONES "/usr/share/zoneinfo"

static int allow(int ruleset, const char *dir, uint64_t rights)
{
	struct landlock_path_beneath_attr below = { .allowed_access = rights };

	below.parent_fd = open(dir, O_PATH | O_CLOEXEC | O_DIRECTORY);
	if (below.parent_fd < 0)
		return -1;
	int rc =
		(int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &below, 0);
	int why = errno;
	close(below.parent_fd);
	errno = why;
	return rc;
}

static int restrict_to(int ruleset, const char *dir, uint64_t rights, bool zones, struct err *e)
{
	if (allow(ruleset, dir, rights) != 0)
		return err_set(e, ERR_IO, "sandbox: %s: %s", dir, strerror(errno));
	/* without them there is UTC */
	if (zones && allow(ruleset, ZONES, READ_RIGHTS) != 0 && errno != ENOENT)
		return err_set(e, ERR_IO, "sandbox: %s: %s", ZONES, strerror(errno));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		return err_set(e, ERR_INTERNAL, "sandbox: Landlock: %s", strerror(errno));
	return 0;
}

/* 1 restricted, 0 the kernel has no Landlock, -1 error. */
static int landlock(const char *dir, bool write, struct err *e)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct landlock_ruleset_attr attr = { .handled_access_fs = ALL_RIGHTS };
	/* A reader of a WAL database locks and maps the -shm file, which takes writing. */
	uint64_t rights = READ_RIGHTS | LANDLOCK_ACCESS_FS_WRITE_FILE | (write ? WRITE_RIGHTS : 0);
	int ruleset, rc;

	if (abi < 1)
		return 0;
	if (abi >= 2) {
		attr.handled_access_fs |= REFER_RIGHT;
		rights |= write ? REFER_RIGHT : 0;
	}
	if (abi >= 3) {
		attr.handled_access_fs |= TRUNCATE_RIGHT;
		rights |= write ? TRUNCATE_RIGHT : 0;
	}
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return err_set(e, ERR_INTERNAL, "sandbox: Landlock: %s", strerror(errno));
	rc = restrict_to(ruleset, dir, rights, write, e);
	close(ruleset);
	return rc == 0 ? 1 : -1;
}

int sysint_sandbox_files(const char *dir, bool write, bool *landlocked, struct err *e)
{
	int rc = SYSINT_UNHARDENED ? 0 : landlock(dir, write, e);

	*landlocked = rc > 0;
	return rc < 0 ? -1 : sysint_filter_files(e);
}
