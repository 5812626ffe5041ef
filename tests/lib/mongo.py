"""Servers that speak MongoDB's protocol, for tests. In this order: MONGREY_TEST_MONGODB=URL, `mongod` in the PATH,
`ferretdb` in the PATH, FerretDB 1 built by Go; and PostgreSQL with the DocumentDB extension behind our own gateway.

FerretDB 1 reads a document and then writes it by its id, with nothing that holds others off in between: what races
prove is proved on one of the others. What is built or installed for it stays in `build-tools` (or MONGREY_TEST_CACHE)."""

import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.parse

from lib import place
from lib.servers import Missing, Server, find_program

CACHE = pathlib.Path(os.environ.get("MONGREY_TEST_CACHE", place.REPOSITORY / "build-tools"))
BUILD_SECONDS = 1200

# Cases of the conformance suite that FerretDB 1 cannot pass, and why. They run on DocumentDB.
FERRETDB_RACES = """threads_agree_on_one_first_time handles_agree_on_one_first_time threads_pass_first_once
    threads_do_overlapping_batches threads_purge_spares_the_revived threads_count_exactly threads_count_once_in_a_gap
    threads_add_marks threads_take_once threads_put_one_of_two threads_change_all_or_none
    threads_look_under_each_others_keys threads_open_a_new_store""".split()
# It reads the whole collection for each update by id and version: a thousand of a thousand take half a minute.
FERRETDB_SLOW = ["batch_of_the_largest_size", "change_of_the_largest_size"]


@contextlib.contextmanager
def one_at_a_time(name):
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f".{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield CACHE / name


def step(command, what, **more):
    try:
        done = subprocess.run([str(part) for part in command], check=False, capture_output=True, text=True,
                              errors="replace", timeout=BUILD_SECONDS, **more)
    except (OSError, subprocess.TimeoutExpired) as why:
        raise Missing(f"{what}: {why}") from why
    if done.returncode != 0:
        raise Missing(f"{what}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


class Given:
    """A server that is there: MONGREY_TEST_MONGODB. It is not started or stopped here."""

    atomic = True
    name = "the server of MONGREY_TEST_MONGODB"

    def __init__(self):
        if not os.environ.get("MONGREY_TEST_MONGODB"):
            raise Missing("MONGREY_TEST_MONGODB is not set")
        self.given = os.environ["MONGREY_TEST_MONGODB"]
        self.folder = place.new_folder()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        place.remove_folder(self.folder)

    def url(self, name, parameters=""):
        parts = urllib.parse.urlsplit(self.given)
        more = [parts.query] if parts.query else []
        if "@" in parts.netloc and "authsource" not in parts.query.lower():
            more.append(f"authSource={parts.path.strip('/') or 'admin'}")
        if parameters:
            more.append(parameters.lstrip("?"))
        return f"{parts.scheme}://{parts.netloc}/{name}" + (f"?{'&'.join(more)}" if more else "")


class Mongo(Server):
    """What they share."""

    atomic = True

    def url(self, name, parameters=""):
        return f"mongodb://127.0.0.1:{self.port}/{name}{parameters}"


class Mongod(Mongo):
    """A real one."""

    name = "mongod"

    def __init__(self):
        self.program = find_program("mongod")
        super().__init__()

    def prepare(self):
        self.run("mkdir", self.folder / "data")

    def command(self):
        return [self.program, "--dbpath", self.folder / "data", "--port", self.port, "--bind_ip", "127.0.0.1", "--quiet"]


class InstalledFerretDB(Mongo):
    """`ferretdb` as it is handed out."""

    atomic = False
    name = "ferretdb"

    def __init__(self):
        self.program = find_program("ferretdb")
        super().__init__()

    def command(self):
        return [self.program, "--handler=sqlite", f"--sqlite-url=file:{self.folder}/", "--debug-addr=-",
                f"--listen-addr=127.0.0.1:{self.port}", "--telemetry=disable", f"--state-dir={self.folder}",
                "--log-level=error"]


class BuiltFerretDB(Mongo):
    """FerretDB 1.24 by Go, at the versions that tests/ferretdb/go.sum holds fast."""

    atomic = False
    name = "FerretDB 1.24 built by Go, on SQLite"

    def __init__(self):
        self.program = self.build()
        super().__init__()

    @staticmethod
    def build():
        with one_at_a_time("ferretdb") as program:
            if not program.exists():
                made = program.with_suffix(".new")
                step([find_program("go", "/usr/local/go/bin/go"), "build", "-o", made, "."], "FerretDB by Go",
                     cwd=place.REPOSITORY / "tests/ferretdb")
                made.rename(program)
        return program

    def prepare(self):
        shutil.copy(self.program, self.folder / "ferretdb")  # others may not enter the cache's folder
        (self.folder / "ferretdb").chmod(0o755)

    def command(self):
        return [self.folder / "ferretdb", f"127.0.0.1:{self.port}", self.folder]


def install_documentdb():
    """Debian sid with PostgreSQL and the extension, in a folder; the mirror is the one that apt uses."""
    with one_at_a_time("documentdb") as root:
        if root.exists():
            return root
        if os.geteuid() != 0:
            raise Missing("DocumentDB is installed in a folder of its own, for which one must be root")
        program = find_program("debootstrap", "/usr/sbin/debootstrap")
        codename = re.search(r"^VERSION_CODENAME=(.*)$", pathlib.Path("/etc/os-release").read_text(encoding="utf-8"), re.M)
        mirror = step(["apt-get", "indextargets", "--format", "$(REPO_URI)", f"Codename: {codename[1]}"],
                      "asking apt for the mirror").split()
        if not mirror:
            raise Missing("apt has no mirror")
        made = pathlib.Path(tempfile.mkdtemp(prefix="documentdb-", dir=CACHE))
        made.chmod(0o755)
        try:
            step([program, "--variant=minbase", "sid", made, mirror[0]], "debootstrap")
            (made / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
            (made / "usr/sbin/policy-rc.d").chmod(0o755)
            # A package's script asks for /proc: mounted in a name space of its own, so that it goes by itself.
            inside = ("apt-get -o Acquire::Check-Valid-Until=false update -q && "
                      "apt-get install -y -q --no-install-recommends postgresql-18-documentdb && apt-get clean")
            step(["unshare", "--mount", "sh", "-c",
                  f"mount -t proc proc '{made}/proc' && exec env DEBIAN_FRONTEND=noninteractive chroot '{made}' sh -c '{inside}'"],
                 "installing postgresql-18-documentdb")
            made.rename(root)
        except BaseException:
            place.remove_folder(made)
            raise
    return root


class DocumentDB(Mongo):
    """PostgreSQL 18 with DocumentDB, and the gateway before it: two processes, `process` is the gateway."""

    name = "PostgreSQL with DocumentDB behind tests/stores/gateway.c"

    def __init__(self):
        self.root = install_documentdb()
        self.gateway = place.BUILD / "tests/mongo-gateway"
        super().__init__()
        self.inner_port = place.free_port()
        self.data = pathlib.Path("/srv") / self.folder.name
        self.postgres = None

    def identity(self):
        return {}

    def inside(self, *command):
        return ["chroot", "--userspec=postgres:postgres", self.root, *command]

    def tool(self, name):
        return f"/usr/lib/postgresql/18/bin/{name}"

    def prepare(self):
        shutil.copy(self.gateway, self.folder / "gateway")
        outside = pathlib.Path(f"{self.root}{self.data}")
        outside.mkdir()
        self.run("chroot", self.root, "chown", "postgres:", self.data)
        self.run(*self.inside(self.tool("initdb"), "-D", self.data / "data", "-U", "postgres", "-A", "trust", "-N",
                              "--no-instructions", "--locale=C.UTF-8"))
        with open(outside / "data/postgresql.conf", "a", encoding="ascii") as conf:
            conf.write("shared_preload_libraries = 'pg_cron,pg_documentdb_core,pg_documentdb'\n"
                       f"cron.database_name = 'postgres'\nlisten_addresses = '127.0.0.1'\nport = {self.inner_port}\n"
                       f"unix_socket_directories = '{self.data}'\nfsync = off\nmax_connections = 100\n")
        self.start_postgres()
        self.query("create extension documentdb cascade")

    def query(self, sql):
        return self.run(find_program("psql"), "-XqAt", "-h", "127.0.0.1", "-p", self.inner_port, "-U", "postgres", "-d",
                        "postgres", "-c", sql).stdout.strip()

    def start_postgres(self):
        with open(self.folder / "postgres.log", "ab") as log:
            self.postgres = subprocess.Popen([str(part) for part in self.inside(self.tool("postgres"), "-D",
                                                                                self.data / "data")],
                                             stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        ready = [*self.inside(self.tool("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.inner_port))]
        place.wait_for(lambda: self.postgres.poll() is not None or
                       subprocess.run([str(part) for part in ready], check=False).returncode == 0, "PostgreSQL", 60)
        if self.postgres.poll() is not None:
            raise AssertionError((self.folder / "postgres.log").read_text(errors="replace")[-3000:])

    def start(self):
        if self.postgres.poll() is not None:
            self.start_postgres()
        return super().start()

    def command(self):
        return [self.folder / "gateway", self.port,
                f"host=127.0.0.1 port={self.inner_port} user=postgres dbname=postgres"]

    def end(self, number):
        super().end(number)
        if self.postgres and self.postgres.poll() is None:
            self.postgres.send_signal(signal.SIGINT if number == signal.SIGTERM else number)
            self.postgres.wait(60)

    def close(self):
        try:
            super().close()
        finally:
            shutil.rmtree(f"{self.root}{self.data}", ignore_errors=True)


def first_of(*kinds):
    """A server of the first kind that can be had, not started yet, or (None, why not)."""
    reasons = []
    for kind in kinds:
        try:
            return kind(), ""
        except Missing as why:
            reasons.append(str(why))
    return None, "; ".join(reasons)


def common_server():
    return first_of(Given, Mongod, InstalledFerretDB, BuiltFerretDB)


def race_server():
    return first_of(Given, Mongod, DocumentDB)
