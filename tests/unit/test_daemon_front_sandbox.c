/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "daemon/front_loop.h"
#include "daemon/sysint.h"

/*
 * The front itself, from front_main() on, and code in it that its authors did not
 * mean to run: a signal handler stands for what a parser's fault would let in. Each
 * try is made inside the serving process, behind the filter it put up itself.
 */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum verdict { WORKED = 'w', REFUSED = 'r' };

static char dir[] = "/tmp/fettle-captured-XXXXXX";
static char file[64], database[64], control_path[64];
static int parent_fd, core_fd, keys_fd, verdict_fd;
static pid_t front, core; /* the core is the test itself: it has no filter */
static int handed_over; /* an unbound socket from before the filter */

static bool refused(long rc)
{
	return rc == -1 && (errno == EPERM || errno == EACCES);
}

/* ---- what is tried; true: it was refused ---- */

static bool open_a_file(void)
{
	return refused(open(file, O_RDONLY)) && refused(open("/etc/passwd", O_RDONLY)) &&
	       refused(openat(AT_FDCWD, file, O_RDWR)) && refused(open("/proc/self/mem", O_RDWR));
}

static bool make_a_file(void)
{
	return refused(openat(AT_FDCWD, "/tmp", O_TMPFILE | O_RDWR, 0600)) &&
	       refused(syscall(SYS_memfd_create, "x", 0)) && refused(mkdir(database, 0700));
}

static bool read_the_database(void)
{
	return refused(open(database, O_RDONLY)) && refused(open(database, O_RDWR)) &&
	       refused(rename(database, file)) && refused(unlink(database));
}

static bool look_at_a_file(void)
{
	struct stat st;

	/* AT_EMPTY_PATH allows an empty path, it does not ask for one */
	return refused(stat(file, &st)) && refused(access(file, F_OK)) &&
	       refused(syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", &st, AT_EMPTY_PATH)) &&
	       refused(syscall(SYS_newfstatat, 0, database, &st, AT_EMPTY_PATH)) &&
	       refused(syscall(SYS_statx, AT_FDCWD, file, AT_EMPTY_PATH, 0, &st));
}

static bool exec_a_program(void)
{
	char *argv[] = { NULL };

	return refused(execve("/bin/true", argv, argv));
}

static bool start_a_process(void)
{
	return refused(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static bool trace_the_core(void)
{
	return refused(ptrace(PTRACE_ATTACH, core, NULL, NULL));
}

static bool be_traced(void)
{
	return refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static bool read_the_core(void)
{
	static char byte;
	struct iovec here = { &byte, 1 }, there = { &byte, 1 };

	return refused(process_vm_readv(core, &here, 1, &there, 1, 0));
}

static bool write_the_core(void)
{
	static char byte;
	struct iovec here = { &byte, 1 }, there = { &byte, 1 };

	return refused(process_vm_writev(core, &here, 1, &there, 1, 0));
}

static bool kill_the_core(void)
{
	return refused(kill(core, SIGKILL)) && refused(syscall(SYS_tgkill, core, core, SIGKILL)) &&
	       refused(syscall(SYS_tkill, core, SIGKILL)) &&
	       refused(syscall(SYS_pidfd_open, core, 0));
}

static bool listen_anew(void)
{
	return refused(socket(AF_INET, SOCK_STREAM, 0)) &&
	       refused(socket(AF_INET6, SOCK_DGRAM, 0)) && refused(socket(AF_UNIX, SOCK_STREAM, 0));
}

static bool listen_on_a_socket_it_has(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };

	return refused(bind(handed_over, (struct sockaddr *)&a, sizeof(a))) &&
	       refused(listen(handed_over, 5));
}

static bool connect_somewhere(void)
{
	struct sockaddr_un u = { .sun_family = AF_UNIX };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(9) };

	memcpy(u.sun_path, control_path, sizeof(control_path));
	return refused(connect(handed_over, (struct sockaddr *)&a, sizeof(a))) &&
	       refused(connect(handed_over, (struct sockaddr *)&u, sizeof(u)));
}

static bool make_code(void)
{
	return refused((long)mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static bool become_another(void)
{
	return refused(setuid(0)) && refused(syscall(SYS_setresuid, 1, 1, 1)) &&
	       refused(syscall(SYS_capset, NULL, NULL));
}

static const struct {
	const char *what;
	bool (*try)(void);
	bool widened; /* what sanitizers and coverage need: not tried in such a build */
} tries[] = {
	{ "open a file", open_a_file, true },
	{ "make a file", make_a_file, true },
	{ "read the database", read_the_database, true },
	{ "look at a file", look_at_a_file, true },
	{ "exec a program", exec_a_program, false },
	{ "start a process", start_a_process, true },
	{ "trace the core", trace_the_core, true },
	{ "be traced", be_traced, true },
	{ "read the core's memory", read_the_core, false },
	{ "write the core's memory", write_the_core, false },
	{ "kill the core", kill_the_core, true },
	{ "listen on a new socket", listen_anew, false },
	{ "listen on a socket it has", listen_on_a_socket_it_has, false },
	{ "connect somewhere", connect_somewhere, false },
	{ "make executable memory", make_code, true },
	{ "become another user", become_another, true },
};

/* ---- the front ---- */

static void captured(int signo, siginfo_t *info, void *ctx)
{
	char verdict = tries[info->si_value.sival_int].try() ? REFUSED : WORKED;

	(void)signo;
	(void)ctx;
	if (write(verdict_fd, &verdict, 1) != 1)
		_exit(9);
}

static _Noreturn void be_the_front(int parent, int to_core, int to_keys, bool control)
{
	static struct child_link link;
	struct sigaction act = { .sa_sigaction = captured, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct err e = { 0 };

	link.fd = parent;
	config_defaults(&link.cfg);
	link.cfg.coap.listen.n = link.cfg.coap.listen_dtls.n = 0;
	link.cfg.http.listen.n = link.cfg.http.listen_tls.n = 0;
	text_copy(link.cfg.control.socket, sizeof(link.cfg.control.socket), control_path);
	link.secrets.certificate_pem = calloc(1, 1);
	link.secrets.key_pem = calloc(1, 1);
	log_init("front", LOG_ERROR_);
	if (sysint_harden(&e) != 0 || sigaction(SIGUSR2, &act, NULL) != 0)
		_exit(8);
	_exit(front_main(&link, to_core, to_keys, control, NULL, 0));
}

static void expect(enum parent_msg_type type)
{
	struct pollfd p = { .fd = parent_fd, .events = POLLIN };
	struct parent_msg m;
	int fd;

	ck_assert_int_eq(poll(&p, 1, 20000), 1);
	ck_assert_int_eq(parent_msg_recv(parent_fd, &m, &fd), 1);
	ck_assert_uint_eq(m.type, type);
}

static void start_front(bool control)
{
	int parent[2], to_core[2], to_keys[2], verdict[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, parent), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, to_core), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, to_keys), 0);
	ck_assert_int_eq(pipe(verdict), 0);
	core = getpid();
	front = fork();
	ck_assert_int_ge(front, 0);
	if (front == 0) {
		verdict_fd = verdict[1];
		be_the_front(parent[1], to_core[1], control ? -1 : to_keys[1], control);
	}
	close(parent[1]);
	close(to_core[1]);
	close(to_keys[1]);
	close(verdict[1]);
	parent_fd = parent[0];
	core_fd = to_core[0];
	keys_fd = to_keys[0];
	verdict_fd = verdict[0];
	expect(PM_READY);
}

static void close_ends(void)
{
	close(parent_fd);
	close(core_fd);
	close(keys_fd);
	close(verdict_fd);
}

static int status_of(const char *key)
{
	char path[64], line[256];
	int value = -1;
	size_t n = strlen(key);

	text_format(path, sizeof(path), "/proc/%d/status", (int)front);
	FILE *f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, key, n) == 0 && line[n] == ':')
			value = (int)strtol(line + n + 1, NULL, 10);
	fclose(f);
	return value;
}

/* 'r' or 'w' from inside; a process that the filter ended refused too. */
static void try_inside(unsigned i)
{
	union sigval v = { .sival_int = (int)i };
	char verdict = WORKED;
	int status;

	ck_assert_int_eq(sigqueue(front, SIGUSR2, v), 0);
	if (read(verdict_fd, &verdict, 1) == 1) {
		ck_assert_msg(verdict == REFUSED, "a captured front could %s", tries[i].what);
		/* and it serves on, or would have to be told apart from one that hangs */
		ck_assert_int_eq(parent_msg_send(parent_fd, PM_PING, 1, 5, -1), 0);
		expect(PM_PONG);
		ck_assert_int_eq(parent_msg_send(parent_fd, PM_STOP, 0, 0, -1), 0);
		ck_assert_int_eq(waitpid(front, &status, 0), front);
		ck_assert_int_eq(status, 0);
	} else {
		ck_assert_int_eq(waitpid(front, &status, 0), front);
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%s: status %#x",
			      tries[i].what, (unsigned)status);
	}
}

static void run_try(int i, bool control)
{
	if (SYSINT_UNHARDENED && tries[i].widened)
		return;
	start_front(control);
	ck_assert_int_eq(status_of("Seccomp"), 2);
	ck_assert_int_eq(status_of("NoNewPrivs"), 1);
	try_inside((unsigned)i);
	close_ends();
}

START_TEST(captured_front_cannot)
{
	run_try(_i, false);
}
END_TEST

START_TEST(captured_control_cannot)
{
	run_try(_i, true);
	(void)unlink(control_path);
}
END_TEST

/* The same tries before the filter do work: refusing is the filter's doing. */
START_TEST(they_work_without_it)
{
	static const char *const harmless[] = { "open a file", "read the core's memory",
						"listen on a new socket", "make a file" };

	core = getpid();
	for (size_t k = 0; k < COUNT(harmless); k++)
		for (size_t i = 0; i < COUNT(tries); i++)
			if (strcmp(tries[i].what, harmless[k]) == 0)
				ck_assert_msg(!tries[i].try(), "%s", harmless[k]);
}
END_TEST

static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "secret", 6), 6);
	close(fd);
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	text_format(file, sizeof(file), "%s/image", dir);
	text_format(database, sizeof(database), "%s/fettle.db", dir);
	text_format(control_path, sizeof(control_path), "%s/control.sock", dir);
	make_file(file);
	make_file(database);
	handed_over = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_ge(handed_over, 0);
}

static void teardown(void)
{
	close(handed_over);
	(void)unlink(control_path);
	ck_assert_int_eq(unlink(file), 0);
	ck_assert_int_eq(unlink(database), 0);
	ck_assert_int_eq(rmdir(dir), 0);
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
}

int main(void)
{
	Suite *s = suite_create("daemon/front_sandbox");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, captured_front_cannot, 0, (int)COUNT(tries));
	tcase_add_loop_test(t, captured_control_cannot, 0, (int)COUNT(tries));
	tcase_add_test(t, they_work_without_it);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
