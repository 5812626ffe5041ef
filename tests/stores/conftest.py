"""Stores by name for tests of the daemon: `shop` is one of them, with its server, a database for each test, and the
means to take it away. MONGREY_TEST_STORES=sqlite,pgsql chooses; with MONGREY_TEST_REQUIRE=all a skip is a failure."""

import hashlib
import inspect
import os
import sqlite3

import pytest

from lib import place, servers
from lib.daemon import run_command

NAMES = ["sqlite", "pgsql", "mysql", "mongo"]
SERVERS = {"pgsql": "Postgres", "mysql": "MariaDB", "mongo": "Mongo"}  # of lib.servers


def skip(why):
    if os.environ.get("MONGREY_TEST_REQUIRE") == "all":
        pytest.fail(why)
    pytest.skip(why)


class Shop:
    """A kind of store. new() makes an empty database and returns its URL."""

    def __init__(self, name):
        self.name = name
        self.folder = place.new_folder()
        self.made = []

    def new(self):
        self.made.append(f"mongrey_{self.name}_{len(self.made)}")
        self.make(self.made[-1])
        return self.url(self.made[-1])

    def run(self, url, *arguments, **more):
        """A command of mongrey-server on it."""
        return run_command(self.folder, *arguments, environment={"MONGREY_DB": url}, **more)

    def import_records(self, url, yaml):
        path = self.folder / "records.yml"
        path.write_text("version: 1\n" + yaml)
        done = self.run(url, "fixtures-import", "--replace", "--fixtures", path)
        assert done.returncode == 0, done.stderr

    def hits(self, kind, record_id):
        """How often an entry of a list was met; data/hits.c names the counter."""
        return self.counter(hashlib.blake2b(f"hits {kind} {record_id}".encode(), digest_size=16).hexdigest())

    def close(self):
        place.remove_folder(self.folder)


class Sqlite(Shop):
    lock = None

    def path(self, database=None):
        return self.folder / f"{database or self.made[-1]}.db"

    def make(self, name):
        """The file is made by who opens it first."""

    def url(self, name):
        return f"sqlite:///{self.path(name)}"

    def query(self, sql):
        store = sqlite3.connect(self.path(), timeout=20)
        try:
            with store:
                rows = store.execute(sql).fetchall()
        finally:
            store.close()
        return str(rows[0][0]) if rows else ""

    def counter(self, key):
        return int(self.query(f"select coalesce(sum(count), 0) from greylist_counter where key = x'{key}'"))

    def make_newer(self):
        self.query("pragma user_version = 9999")

    def take_away(self):
        """Locked against readers too, where nobody has it open; else against writers."""
        try:
            self.begin("PRAGMA locking_mode = EXCLUSIVE", 0)
        except sqlite3.OperationalError:
            self.lock.close()
            self.begin("PRAGMA locking_mode = NORMAL", 20)

    def begin(self, mode, timeout):
        self.lock = sqlite3.connect(self.path(), isolation_level=None, timeout=timeout)
        self.lock.execute(mode)
        self.lock.execute("BEGIN EXCLUSIVE")

    def bring_back(self):
        if self.lock:
            self.lock.execute("ROLLBACK")
            self.lock.close()
        self.lock = None


class Served(Shop):
    """A real server, started for the module; what it has said yes to survives its end."""

    def __init__(self, name, kind):
        super().__init__(name)
        can_choose = "durable" in inspect.signature(kind).parameters
        self.server = (kind(durable=True) if can_choose else kind()).__enter__()

    def make(self, name):
        self.server.make(name)

    def url(self, name):
        return self.server.url(name)

    def query(self, sql):
        return self.server.query(self.made[-1], sql)

    def counter(self, key):
        where = f"key = '{key}'" if self.name == "pgsql" else f"key_ = x'{key}'"
        return int(self.query(f"select coalesce(sum(count), 0) from greylist_counter where {where}"))

    def make_newer(self):
        """As a later version would leave it."""
        self.query("update mongrey set value = 9999 where name in ('schema', 'version')")

    def take_away(self):
        self.server.kill()

    def bring_back(self):
        if self.server.process.poll() is not None:
            self.server.start()

    def close(self):
        try:
            self.server.close()
        finally:
            super().close()


def open_shop(name):
    if not (place.BUILD / f"drivers/{name}.so").exists():
        skip(f"the driver {name} was not built")
    if name == "sqlite":
        return Sqlite(name)
    kind = getattr(servers, SERVERS[name], None)
    if kind is None:
        skip(f"lib.servers knows no {SERVERS[name]} yet")
    if servers.can(kind):
        skip(servers.can(kind))
    return Served(name, kind)


def wanted_stores():
    wanted = os.environ.get("MONGREY_TEST_STORES")
    return [name for name in NAMES if not wanted or name in wanted.split(",")]


@pytest.fixture(scope="module", params=wanted_stores())
def open_once(request):
    opened = open_shop(request.param)
    yield opened
    opened.close()


@pytest.fixture
def shop(open_once):
    yield open_once
    open_once.bring_back()


@pytest.fixture
def away_shop(shop):
    """One whose server can be killed or stopped: not a file."""
    if shop.name == "sqlite":
        pytest.skip("a file has no server")
    return shop
