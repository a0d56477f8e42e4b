/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#define _GNU_SOURCE /* SOCK_CLOEXEC, initgroups */
#include "daemon/sysint.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/slice.h"
#include "base/text.h"

/* ---- systemd ---- */

int sysint_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	/* whoever listens may be busy, or gone deaf: that must not hold the parent up */
	struct timeval patience = { .tv_usec = 200 * 1000 };
	size_t n = path ? strlen(path) : 0;
	ssize_t sent;
	int fd;

	if (n == 0)
		return 0;
	if ((path[0] != '/' && path[0] != '@') || n >= sizeof(to.sun_path))
		return -1;
	memcpy(to.sun_path, path, n);
	if (to.sun_path[0] == '@')
		to.sun_path[0] = '\0'; /* abstract namespace */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	do
		sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	while (sent < 0 && errno == EINTR);
	close(fd);
	return sent < 0 ? -1 : 0;
}

void sysint_notify_reloading(void)
{
	char state[96];

	/* systemd wants to know which reload this is about (sd_notify(3)) */
	if (text_format(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
			clock_mono_us()) == 0)
		(void)sysint_notify(state);
}

static uint64_t env_number(const char *name)
{
	const char *text = getenv(name);
	uint64_t v;

	return text && text_u64(slice_str(text), &v) == 0 ? v : 0;
}

uint64_t sysint_watchdog_us(void)
{
	if (getenv("WATCHDOG_PID") && env_number("WATCHDOG_PID") != (uint64_t)getpid())
		return 0;
	return env_number("WATCHDOG_USEC");
}

bool sysint_clock_synchronised(void)
{
	return clock_is_synchronised() || access("/run/systemd/timesync/synchronized", F_OK) == 0;
}

unsigned sysint_listen_fds(int *fds, unsigned limit)
{
	enum { FIRST = 3 }; /* SD_LISTEN_FDS_START */
	uint64_t n = env_number("LISTEN_FDS");
	unsigned taken = 0;

	if (env_number("LISTEN_PID") != (uint64_t)getpid())
		n = 0;
	for (int i = 0; i < (int)(n < 1024 ? n : 1024); i++) {
		/* out of the way of the numbers that children use */
		int fd = taken < limit ? fcntl(FIRST + i, F_DUPFD_CLOEXEC, 64) : -1;
		if (fd >= 0)
			fds[taken++] = fd;
		close(FIRST + i);
	}
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
	return taken;
}

/* ---- rights ---- */

int sysint_give_to(const char *path, const char *user, struct err *e)
{
	const struct passwd *pw;

	if (geteuid() != 0)
		return 0;
	pw = getpwnam(user);
	if (!pw)
		return err_set(e, ERR_NOT_FOUND, "user %s: there is none", user);
	if (chown(path, pw->pw_uid, pw->pw_gid) != 0)
		return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
	return 0;
}

int sysint_drop_to(const char *user, struct err *e)
{
	const struct passwd *pw;

	if (geteuid() != 0)
		return 0;
	errno = 0;
	pw = getpwnam(user);
	if (!pw)
		return err_set(e, ERR_NOT_FOUND, "user %s: %s", user,
			       errno ? strerror(errno) : "there is none");
	if (pw->pw_uid == 0)
		return err_set(e, ERR_FORBIDDEN,
			       "user %s is root: name another one under [server] user", user);
	if (initgroups(user, pw->pw_gid) != 0 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) != 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) != 0)
		return err_set(e, ERR_FORBIDDEN, "becoming user %s: %s", user, strerror(errno));
	if (setuid(0) == 0)
		return err_set(e, ERR_INTERNAL, "becoming user %s: root's rights came back", user);
	return 0;
}

int sysint_harden(struct err *e)
{
	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return err_set(e, ERR_INTERNAL, "no_new_privs: %s", strerror(errno));
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return err_set(e, ERR_INTERNAL, "dumpable: %s", strerror(errno));
	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return err_set(e, ERR_INTERNAL, "core file limit: %s", strerror(errno));
	return 0;
}

int sysint_follow_parent(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		return -1;
	/* it may have died before the call above */
	return getppid() == parent ? 0 : -1;
}

void sysint_raise_nofile(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r); /* the old limit works too */
	}
}
