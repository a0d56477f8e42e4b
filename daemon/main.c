/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#define _GNU_SOURCE /* O_PATH */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "daemon/config.h"
#include "daemon/supervise.h"
#include "daemon/sysint.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "0.1.0"
#endif
#ifndef FETTLE_CONFDIR
#define FETTLE_CONFDIR "/etc/fettle"
#endif

#define LOCK_WAIT_MS 3000 /* children of a killed parent need a moment to go */

struct options {
	const char *config_path;
	bool check, print, version, help;
	const char *process;
	unsigned n_listeners;
};

static const char usage[] =
	"Usage: fettled [-c FILE] [-f] [-n | -T | -V]\n"
	"  -c, --config FILE  read FILE instead of " FETTLE_CONFDIR "/fettled.conf\n"
	"  -f, --foreground   stay in the foreground (there is no other way)\n"
	"  -n, --check        check the configuration and exit\n"
	"  -T, --print        print the configuration in force and exit\n"
	"  -V, --version      print the version and exit\n"
	"Example: fettled -n -c fettled.conf && fettled -c fettled.conf\n";

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "check", no_argument, NULL, 'n' },
		{ "print", no_argument, NULL, 'T' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ "process", required_argument, NULL, 1 },
		{ "listeners", required_argument, NULL, 2 },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t n;
	int c;

	while ((c = getopt_long(argc, argv, "c:fnTVh", longs, NULL)) != -1) {
		if (c == 'c')
			o->config_path = optarg;
		else if (c == 'n')
			o->check = true;
		else if (c == 'T')
			o->print = true;
		else if (c == 'V')
			o->version = true;
		else if (c == 'h')
			o->help = true;
		else if (c == 1)
			o->process = optarg;
		else if (c == 2 && text_u64(slice_str(optarg), &n) == 0 && n <= LISTEN_FDS_MAX)
			o->n_listeners = (unsigned)n;
		else if (c != 'f')
			return -1;
	}
	return optind == argc ? 0 : -1;
}

static int print_version(void)
{
	printf("fettled %s%s\n", PACKAGE_VERSION,
	       SYSINT_UNHARDENED
		       ? " (unhardened: built to find faults, sandbox widened, not for service)"
		       : "");
	return EX_OK;
}

static int print_config(const struct config *cfg)
{
	struct buf b = BUF_INIT(CONFIG_SIZE_MAX);
	bool ok;

	config_write(cfg, &b);
	ok = !b.failed && fwrite(b.p, 1, b.n, stdout) == b.n && fflush(stdout) == 0;
	buf_free(&b);
	return ok ? EX_OK : EX_IOERR;
}

/* One level is made, for the first start by hand; a package or systemd makes the real ones. */
static int make_dir(const char *dir, mode_t mode, struct err *e)
{
	if (mkdir(dir, mode) == 0 || errno == EEXIST)
		return 0;
	return err_set(e, ERR_IO, "%s: %s", dir, strerror(errno));
}

static int own_dir(const char *dir, mode_t mode, const char *user, struct err *e)
{
	bool was_there = access(dir, F_OK) == 0;

	if (make_dir(dir, mode, e) != 0)
		return -1;
	return was_there ? 0 : sysint_give_to(dir, user, e);
}

static int prepare_dirs(const struct config *cfg, struct err *e)
{
	char dir[CONFIG_TEXT];
	char *slash;

	if (own_dir(cfg->server.data_dir, 0700, cfg->server.user, e) != 0)
		return -1;
	(void)text_copy(dir, sizeof(dir), cfg->control.socket);
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return 0;
	*slash = '\0';
	return own_dir(dir, 0755, cfg->server.user, e);
}

/*
 * flock() belongs to the open file, which every child inherits: no second
 * daemon starts beside one living child.
 */
static int take_lock(const char *data_dir, struct err *e)
{
	char path[CONFIG_TEXT + 8];
	int64_t until = clock_mono_ms() + LOCK_WAIT_MS;
	int fd;

	if (text_format(path, sizeof(path), "%s/lock", data_dir) != 0)
		return err_set(e, ERR_TOO_LARGE, "data_dir is too long");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK || clock_mono_ms() >= until) {
			err_set(e, ERR_CONFLICT, "%s: %s", path,
				errno == EWOULDBLOCK ? "another fettled has it" : strerror(errno));
			close(fd);
			return -1;
		}
		(void)usleep(20000);
	}
	return fd;
}

static int fail(int status, const struct err *e)
{
	log_error("%s", e->text);
	return status;
}

/* Directories, user, lock: what needs rights or may be refused. 0, or the exit status. */
static int prepare(const struct config *cfg, struct supervise_options *so)
{
	struct err e = { 0 };

	if (prepare_dirs(cfg, &e) != 0)
		return fail(EX_CANTCREAT, &e);
	if (sysint_drop_to(cfg->server.user, &e) != 0)
		return fail(e.code == ERR_NOT_FOUND ? EX_NOUSER : EX_NOPERM, &e);
	so->lock_fd = take_lock(cfg->server.data_dir, &e);
	if (so->lock_fd < 0)
		return fail(e.code == ERR_CONFLICT ? EX_TEMPFAIL : EX_CANTCREAT, &e);
	return sysint_harden(&e) == 0 ? EX_OK : fail(EX_OSERR, &e);
}

static int serve(const struct options *o, struct config *cfg)
{
	struct supervise_options so = { .config_path = o->config_path };
	struct secrets secrets = { 0 };
	struct err e = { 0 };
	int status;

	so.n_listen_fds = sysint_listen_fds(so.listen_fds, LISTEN_FDS_MAX);
	so.exe_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	if (so.exe_fd < 0) {
		log_error("/proc/self/exe: %s", strerror(errno));
		return EX_OSERR;
	}
	config_settle(cfg);
	sysint_raise_nofile();
	/* keys of root's, perhaps: read before the rights go, wiped whatever happens */
	if (secrets_load(cfg, &secrets, &e) != 0 || secrets_check(cfg, &secrets, &e) != 0)
		status = fail(EX_CONFIG, &e);
	else
		status = prepare(cfg, &so);
	if (status != EX_OK) {
		secrets_wipe(&secrets);
		return status;
	}
	log_notice("fettled %s%s starts, data in %s", PACKAGE_VERSION,
		   SYSINT_UNHARDENED ? " (unhardened)" : "", cfg->server.data_dir);
	return supervise_run(&so, cfg, &secrets);
}

int main(int argc, char **argv)
{
	static struct config cfg;
	struct options o = { .config_path = FETTLE_CONFDIR "/fettled.conf" };
	struct err e = { 0 };
	enum process p;

	if (parse_options(argc, argv, &o) != 0 ||
	    (o.process && process_parse(o.process, &p) != 0)) {
		(void)fputs(usage, stderr);
		return EX_USAGE;
	}
	if (o.process)
		return child_run(p, o.n_listeners);
	if (o.help)
		return fputs(usage, stdout) < 0 ? EX_IOERR : EX_OK;
	if (o.version)
		return print_version();
	(void)umask(077);
	log_init("fettled", LOG_INFO_);
	if (config_load(o.config_path, &cfg, &e) != 0)
		return fail(EX_CONFIG, &e);
	log_set_level(cfg.server.log_level);
	if (o.print)
		return print_config(&cfg);
	if (o.check)
		return puts("configuration OK") < 0 ? EX_IOERR : EX_OK;
	return serve(&o, &cfg);
}
