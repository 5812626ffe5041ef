"""Real databases for tests: each in a folder of its own, on loopback, ended by its own process id.

A server is a context manager; `url(name)` is a mongrey URL of its database `name`, `make(name)` makes that database,
`drop(name)` removes it. `stop()` and `kill()` take it away, `start()` brings it back as it was."""

import functools
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess

from lib import place

USER, PASSWORD = "mongrey", "pass: w%rd/?@#"
QUOTED = "pass%3A%20w%25rd%2F%3F%40%23"
NOBODY = ("mongrey", "wrong")


class Missing(Exception):
    """This machine lacks the program."""


def find_program(*patterns):
    for pattern in patterns:
        found = sorted(glob.glob(pattern)) if "/" in pattern else [shutil.which(pattern)]
        if found and found[-1]:
            return found[-1]
    raise Missing(f"{patterns[0]} is not installed")


def certificate(folder, owner):
    """A self-signed pair for 127.0.0.1 and localhost; returns (certificate, key)."""
    made, key = folder / "server.crt", folder / "server.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", str(key), "-out", str(made)], check=True, capture_output=True)
    key.chmod(0o600)
    account = pwd.getpwnam(owner)
    for path in (made, key):
        os.chown(path, account.pw_uid, account.pw_gid)
    return made, key


class Server:
    """A process in a folder, as a user that is not root (most servers insist on it)."""

    user = "nobody"

    def __init__(self):
        if os.geteuid() != 0:
            raise Missing(f"{type(self).__name__} is started as the user {self.user}, for which one must be root")
        self.folder = place.new_folder(owner=self.user)
        self.port = place.free_port()
        self.process = None
        self.log_path = self.folder / "server.log"

    def __enter__(self):
        try:
            self.prepare()
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    def prepare(self):
        """What is done once, before the first start."""

    def command(self):
        raise NotImplementedError

    def is_ready(self):
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def run(self, *command, check=True):
        """A step as the server's user."""
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False,
                              cwd=self.folder, **self.identity())
        if check and done.returncode != 0:
            raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
        return done

    def identity(self):
        account = pwd.getpwnam(self.user)
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(part) for part in self.command()], cwd=self.folder, stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, **self.identity())
        place.wait_for(lambda: self.process.poll() is not None or self.is_ready(), f"{self.folder}: ready", 60)
        if self.process.poll() is not None:
            raise AssertionError(f"{self.command()[0]} ended:\n{self.log_path.read_text(errors='replace')[-4000:]}")
        return self

    def end(self, number):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(60)

    def stop(self):
        self.end(signal.SIGTERM)

    def kill(self):
        """As a power cut, but for what the kernel holds; its helper processes notice and end."""
        self.end(signal.SIGKILL)

    def pause(self):
        """It holds its connections and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        try:
            if self.process and self.process.poll() is None:
                self.resume()
                self.end(signal.SIGQUIT)
        finally:
            place.remove_folder(self.folder)


class Postgres(Server):
    """PostgreSQL: the role `mongrey` logs in over TCP by SCRAM, over the Unix socket by trust."""

    user = "postgres"

    def __init__(self, durable=False):
        self.bin = os.path.dirname(find_program("/usr/lib/postgresql/*/bin/postgres"))
        self.durable = durable
        super().__init__()

    def prepare(self):
        self.run(f"{self.bin}/initdb", "-D", self.folder / "data", "-U", "postgres", "-A", "trust", "-N",
                 "--no-instructions", "-E", "UTF8", "--locale=C.UTF-8")
        made, key = certificate(self.folder, self.user)
        with open(self.folder / "data/postgresql.conf", "a", encoding="ascii") as conf:
            conf.write(f"listen_addresses = '127.0.0.1'\nport = {self.port}\n"
                       f"unix_socket_directories = '{self.folder}'\nmax_connections = 200\n"
                       f"ssl = on\nssl_cert_file = '{made}'\nssl_key_file = '{key}'\n"
                       f"fsync = {'on' if self.durable else 'off'}\n")
        (self.folder / "data/pg_hba.conf").write_text(
            "local all all trust\nhost all postgres 127.0.0.1/32 trust\n"
            "hostssl all mongrey 127.0.0.1/32 scram-sha-256\nhost all mongrey 127.0.0.1/32 scram-sha-256\n")

    def start(self):
        super().start()
        if self.query("postgres", f"select 1 from pg_roles where rolname = '{USER}'") == "":
            self.query("postgres", f"create role {USER} login createdb password '{PASSWORD}'")
        return self

    def command(self):
        return [f"{self.bin}/postgres", "-D", self.folder / "data"]

    def is_ready(self):
        return subprocess.run([f"{self.bin}/pg_isready", "-q", "-h", str(self.folder), "-p", str(self.port)],
                              check=False).returncode == 0

    def query(self, database, sql, check=True):
        return self.run(find_program("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-p", self.port,
                        "-U", "postgres", "-d", database, "-c", sql, check=check).stdout.strip()

    def maker(self):
        """A shell script that does as make() and drop(), for the conformance suite."""
        return (f"#!/bin/sh\nq() {{ exec psql -Xq -h '{self.folder}' -p {self.port} -U postgres -d postgres -c \"$1\"; }}\n"
                f"case $1 in\nmake) q \"create database $2 owner {USER} template template0\" ;;\n"
                f"drop) q \"drop database if exists $2 with (force)\" ;;\nesac\n")

    def make(self, name):
        self.query("postgres", f'create database "{name}" owner {USER} template template0')

    def drop(self, name):
        self.query("postgres", f'drop database if exists "{name}" with (force)')

    def url(self, name, parameters=""):
        return f"postgresql://{USER}:{QUOTED}@127.0.0.1:{self.port}/{name}{parameters}"

    def url_socket(self, name):
        """Over the Unix socket: libpq's own form, the folder percent-encoded in the place of the host."""
        folder = str(self.folder).replace("/", "%2F")
        return f"postgresql://{USER}@{folder}:{self.port}/{name}"


class PgBouncer(Server):
    """pgbouncer in transaction mode before a Postgres, with few connections, so that sessions really change theirs."""

    user = "postgres"

    def __init__(self, behind):
        self.program = find_program("pgbouncer", "/usr/sbin/pgbouncer")
        self.behind = behind
        super().__init__()

    def prepare(self):
        (self.folder / "users").write_text(f'"{USER}" "{PASSWORD}"\n')
        (self.folder / "conf.ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={self.behind.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {self.folder}/users\npool_mode = transaction\n"
            f"default_pool_size = 3\nmax_client_conn = 200\nmax_db_connections = 3\n"
            f"server_idle_timeout = 2\nlogfile =\npidfile =\n")

    def command(self):
        return [self.program, self.folder / "conf.ini"]

    def url(self, name):
        return f"postgresql://{USER}:{QUOTED}@127.0.0.1:{self.port}/{name}"


class MariaDB(Server):
    """MariaDB: `mongrey` logs in by password over TCP and over the Unix socket."""

    user = "mysql"

    def __init__(self, durable=False):
        self.program = find_program("mariadbd", "/usr/sbin/mariadbd")
        self.durable = durable
        super().__init__()

    def prepare(self):
        self.run(find_program("mariadb-install-db"), "--no-defaults", f"--datadir={self.folder}/data",
                 "--auth-root-authentication-method=normal", "--skip-test-db")
        certificate(self.folder, self.user)

    def start(self):
        super().start()
        for host in ("127.0.0.1", "localhost"):
            self.query("", f"create user if not exists {USER}@'{host}' identified by '{PASSWORD}'; "
                           f"grant all on *.* to {USER}@'{host}'")
        return self

    def command(self):
        return [self.program, "--no-defaults", f"--datadir={self.folder}/data", f"--socket={self.folder}/socket",
                f"--pid-file={self.folder}/pid", "--bind-address=127.0.0.1", f"--port={self.port}",
                "--skip-name-resolve", f"--innodb-flush-log-at-trx-commit={int(self.durable)}",
                "--innodb-buffer-pool-size=64M", "--max-connections=200", f"--ssl-cert={self.folder}/server.crt",
                f"--ssl-key={self.folder}/server.key"]

    def is_ready(self):
        return subprocess.run([find_program("mariadb-admin"), "--no-defaults", "-S", f"{self.folder}/socket", "-uroot",
                               "ping"], check=False, capture_output=True).returncode == 0

    def query(self, database, sql, check=True):
        return self.run(find_program("mariadb"), "--no-defaults", "-S", f"{self.folder}/socket", "-uroot", "-BN", "-e",
                        sql, *([database] if database else []), check=check).stdout.strip()

    def maker(self):
        """A shell script that does as make() and drop(), for the conformance suite."""
        return (f"#!/bin/sh\nq() {{ exec mariadb --no-defaults -S '{self.folder}/socket' -uroot -e \"$1\"; }}\n"
                f"case $1 in\nmake) q \"create database $2\" ;;\ndrop) q \"drop database if exists $2\" ;;\nesac\n")

    def make(self, name):
        self.query("", f"create database `{name}`")

    def drop(self, name):
        self.query("", f"drop database if exists `{name}`")

    def url(self, name, parameters=""):
        return f"mysql://{USER}:{QUOTED}@127.0.0.1:{self.port}/{name}{parameters}"

    def url_socket(self, name):
        folder = str(self.folder / "socket").replace("/", "%2F")
        return f"mysql://{USER}:{QUOTED}@localhost/{name}?socket={folder}"


class Redis(Server):
    """Redis; with a password where one is given."""

    def __init__(self, password=""):
        self.program = find_program("redis-server")
        self.password = password
        super().__init__()

    def command(self):
        extra = ["--requirepass", self.password] if self.password else []
        return [self.program, "--port", self.port, "--bind", "127.0.0.1", "--dir", self.folder, "--save", "",
                "--unixsocket", self.folder / "socket", "--unixsocketperm", "777", *extra]

    def query(self, *words):
        more = ["-a", self.password, "--no-auth-warning"] if self.password else []
        return self.run(find_program("redis-cli"), "-p", self.port, *more, *words).stdout.strip()

    def url(self, database=0):
        secret = f":{self.password}@" if self.password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/{database}"


@functools.cache
def can(kind):
    """Why this machine cannot start such a server, or None."""
    try:
        place.remove_folder(kind().folder)
    except Missing as why:
        return str(why)
    return None
