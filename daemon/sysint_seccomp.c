/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/sysint.h"

/*
 * Filters as BPF, written down as tables. A rule names a system call, what
 * becomes of it, and perhaps a condition on one or two of its arguments (their
 * lower 32 bits; all of these are ints to the kernel). A call with several rules is let
 * through by any of them; what no rule names meets the filter's default.
 */
#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define OUR_ARCH AUDIT_ARCH_RISCV64
#else
#error "the sandbox does not know this processor: add its AUDIT_ARCH"
#endif

enum condition { ALWAYS, EQUALS, WITHOUT, IS_SELF };

struct test {
	enum condition condition; /* EQUALS value; WITHOUT any of value's bits; IS_SELF our pid */
	uint8_t arg;
	uint32_t value;
};

struct rule {
	int nr;
	uint32_t action;
	struct test test[2];
};

#define YES SECCOMP_RET_ALLOW
#define NO (SECCOMP_RET_ERRNO | EPERM)
#define KILL SECCOMP_RET_KILL_PROCESS

#define CALL(name)                              \
	{                                       \
		.nr = SYS_##name, .action = YES \
	}
#define CALL_IF(name, ...)                                               \
	{                                                                \
		.nr = SYS_##name, .action = YES, .test = { __VA_ARGS__ } \
	}
#define DEADLY(name)                             \
	{                                        \
		.nr = SYS_##name, .action = KILL \
	}
#define REFUSED(name)                          \
	{                                      \
		.nr = SYS_##name, .action = NO \
	}
#define OPTION(level, name) CALL_IF(setsockopt, { EQUALS, 1, (level) }, { EQUALS, 2, (name) })

/* What nobody calls by accident: the process is somebody else's by then. */
#define HOSTILE                                                                                \
	DEADLY(execve), DEADLY(execveat), DEADLY(process_vm_readv), DEADLY(process_vm_writev), \
		DEADLY(init_module), DEADLY(finit_module), DEADLY(kexec_load), DEADLY(bpf),    \
		DEADLY(mount), DEADLY(pivot_root), DEADLY(unshare), DEADLY(setns)

static const struct rule front_rules[] = {
	/* descriptors it has */
	CALL(read),
	CALL(readv),
	CALL(pread64),
	CALL(write),
	CALL(writev),
	CALL(close),
	CALL(lseek),
	CALL(fstat),
	CALL_IF(fcntl, { EQUALS, 1, F_GETFL }),
	CALL_IF(fcntl, { EQUALS, 1, F_SETFL }),
	CALL_IF(fcntl, { EQUALS, 1, F_GETFD }),
	CALL_IF(fcntl, { EQUALS, 1, F_SETFD }),
	CALL_IF(fcntl, { EQUALS, 1, F_DUPFD_CLOEXEC }),
	CALL_IF(fcntl, { EQUALS, 1, F_GET_SEALS }),
	CALL_IF(ioctl, { EQUALS, 1, FIONREAD }),
	CALL_IF(ioctl, { EQUALS, 1, FIONBIO }),
	/* sockets it has: no new one, no bind, no listen, no connect */
	CALL(recvfrom),
	CALL(recvmsg),
	CALL(recvmmsg),
	CALL(sendto),
	CALL(sendmsg),
	CALL(sendmmsg),
	CALL(accept4),
	CALL(shutdown),
	CALL(getsockname),
	CALL(getpeername),
	CALL(getsockopt),
	OPTION(SOL_SOCKET, SO_LINGER),
	OPTION(SOL_SOCKET, SO_KEEPALIVE),
	OPTION(SOL_SOCKET, SO_RCVTIMEO),
	OPTION(SOL_SOCKET, SO_SNDTIMEO),
	OPTION(SOL_SOCKET, SO_RCVBUF),
	OPTION(SOL_SOCKET, SO_SNDBUF),
	OPTION(IPPROTO_TCP, TCP_NODELAY),
	OPTION(IPPROTO_TCP, TCP_CORK),
	OPTION(IPPROTO_TCP, TCP_QUICKACK),
	OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT),
#ifdef SYS_accept
	CALL(accept),
#endif
	/* waiting */
	CALL(epoll_ctl),
	CALL(epoll_pwait),
	CALL(epoll_pwait2),
	CALL(ppoll),
	CALL(pselect6),
#ifdef SYS_epoll_wait
	CALL(epoll_wait),
#endif
#ifdef SYS_poll
	CALL(poll),
	CALL(select),
#endif
	CALL(timerfd_settime),
	CALL(timerfd_gettime),
	CALL(nanosleep),
	CALL(clock_nanosleep),
	CALL(futex),
	CALL(restart_syscall),
	CALL(sched_yield),
	/* memory, never executable */
	CALL(brk),
	CALL(munmap),
	CALL(mremap),
	CALL(madvise),
	CALL_IF(mmap, { WITHOUT, 2, PROT_EXEC }),
	CALL_IF(mprotect, { WITHOUT, 2, PROT_EXEC }),
	/* time, chance, itself */
	CALL(clock_gettime),
	CALL(clock_getres),
	CALL(gettimeofday),
	CALL(getrandom),
#ifdef SYS_time
	CALL(time),
#endif
	CALL(getpid),
	CALL(gettid),
	CALL(getppid),
	CALL(getuid),
	CALL(geteuid),
	CALL(getgid),
	CALL(getegid),
	CALL(getrusage),
	CALL(sysinfo),
	CALL(uname),
	CALL(getcpu),
	CALL(sched_getaffinity),
	CALL(membarrier),
	CALL(rt_sigaction),
	CALL(rt_sigprocmask),
	CALL(rt_sigreturn),
	CALL(sigaltstack),
	CALL_IF(tgkill, { IS_SELF, 0, 0 }), /* abort(3) */
	CALL(exit),
	CALL(exit_group),
	HOSTILE,
	DEADLY(ptrace),
};

#ifdef FETTLE_UNHARDENED
/*
 * What sanitizers, coverage and valgrind do beside the program: write files,
 * look at themselves, fork a tracer. Sockets and exec stay closed.
 */
static const struct rule instrument_rules[] = {
	REFUSED(socket), REFUSED(socketpair), REFUSED(bind),
	REFUSED(listen), REFUSED(connect),    HOSTILE,
};
#endif

/* core and keys: files are their trade, the network is not. */
static const struct rule files_rules[] = {
	REFUSED(socket),
	REFUSED(socketpair),
	REFUSED(bind),
	REFUSED(listen),
	REFUSED(connect),
	REFUSED(accept4),
	REFUSED(kill),
	REFUSED(tkill),
	REFUSED(add_key),
	REFUSED(keyctl),
	REFUSED(request_key),
	REFUSED(perf_event_open),
	REFUSED(userfaultfd),
	REFUSED(io_uring_setup),
	REFUSED(setuid),
	REFUSED(setresuid),
	REFUSED(setgid),
	REFUSED(setresgid),
	REFUSED(chroot),
#ifdef SYS_accept
	REFUSED(accept),
#endif
#ifndef FETTLE_UNHARDENED
	DEADLY(ptrace),
#endif
	HOSTILE,
};

/* ---- from rules to BPF ---- */

#define PROGRAM_MAX 1024

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short n;
	bool full;
};

static void emit(struct program *p, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (p->n == PROGRAM_MAX) {
		p->full = true;
		return;
	}
	p->code[p->n++] = (struct sock_filter){ .code = code, .jt = jt, .jf = jf, .k = k };
}

static void load(struct program *p, size_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

static uint32_t arg_offset(unsigned arg)
{
	/* the lower half of a 64-bit argument on a little-endian machine */
	_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
		       "argument tests assume little endian");
	return (uint32_t)(offsetof(struct seccomp_data, args) + arg * sizeof(uint64_t));
}

static unsigned test_size(const struct test *t)
{
	return t->condition == ALWAYS ? 0 : 2;
}

/* Fall through when it holds, jump over `rest` instructions after it when not. */
static void emit_test(struct program *p, const struct test *t, unsigned rest)
{
	if (t->condition == ALWAYS)
		return;
	load(p, arg_offset(t->arg));
	if (t->condition == WITHOUT)
		emit(p, BPF_JMP | BPF_JSET | BPF_K, (uint8_t)rest, 0, t->value);
	else
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)rest,
		     t->condition == IS_SELF ? (uint32_t)getpid() : t->value);
}

static void emit_rule(struct program *p, const struct rule *r)
{
	unsigned second = test_size(&r->test[1]), both = test_size(&r->test[0]) + second;

	load(p, offsetof(struct seccomp_data, nr));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)(both + 1), (uint32_t)r->nr);
	emit_test(p, &r->test[0], second + 1);
	emit_test(p, &r->test[1], 1);
	emit(p, BPF_RET | BPF_K, 0, 0, r->action);
}

static void emit_head(struct program *p)
{
	load(p, offsetof(struct seccomp_data, arch));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, OUR_ARCH);
	emit(p, BPF_RET | BPF_K, 0, 0, KILL);
#ifdef __x86_64__
	/* the x32 numbers are a second door to the same calls */
	load(p, offsetof(struct seccomp_data, nr));
	emit(p, BPF_JMP | BPF_JGE | BPF_K, 0, 1, 0x40000000u);
	emit(p, BPF_RET | BPF_K, 0, 0, KILL);
#endif
}

static int install(const struct rule *rules, size_t n, uint32_t otherwise, struct err *e)
{
	struct program p = { .n = 0 };
	struct sock_fprog prog = { .filter = p.code };

	emit_head(&p);
	for (size_t i = 0; i < n; i++)
		emit_rule(&p, &rules[i]);
	emit(&p, BPF_RET | BPF_K, 0, 0, otherwise);
	if (p.full)
		return err_set(e, ERR_INTERNAL, "sandbox: filter is longer than %d", PROGRAM_MAX);
	prog.len = p.n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) != 0)
		return err_set(e, ERR_INTERNAL, "sandbox: the kernel refuses the filter: %s",
			       strerror(errno));
	return 0;
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int sysint_sandbox_front(struct err *e)
{
#ifdef FETTLE_UNHARDENED
	(void)front_rules;
	return install(instrument_rules, COUNT(instrument_rules), YES, e);
#else
	return install(front_rules, COUNT(front_rules), NO, e);
#endif
}

int sysint_filter_files(struct err *e)
{
	return install(files_rules, COUNT(files_rules), YES, e);
}
