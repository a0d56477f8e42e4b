/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "daemon/sysint.h"

/*
 * What a captured front could try, each in a process of its own under the very filter the
 * front runs with. A try fails when the call is refused (exit 0) or ends the process (SIGSYS).
 */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char dir[] = "/tmp/fettle-sandbox-XXXXXX";
static char file[64], database[64];
static int listener; /* a socket from before the filter */

static bool refused(long rc)
{
	return rc == -1 && errno == EPERM;
}

/* True: it was refused. */
static bool try_open(void)
{
	return refused(open(file, O_RDONLY));
}

static bool try_openat(void)
{
	return refused(openat(AT_FDCWD, file, O_RDWR | O_CREAT, 0600));
}

static bool try_database(void)
{
	return refused(open(database, O_RDONLY)) && refused(open(database, O_RDWR));
}

static bool try_unlink(void)
{
	return refused(unlink(file)) && refused(rename(file, database)) &&
	       refused(mkdir(database, 0700));
}

static bool try_exec(void)
{
	char *argv[] = { NULL };

	return refused(execve("/bin/true", argv, argv));
}

static bool try_execveat(void)
{
	char *argv[] = { NULL };

	return refused(execveat(AT_FDCWD, "/bin/true", argv, argv, 0));
}

static bool try_fork(void)
{
	return refused(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static bool try_ptrace(void)
{
	return refused(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static bool try_read_memory(void)
{
	char byte;
	struct iovec own = { &byte, 1 }, theirs = { &byte, 1 };

	return refused(process_vm_readv(getppid(), &own, 1, &theirs, 1, 0));
}

static bool try_kill(void)
{
	return refused(kill(getppid(), 0));
}

static bool try_tgkill(void)
{
	return refused(syscall(SYS_tgkill, getppid(), getppid(), 0));
}

static bool try_socket(void)
{
	return refused(socket(AF_INET, SOCK_STREAM, 0)) &&
	       refused(socket(AF_UNIX, SOCK_STREAM, 0)) &&
	       refused(socket(AF_NETLINK, SOCK_RAW, 0)) && refused(socket(AF_INET6, SOCK_DGRAM, 0));
}

static bool try_listen(void)
{
	return refused(listen(listener, 5));
}

static bool try_bind(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };

	return refused(bind(listener, (struct sockaddr *)&a, sizeof(a)));
}

static bool try_connect(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(9) };

	return refused(connect(listener, (struct sockaddr *)&a, sizeof(a)));
}

static bool try_setsockopt(void)
{
	int one = 1;

	return refused(setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)));
}

static bool try_executable_memory(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return false;
	return refused(mprotect(p, 4096, PROT_READ | PROT_EXEC)) &&
	       mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		       MAP_FAILED;
}

static bool try_memfd(void)
{
	return refused(syscall(SYS_memfd_create, "x", 0));
}

static bool try_bpf(void)
{
	return refused(syscall(SYS_bpf, 0, NULL, 0));
}

static bool try_io_uring(void)
{
	return refused(syscall(SYS_io_uring_setup, 1, NULL));
}

static bool try_open_by_handle(void)
{
	return refused(syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0));
}

static bool try_stat(void)
{
	struct stat st;

	return refused(stat(file, &st)) && refused(access(file, R_OK));
}

#ifdef __x86_64__
/* The x32 spelling of open(2). */
static bool try_x32(void)
{
	return refused(syscall(0x40000000 + SYS_open, file, O_RDONLY));
}
#endif

static const struct {
	const char *what;
	bool (*try)(void);
	bool widened; /* sanitizers and coverage need it: not tried in such a build */
} tries[] = {
	{ "open", try_open, true },
	{ "openat", try_openat, true },
	{ "the database", try_database, true },
	{ "unlink, rename, mkdir", try_unlink, true },
	{ "exec", try_exec, false },
	{ "execveat", try_execveat, false },
	{ "fork", try_fork, true },
	{ "ptrace", try_ptrace, true },
	{ "process_vm_readv", try_read_memory, false },
	{ "kill", try_kill, true },
	{ "tgkill another process", try_tgkill, true },
	{ "socket", try_socket, false },
	{ "listen", try_listen, false },
	{ "bind", try_bind, false },
	{ "connect", try_connect, false },
	{ "setsockopt of what it needs not", try_setsockopt, true },
	{ "executable memory", try_executable_memory, true },
	{ "memfd", try_memfd, true },
	{ "bpf", try_bpf, false },
	{ "io_uring", try_io_uring, true },
	{ "open_by_handle_at", try_open_by_handle, true },
	{ "stat, access", try_stat, true },
#ifdef __x86_64__
	{ "the x32 door", try_x32, false },
#endif
};

static int under_filter(int (*sandbox)(struct err *e), bool (*try)(void))
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct err e = { 0 };
		if (sandbox(&e) != 0)
			_exit(3);
		_exit(try() ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static bool held(int status)
{
	return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
	       (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

START_TEST(front_cannot)
{
	if (SYSINT_UNHARDENED && tries[_i].widened)
		return;
	int status = under_filter(sysint_sandbox_front, tries[_i].try);
	ck_assert_msg(held(status), "%s: was not refused (status %#x)", tries[_i].what,
		      (unsigned)status);
}
END_TEST

/* Without the filter the same calls do work: the test tests something. */
static int no_sandbox(struct err *e)
{
	(void)e;
	return 0;
}

START_TEST(without_the_filter_they_can)
{
	ck_assert_int_eq(WEXITSTATUS(under_filter(no_sandbox, try_open)), 1);
	ck_assert_int_eq(WEXITSTATUS(under_filter(no_sandbox, try_database)), 1);
	ck_assert_int_eq(WEXITSTATUS(under_filter(no_sandbox, try_socket)), 1);
	ck_assert_int_eq(WEXITSTATUS(under_filter(no_sandbox, try_listen)), 1);
	ck_assert_int_eq(WEXITSTATUS(under_filter(no_sandbox, try_exec)),
			 0); /* it is /bin/true then */
}
END_TEST

/* ---- what it must still be able to do ---- */

static int sockets[2], poller, image;

static bool serve_a_little(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct timespec ts;
	struct stat st;
	char byte = 'x', seed[8];
	int one = 1;

	if (write(sockets[0], &byte, 1) != 1 ||
	    epoll_ctl(poller, EPOLL_CTL_ADD, sockets[1], &ev) != 0 ||
	    epoll_wait(poller, &ev, 1, 1000) != 1 || recv(sockets[1], &byte, 1, 0) != 1)
		return false;
	if (syscall(SYS_fstat, image, &st) != 0 || st.st_size != 5)
		return false;
	void *map = mmap(NULL, 5, PROT_READ, MAP_SHARED, image, 0);
	if (map == MAP_FAILED || memcmp(map, "image", 5) != 0 || munmap(map, 5) != 0)
		return false;
	void *large = malloc(8 << 20);
	if (!large)
		return false;
	memset(large, 1, 8 << 20);
	free(large);
	return clock_gettime(CLOCK_MONOTONIC, &ts) == 0 &&
	       getrandom(seed, sizeof(seed), 0) == sizeof(seed) &&
	       setsockopt(listener, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)) == 0 &&
	       shutdown(sockets[0], SHUT_RDWR) == 0 && close(sockets[0]) == 0;
}

static bool abort_itself(void)
{
	abort();
}

START_TEST(front_can_serve)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	poller = epoll_create1(0);
	image = open(file, O_RDONLY);
	ck_assert_int_ge(poller, 0);
	ck_assert_int_ge(image, 0);
	ck_assert_int_eq(under_filter(sysint_sandbox_front, serve_a_little), 0);
	int status = under_filter(sysint_sandbox_front, abort_itself);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	close(poller);
	close(image);
	close(sockets[0]);
	close(sockets[1]);
}
END_TEST

/* ---- core and keys ---- */

static int sandbox_files(struct err *e)
{
	bool landlocked;

	return sysint_sandbox_files(dir, true, &landlocked, e);
}

static bool read_own_file(void)
{
	int fd = open(file, O_RDWR);

	return fd >= 0 && close(fd) == 0;
}

static bool leave_dir(void)
{
	struct err e = { 0 };
	bool landlocked;

	if (sysint_sandbox_files(dir, false, &landlocked, &e) != 0)
		return false;
	if (!landlocked)
		return true; /* nothing to see on this kernel */
	return open("/etc/passwd", O_RDONLY) == -1 && errno == EACCES &&
	       open(database, O_RDONLY) >= 0 && unlink(file) == -1 && errno == EACCES;
}

static bool read_zones(void)
{
	const char *zone = "/usr/share/zoneinfo/Etc/UTC";

	if (access(zone, R_OK) != 0)
		return errno == ENOENT; /* a system without them */
	int fd = open(zone, O_RDONLY);
	return fd >= 0 && close(fd) == 0;
}

START_TEST(core_has_files_and_no_network)
{
	ck_assert_int_eq(under_filter(sandbox_files, read_zones), 0);
	ck_assert_int_eq(under_filter(sandbox_files, read_own_file), 0);
	ck_assert_int_eq(under_filter(no_sandbox, leave_dir), 0);
	ck_assert(held(under_filter(sandbox_files, try_socket)));
	ck_assert(held(under_filter(sandbox_files, try_listen)));
	ck_assert(held(under_filter(sandbox_files, try_connect)));
	ck_assert(held(under_filter(sandbox_files, try_exec)));
	ck_assert(held(under_filter(sandbox_files, try_read_memory)));
	if (!SYSINT_UNHARDENED)
		ck_assert(held(under_filter(sandbox_files, try_ptrace)));
}
END_TEST

static void make_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	text_format(file, sizeof(file), "%s/image", dir);
	text_format(database, sizeof(database), "%s/fettle.db", dir);
	make_file(file, "image");
	make_file(database, "SQLite");
	listener = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_ge(listener, 0);
}

static void teardown(void)
{
	close(listener);
	ck_assert_int_eq(unlink(file), 0);
	ck_assert_int_eq(unlink(database), 0);
	ck_assert_int_eq(rmdir(dir), 0);
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
}

int main(void)
{
	Suite *s = suite_create("daemon/sandbox");
	TCase *t = tcase_create("all");

	tcase_add_unchecked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, front_cannot, 0, (int)COUNT(tries));
	tcase_add_test(t, without_the_filter_they_can);
	tcase_add_test(t, front_can_serve);
	tcase_add_test(t, core_has_files_and_no_network);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
