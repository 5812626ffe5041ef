"""The servers that are compared: how each is started, watched and stopped.

Everything a server writes goes to a temporary folder of its own; its log goes to a file, as on a
mail host. A server is stopped by the process id that it was started with.
"""

import os
import pwd
import grp
import resource
import socket
import subprocess
import time

DELAY = 300
FIRST_PORT = 18200
LAST_PORT = 32000  # ports above may be taken by the kernel for outgoing connections


class Trouble(Exception):
    """A server or a tool did not do what a measurement needs."""


class Null:
    """Answers without looking: the ceiling."""

    name = "null"
    any_answer = True
    log_lines = 0  # that a request must leave in the log
    program = None

    def __init__(self, tools):
        self.program = os.path.join(tools, "null_server")

    def missing(self):
        return None if os.access(self.program, os.X_OK) else f"{self.program} is not there"

    def command(self, folder, port):
        return [self.program, "--port", str(port)]

    def environment(self, folder, port):
        return {}


class NullJournal(Null):
    """The ceiling for a server that answers only what is on disk."""

    name = "null+journal"

    def command(self, folder, port):
        return super().command(folder, port) + ["--journal", os.path.join(folder, "journal")]


class Mongrey:
    name = "mongrey"
    any_answer = False
    log_lines = 1

    def __init__(self, program, extra):
        self.program = program
        self.extra = extra

    def missing(self):
        return None if os.access(self.program, os.X_OK) else f"{self.program} is not there"

    def command(self, folder, port):
        return [self.program, "start"]

    def environment(self, folder, port):
        environment = {
            "HOME": folder,  # no settings file of the user's own
            "MONGREY_DB": "sqlite:///" + os.path.join(folder, "mongrey.db"),
            "MONGREY_HOST": "127.0.0.1",
            "MONGREY_PORT": str(port),
            "MONGREY_REMAINING": str(DELAY),
            "MONGREY_TEST_CLOCK": "true",
            "MONGREY_MAX_CLIENTS": "4096",
        }
        if os.path.exists("/etc/mongrey/server.yml"):
            settings = os.path.join(folder, "server.yml")
            with open(settings, "w", encoding="ascii") as file:
                file.write("{}\n")
            environment["MONGREY_SERVER_SETTINGS"] = settings
        environment.update(self.extra)
        return environment


class Postgrey:
    """Debian's package with its own defaults, auto-whitelist and a sync a transaction included, but
    for the client white list that it ships, which costs it a fifth: mongrey is measured without
    lists, too."""

    name = "postgrey"
    any_answer = False
    log_lines = 1
    program = "/usr/sbin/postgrey"

    def __init__(self, shipped_lists):
        self.shipped_lists = shipped_lists

    def missing(self):
        if os.access(self.program, os.X_OK):
            return None
        return f"{self.program} is not there (Debian package postgrey)"

    def command(self, folder, port):
        # In the foreground it logs to standard error, a line a request, not to syslog. It insists
        # on changing to a user: the one it already runs as, who owns the folder.
        lists = [] if self.shipped_lists else [f"--whitelist-clients={os.devnull}"]
        return [
            self.program,
            f"--inet=127.0.0.1:{port}",
            f"--dbdir={folder}",
            f"--delay={DELAY}",
            f"--user={pwd.getpwuid(os.geteuid()).pw_name}",
            f"--group={grp.getgrgid(os.getegid()).gr_name}",
        ] + lists

    def environment(self, folder, port):
        return {}


def free_port():
    """A free loopback port, another one each time."""
    while free_port.last < LAST_PORT:
        free_port.last += 1
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", free_port.last))
                return free_port.last
            except OSError:
                continue
    raise Trouble("no free port")


free_port.last = FIRST_PORT


def children_of(pid):
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                for child in file.read().split():
                    found += [int(child)] + children_of(int(child))
    except OSError:
        pass  # it ended meanwhile, or the kernel does not tell
    return found


def cpu_of(pid):
    """CPU seconds of all threads of a process, those that have ended included.

    The process's CPU clock (see clock_getcpuclockid) counts nanoseconds; /proc/PID/stat counts
    hundredths of a second.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def private_bytes_of(pid):
    total = 0
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                if line.startswith(("Private_Clean:", "Private_Dirty:")):
                    total += int(line.split()[1]) * 1024
    except OSError:
        pass
    return total


class Running:
    """One started server."""

    def __init__(self, server, folder, cpu=None, environment=None):
        self.server = server
        self.folder = folder
        self.name = server.name
        self.port = free_port()
        self.log_path = os.path.join(folder, "log")
        os.makedirs(folder)
        self._start(cpu, environment or {})
        self._wait_ready()
        self.forget_log()

    def _start(self, cpu, environment):
        def prepare():
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})

        inherited = {k: v for k, v in os.environ.items() if not k.startswith("MONGREY_")}
        with open(self.log_path, "ab") as log:  # appending, so that it can be cut while in use
            self.process = subprocess.Popen(
                self.server.command(self.folder, self.port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**inherited, **self.server.environment(self.folder, self.port), **environment},
                preexec_fn=prepare,
            )

    def _wait_ready(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        self.stop()
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            raise Trouble(f"{self.name} did not start: {log.read()[-1000:]}")

    def processes(self):
        return [self.process.pid] + children_of(self.process.pid)

    def cpu_seconds(self):
        return sum(cpu_of(pid) for pid in self.processes())

    def private_bytes(self):
        return sum(private_bytes_of(pid) for pid in self.processes())

    def count_log_lines(self, expected):
        """Waits a moment for those expected: a server may write its log after it has answered."""
        lines = 0
        deadline = time.monotonic() + 1
        with open(self.log_path, "rb") as log:
            while True:
                while block := log.read(1 << 20):
                    lines += block.count(b"\n")
                if lines >= expected or time.monotonic() > deadline:
                    return lines
                time.sleep(0.05)

    def forget_log(self):
        """Cuts the log, so that the disk is not busy with the last measurement's in the next."""
        os.truncate(self.log_path, 0)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        deadline = time.monotonic() + 10
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                self.process.kill()
            self._nudge()
            time.sleep(0.02)

    def _nudge(self):
        """postgrey may see a signal only when the next connection wakes it."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=0.2).close()
        except OSError:
            pass
