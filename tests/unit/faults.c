/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "faults.h"

#include <sqlite3.h>
#include <stdlib.h>

static struct {
	bool armed, during, for_good, failed;
	enum fault what;
	unsigned left;
} plan;

static const struct {
	const char *name;
	int rc;
} kinds[FAULT_COUNT] = {
	[FAULT_SYNC] = { "fsync", SQLITE_IOERR_FSYNC },
	[FAULT_WRITE] = { "write", SQLITE_IOERR_WRITE },
	[FAULT_FULL] = { "no space", SQLITE_FULL },
	[FAULT_TRUNCATE] = { "truncate", SQLITE_IOERR_TRUNCATE },
	[FAULT_READ] = { "read", SQLITE_IOERR_READ },
	[FAULT_SHM] = { "index", SQLITE_IOERR_NOMEM },
	[FAULT_MALLOC] = { "allocation", SQLITE_NOMEM },
};

const char *faults_name(enum fault f)
{
	return kinds[f].name;
}

void faults_arm(enum fault f, unsigned n, bool for_good)
{
	plan.what = f;
	plan.left = n;
	plan.for_good = for_good;
	plan.failed = false;
	plan.armed = true;
}

void faults_during(bool on)
{
	plan.during = on;
}

bool faults_disarm(void)
{
	plan.armed = false;
	return plan.failed;
}

bool faults_fails(enum fault f)
{
	if (!plan.armed || !plan.during || plan.what != f || (plan.failed && !plan.for_good))
		return false;
	if (!plan.failed && --plan.left > 0)
		return false;
	plan.failed = true;
	return true;
}

/* ---- files ---- */

/* What stands behind the shim's part of a file is the real VFS's. */
struct file {
	sqlite3_file base;
	sqlite3_file *real;
};

static sqlite3_file *real(sqlite3_file *f)
{
	return ((struct file *)(void *)f)->real;
}

#define METHODS(f) (real(f)->pMethods)

static int file_close(sqlite3_file *f)
{
	return METHODS(f)->xClose(real(f));
}

static int file_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
	return faults_fails(FAULT_READ) ? kinds[FAULT_READ].rc
					: METHODS(f)->xRead(real(f), to, n, at);
}

static int file_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
	if (faults_fails(FAULT_WRITE))
		return kinds[FAULT_WRITE].rc;
	if (faults_fails(FAULT_FULL)) {
		/* what there was room for is written */
		(void)METHODS(f)->xWrite(real(f), from, n / 2, at);
		return kinds[FAULT_FULL].rc;
	}
	return METHODS(f)->xWrite(real(f), from, n, at);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 n)
{
	return faults_fails(FAULT_TRUNCATE) ? kinds[FAULT_TRUNCATE].rc
					    : METHODS(f)->xTruncate(real(f), n);
}

/* The machine does not crash in these tests: the real one would only take time. */
static int file_sync(sqlite3_file *f, int flags)
{
	(void)f;
	(void)flags;
	return faults_fails(FAULT_SYNC) ? kinds[FAULT_SYNC].rc : SQLITE_OK;
}

static int file_size(sqlite3_file *f, sqlite3_int64 *n)
{
	return METHODS(f)->xFileSize(real(f), n);
}

static int file_lock(sqlite3_file *f, int level)
{
	return METHODS(f)->xLock(real(f), level);
}

static int file_unlock(sqlite3_file *f, int level)
{
	return METHODS(f)->xUnlock(real(f), level);
}

static int file_reserved(sqlite3_file *f, int *out)
{
	return METHODS(f)->xCheckReservedLock(real(f), out);
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
	return METHODS(f)->xFileControl(real(f), op, arg);
}

static int file_sector(sqlite3_file *f)
{
	return METHODS(f)->xSectorSize(real(f));
}

static int file_traits(sqlite3_file *f)
{
	return METHODS(f)->xDeviceCharacteristics(real(f));
}

static int shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
	return faults_fails(FAULT_SHM) ? kinds[FAULT_SHM].rc
				       : METHODS(f)->xShmMap(real(f), page, size, extend, out);
}

static int shm_lock(sqlite3_file *f, int from, int n, int flags)
{
	return METHODS(f)->xShmLock(real(f), from, n, flags);
}

static void shm_barrier(sqlite3_file *f)
{
	METHODS(f)->xShmBarrier(real(f));
}

static int shm_unmap(sqlite3_file *f, int remove)
{
	return METHODS(f)->xShmUnmap(real(f), remove);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector,
	.xDeviceCharacteristics = file_traits,
	.xShmMap = shm_map,
	.xShmLock = shm_lock,
	.xShmBarrier = shm_barrier,
	.xShmUnmap = shm_unmap,
};

static sqlite3_vfs *underneath(const sqlite3_vfs *v)
{
	return v->pAppData;
}

static int vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
	struct file *mine = (struct file *)(void *)f;

	mine->real = (sqlite3_file *)(void *)(mine + 1);
	mine->base.pMethods = NULL;
	int rc = underneath(v)->xOpen(underneath(v), name, mine->real, flags, out);
	if (mine->real->pMethods)
		mine->base.pMethods = &methods;
	return rc;
}

void faults_install(void)
{
	static sqlite3_vfs shim;
	sqlite3_vfs *below = sqlite3_vfs_find(NULL);

	shim = *below;
	shim.pNext = NULL;
	shim.zName = "faults";
	shim.pAppData = below;
	shim.szOsFile = (int)sizeof(struct file) + below->szOsFile;
	shim.xOpen = vfs_open;
	if (sqlite3_vfs_register(&shim, 1) != SQLITE_OK)
		abort();
}
