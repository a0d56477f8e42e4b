/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/crypto.h"
#include "daemon/core_internal.h"
#include "daemon/sysint.h"
#include "tracker/hash.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "0.1.0"
#endif
#ifndef FETTLE_PKGDATADIR
#define FETTLE_PKGDATADIR "/usr/share/fettle"
#endif

#define OPENAPI_MAX (1 << 20)

/* ---- one step after the other ---- */

static int open_store(struct core *c, struct err *e)
{
	const struct config *cfg = &c->link->cfg;
	struct store_options o = {
		.dir = cfg->server.data_dir,
		.cache_bytes = (int64_t)cfg->server.cache_size,
	};

	if (store_open(&o, &c->store, e) != 0)
		return -1;
	store_set_hash(c->store, &tracker_hash);
	return 0;
}

/* What keys answers unknown identities from: made once, and then the same for ever. */
static int ensure_psk_secret(struct core *c, struct err *e)
{
	uint8_t secret[32];
	size_t n;
	int rc = store_meta_get_blob(c->store, "psk_secret", secret, sizeof(secret), &n, e);

	if (rc == 0) {
		random_bytes(secret, sizeof(secret));
		rc = store_batch_begin(c->store, e);
		if (rc == 0)
			rc = store_meta_put_blob(c->store, "psk_secret",
						 slice_of(secret, sizeof(secret)), e);
		if (rc == 0)
			rc = store_batch_commit(c->store, e);
		if (rc != 0)
			store_batch_abandon(c->store);
	}
	explicit_bzero(secret, sizeof(secret));
	return rc < 0 ? -1 : 0;
}

static int start_clock(struct core *c, struct err *e)
{
	struct core_clock_reading r = {
		.wall = clock_wall_ms(),
		.mono = clock_mono_ms(),
		.synchronised = sysint_clock_synchronised(),
	};
	int64_t track = 1, wall = 0;

	if (store_meta_get_int(c->store, "track", &track, e) < 0 ||
	    store_meta_get_int(c->store, "track_wall", &wall, e) < 0)
		return -1;
	c->link->clock_synchronised = r.synchronised; /* until the parent's first word */
	core_clock_start(&c->clock, track, wall, &r);
	if (!c->clock.trusted)
		log_warn("the wall clock is below the last committed time: windows, deadlines "
			 "and expiry wait");
	core_time(c);
	return 0;
}

static char *read_openapi(void)
{
	struct stat st;
	char *text = NULL;
	int fd = open(FETTLE_PKGDATADIR "/schema/openapi.yaml", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL; /* the route says there is none */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
	    st.st_size < OPENAPI_MAX)
		text = calloc(1, (size_t)st.st_size + 1);
	if (text && read(fd, text, (size_t)st.st_size) != st.st_size) {
		free(text);
		text = NULL;
	}
	close(fd);
	return text;
}

static int start_service(struct core *c, struct err *e)
{
	const struct config *cfg = &c->link->cfg;
	struct service_options o = {
		.store = c->store,
		.own_uid = getuid(),
		.quota_staged = cfg->limits.upload_quota,
		.image_max = cfg->limits.image_max,
		.sessions_max = (unsigned)cfg->limits.sessions,
		.version = PACKAGE_VERSION,
	};

	c->openapi = read_openapi();
	o.openapi = c->openapi;
	if (service_new(&o, &c->service, e) != 0 || service_reload_policy(c->service, e) != 0)
		return -1;
	service_set_stats(c->service, &c->stats);
	return 0;
}

static int enter_sandbox(struct core *c, struct err *e)
{
	struct digest warm;
	bool landlocked;

	/* the crypto library reads its configuration at first use: before files are out of reach */
	if (sha256_once(slice_str(""), &warm) != 0)
		return err_set(e, ERR_INTERNAL, "SHA-256 does not work");
	if (sysint_sandbox_files(c->link->cfg.server.data_dir, true, &landlocked, e) != 0)
		return -1;
	if (!landlocked)
		log_info("this kernel has no Landlock: files are guarded by user and unit alone");
	return 0;
}

int core_start(struct core *c, struct err *e)
{
	if (open_store(c, e) != 0 || ensure_psk_secret(c, e) != 0 || start_clock(c, e) != 0 ||
	    start_service(c, e) != 0)
		return -1;
	return enter_sandbox(c, e);
}
