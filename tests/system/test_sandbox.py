# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""The walls around the processes of a running service, seen from outside.

What code inside a front is refused is tested from inside, in tests/unit/test_daemon_sandbox.c
and test_daemon_front_sandbox.c; forged frames in tests/unit/test_daemon_core.c.
"""
import ctypes
import errno
import os
import pwd
import signal
import socket
import stat
import subprocess
import unittest

import coap
import harness
import load

UNHARDENED = "unhardened" in subprocess.run([harness.FETTLED, "-V"], capture_output=True, text=True).stdout
ROLES = ("parent", "core", "checkpointer", "keys", "control", "front")
PTRACE_ATTACH = 16


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("n", ctypes.c_size_t)]


def as_the_service(attempt):
    """What attempt() returns in a process of the service's own user: an errno, 0 when it worked."""
    pid = os.fork()
    if pid == 0:
        code = 255
        try:
            if os.getuid() == 0:
                user = pwd.getpwnam(harness.SERVICE_USER)
                os.setgroups([])
                os.setgid(user.pw_gid)
                os.setuid(user.pw_uid)
            code = attempt()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def read_file(path):
    def attempt():
        try:
            with open(path, "rb") as f:
                f.read(1)
            return 0
        except OSError as e:
            return e.errno
    return attempt


class Sandbox(harness.Case):
    def setUp(self):
        super().setUp()
        image = self.random.randbytes(50000)
        self.release(image, 1, publish=True)
        with coap.Client(self.daemon.coap_port) as client:
            self.assertEqual(client.fetch("/image/" + harness.sha256(image)), image)
        self.pids = {role: pids[0] for role, pids in self.daemon.pids().items()}
        self.assertEqual(set(self.pids), set(ROLES))

    def status(self, role):
        with open("/proc/%d/status" % self.pids[role]) as f:
            return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)

    def descriptors(self, role):
        """{number: (what it is, whether it can be written)}"""
        base, out = "/proc/%d/" % self.pids[role], {}
        for fd in os.listdir(base + "fd"):
            with open(base + "fdinfo/" + fd) as f:
                flags = int(dict(line.split(":\t", 1) for line in f if ":\t" in line)["flags"], 8)
            out[int(fd)] = os.readlink(base + "fd/" + fd), flags & os.O_ACCMODE != os.O_RDONLY
        return out

    def test_rights(self):
        for role in ROLES:
            with self.subTest(process=role):
                s = self.status(role)
                self.assertEqual(s["NoNewPrivs"], "1")
                for kind in ("CapEff", "CapPrm", "CapInh"):
                    self.assertEqual(int(s[kind], 16), 0, kind)
                self.assertNotIn("0", s["Uid"].split())
                if role != "parent":
                    self.assertEqual(s["Seccomp"], "2")

    def test_what_they_hold(self):
        """No front has a database, a directory or anything of data_dir that can be written."""
        if os.getuid() != 0:
            self.skipTest("the service's descriptors are hidden from its own user")
        for role in ("front", "control"):
            for fd, (what, writable) in self.descriptors(role).items():
                with self.subTest(process=role, fd=fd, what=what):
                    self.assertNotIn("fettle.db", what)
                    self.assertNotIn("images.db", what)
                    if what.startswith(self.daemon.data):
                        self.assertIn(os.path.basename(what).split(" ")[0], ("lock",) + tuple(
                            os.listdir(os.path.join(self.daemon.data, "cache"))))
                        if "lock" not in what:
                            self.assertFalse(writable)
        self.assertTrue(any(what.startswith(self.daemon.data + "/fettle.db")
                            for what, _ in self.descriptors("core").values()))
        for fd, (what, writable) in self.descriptors("keys").items():
            # SQLite opens the log and its shared memory for writing whoever reads
            if what.endswith(".db"):
                self.assertFalse(writable, what)

    def sockets(self, role, tables=("tcp", "tcp6", "udp", "udp6")):
        """Inet sockets: inode -> table."""
        known = {}
        for table in tables:
            with open("/proc/net/" + table) as f:
                for line in f.readlines()[1:]:
                    known[line.split()[9]] = table
        own = [what[8:-1] for what, _ in self.descriptors(role).values() if what.startswith("socket:[")]
        return [known[inode] for inode in own if inode in known]

    def test_who_has_the_network(self):
        if os.getuid() != 0:
            self.skipTest("the service's descriptors are hidden from its own user")
        for role in ("parent", "core", "checkpointer", "keys", "control"):
            self.assertEqual(self.sockets(role), [], role)
        self.assertEqual(sorted(set(self.sockets("front"))), ["tcp", "udp"])

    def test_among_themselves(self):
        """One user for all: what keeps one from another is that none can be looked into."""
        libc = ctypes.CDLL(None, use_errno=True)
        for role in ROLES:
            pid = self.pids[role]

            def trace(pid=pid):
                libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
                if libc.ptrace(PTRACE_ATTACH, pid, None, None) == 0:
                    return 0
                return ctypes.get_errno()

            def read_memory(pid=pid):
                buffer = ctypes.create_string_buffer(8)
                here = Vector(ctypes.addressof(buffer), 8)
                there = Vector(0x400000, 8)
                libc.process_vm_readv.restype = ctypes.c_ssize_t
                if libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) >= 0:
                    return 0
                return ctypes.get_errno()
            with self.subTest(process=role):
                self.assertEqual(as_the_service(trace), errno.EPERM)
                self.assertEqual(as_the_service(read_memory), errno.EPERM)
                for name in ("mem", "environ", "maps", "auxv"):
                    self.assertIn(as_the_service(read_file("/proc/%d/%s" % (pid, name))),
                                  (errno.EACCES, errno.EPERM), name)

    def test_files_of_others_eyes(self):
        for base, folders, files in os.walk(self.daemon.data):
            for name in folders + files:
                mode = os.lstat(os.path.join(base, name)).st_mode
                self.assertEqual(stat.S_IMODE(mode) & 0o077, 0, "%s %o" % (os.path.join(base, name), mode))
        self.assertEqual(stat.S_IMODE(os.stat(self.daemon.data).st_mode) & 0o077, 0)

    @unittest.skipIf(UNHARDENED, "this build widens its sandbox, and says so")
    def test_version_says_nothing_of_widening(self):
        text = subprocess.run([harness.FETTLED, "-V"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(len(text.split()), 2, text)

    def test_children_are_nobody_elses_business(self):
        """--process by hand is refused: without a parent there is nothing to serve."""
        for role in ("core", "checkpointer", "front", "control", "keys"):
            done = subprocess.run([harness.FETTLED, "--process", role], capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL, timeout=10 * harness.PATIENCE)
            self.assertEqual(done.returncode, 64, done.stderr)
            self.assertIn("daemon's own business", done.stderr)

    def test_a_call_it_must_not_make(self):
        """A front that its filter ends is another one a moment later; the core saw nothing."""
        front, core = self.pids["front"], self.pids["core"]
        os.kill(front, signal.SIGSYS)
        harness.wait_until("another front", lambda: self.daemon.pids().get("front", [front]) != [front], 10)
        harness.wait_until("CoAP", lambda: load.answers(self.daemon.coap_port), 10)
        self.assertEqual(self.daemon.pids()["core"], [core])
        self.assertIn("its sandbox forbids", self.daemon.tail())
        with socket.create_connection(("127.0.0.1", self.daemon.http_port)):
            pass


if __name__ == "__main__":
    harness.main()
