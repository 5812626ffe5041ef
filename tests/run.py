#!/usr/bin/python3
"""Runs the tests and adds them up: the last line is `N passed, N failed, N skipped`.

usage: run.py --build DIR [GROUP ...]      groups: walls symbols dist unit conformance notices stores fuzz replay live

Each group prints what it prints; a program that dies without a report counts as a failure.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

from lib import mongo, servers

ROOT = pathlib.Path(__file__).resolve().parent.parent
GROUPS = ["walls", "symbols", "dist", "unit", "conformance", "notices", "fuzz", "replay", "live"]  # stores: make check-stores


class Sum:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.notes = []

    def add(self, passed=0, failed=0, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def line(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def run(command, **more):
    print("$", " ".join(str(c) for c in command), flush=True)
    return subprocess.run([str(c) for c in command], cwd=ROOT, **more)


def add_junit(total, path, name):
    """Adds up a junit report; False if there is none to read."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return False
    cases = list(root.iter("testcase"))
    for case in cases:
        label = f"{name}: {case.get('name')}"
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        if bad is not None:
            total.add(failed=1)
            total.notes.append(f"FAILED {label}")
            print(f"FAILED {label}\n{(bad.text or '').strip()}", flush=True)
        elif case.find("skipped") is not None:
            total.add(skipped=1)
            why = case.find("skipped").get("message") or ""
            total.notes.append(f"skipped {label} {why}".rstrip())
        else:
            total.add(passed=1)
    return bool(cases)


def cmocka(total, name, command, **variables):
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder, "report.xml")
        env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="xml", CMOCKA_XML_FILE=str(report), **variables)
        done = run(command, env=env)
        before = total.failed
        if not add_junit(total, report, name) or (done.returncode and total.failed == before):
            total.add(failed=1)
            total.notes.append(f"FAILED {name}: ended with status {done.returncode}")


def plain(total, name, command):
    done = run(command)
    total.add(passed=done.returncode == 0, failed=done.returncode != 0)
    if done.returncode:
        total.notes.append(f"FAILED {name}: status {done.returncode}")


def counted(total, name, command, **variables):
    """A program that counts for itself in its last line."""
    done = run(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ, **variables))
    for line in done.stdout.splitlines():
        print("  " + line)  # indented: the only sum at the start of a line is the last one here
    found = re.findall(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?", done.stdout)
    if found:
        total.add(*(int(n or 0) for n in found[-1]))
    if not found or (done.returncode and found[-1][1] == "0"):
        total.add(failed=1)
    if not found or done.returncode:
        total.notes.append(f"FAILED {name}: status {done.returncode}")


def run_unit(total, build):
    for program in sorted((build / "tests/unit").glob("test_*")):
        cmocka(total, program.name, [program], MONGREY_TEST_DRIVERS=str(build / "drivers"),
               MONGREY_TEST_FAKES=str(build / "tests/fakes"))


def run_conformance(total, build):
    program = build / "tests/conformance"
    with tempfile.TemporaryDirectory() as folder:
        cmocka(total, "conformance memory",
               [program, build / "tests/drivers/memory.so", "memory:///%s"])
        cmocka(total, "conformance sqlite",
               [program, build / "drivers/sqlite.so", f"sqlite:///{folder}/%s.db"])
        broken(total, build, "sqlite", f"sqlite:///{folder}/%s.db")


class Maker:
    """A program that makes and drops a server's databases for the conformance suite."""

    def __init__(self, server, folder):
        self.path = folder / f"store-{server.port}"
        self.path.write_text(server.maker())
        self.path.chmod(0o755)


def conform(total, build, name, driver, url, cases="*", maker=None, left_out=(), **variables):
    """The suite on a real server: `%s` in the URL is each case's own database."""
    cmocka(total, f"conformance {name}", [build / "tests/conformance", build / f"drivers/{driver}.so", url],
           MONGREY_CASE=cases, MONGREY_LEAVE_OUT=" ".join(left_out), **variables, **({"MONGREY_STORE_COMMAND": str(maker.path)} if maker else {}))


def broken(total, build, driver, url, maker=None):
    """A driver that is wrong is noticed."""
    if not is_sanitized(build):
        counted(total, f"broken {driver}", [ROOT / "tests/broken_drivers.py", build / "tests/conformance", driver, url],
                **({"MONGREY_STORE_COMMAND": str(maker.path)} if maker else {}))


def is_sanitized(build):
    return any(mark in (build / "tests/conformance").read_bytes() for mark in (b"__asan_init", b"__tsan_init"))


def skip(total, name, why):
    """Named, never passed over in silence; MONGREY_TEST_REQUIRE=all (CI) makes it a failure."""
    required = os.environ.get("MONGREY_TEST_REQUIRE") == "all"
    total.add(failed=required, skipped=not required)
    total.notes.append(f"{'FAILED' if required else 'skipped'} {name}: {why}")


def stores_pgsql(total, build, folder):
    with servers.Postgres() as server:
        maker = Maker(server, folder)
        conform(total, build, "pgsql", "pgsql", server.url("%s"), maker=maker)
        conform(total, build, "pgsql, Unix socket", "pgsql", server.url_socket("%s"), "driver*", maker)
        conform(total, build, "pgsql, TLS", "pgsql",
                server.url("%s", f"?sslmode=verify-full&sslrootcert={server.folder}/server.crt"), "driver*", maker)
        with servers.PgBouncer(server) as pooler:
            conform(total, build, "pgsql, pgbouncer", "pgsql", pooler.url("%s"), maker=maker)


def stores_mysql(total, build, folder):
    with servers.MariaDB() as server:
        maker = Maker(server, folder)
        conform(total, build, "mysql", "mysql", server.url("%s"), maker=maker)
        conform(total, build, "mysql, Unix socket", "mysql", server.url_socket("%s"), "driver*", maker)
        conform(total, build, "mysql, TLS", "mysql",
                server.url("%s", f"?ssl-mode=verify-full&ssl-ca={server.folder}/server.crt"), "driver*", maker)
        broken(total, build, "mysql", server.url("%s"), maker)


def stores_mongo(total, build, _folder):
    """All on one server; where that is FerretDB, whose writes are not atomic, all but races on it, and all on DocumentDB."""
    common, why_not = mongo.common_server()
    if common:
        left_out = [] if common.atomic else mongo.FERRETDB_RACES + mongo.FERRETDB_SLOW
        print(f"mongo: {common.name}", flush=True)
        if left_out:
            total.notes.append(f"left out on {common.name}: {' '.join(left_out)}")
        with common:
            conform(total, build, f"mongo, {common.name}", "mongo", common.url("%s"), left_out=left_out,
                    **({} if common.atomic else {"MONGREY_STEPS": "1000"}))
        if common.atomic:
            return
    else:
        skip(total, "conformance mongo, all but races", why_not)
    racing, why_not = mongo.race_server()
    if not racing:
        skip(total, "conformance mongo, races", why_not)
        return
    print(f"mongo: {racing.name}", flush=True)
    with racing:
        conform(total, build, f"mongo, {racing.name}", "mongo", racing.url("%s"))
        broken(total, build, "mongo", racing.url("%s"))


def stores_lmdb(total, build, folder):
    """The driver that was written from docs/writing-a-driver.md alone."""
    cmocka(total, "conformance lmdb", [build / "tests/conformance", build / "tests/drivers/lmdb.so",
                                       f"lmdb:///{folder}/%s"])


STORES = {"lmdb": (stores_lmdb, None), "mongo": (stores_mongo, None), "pgsql": (stores_pgsql, servers.Postgres), "mysql": (stores_mysql, servers.MariaDB)}


def run_stores(total, build):
    """Every driver that was built against its real servers; MONGREY_TEST_STORES=pgsql,mysql chooses. Without it, then
    the daemon with such servers (tests/stores)."""
    wanted = os.environ.get("MONGREY_TEST_STORES", ",".join(STORES)).split(",")
    for name in wanted:
        run_store, server = STORES[name]
        if not any((build / folder / f"{name}.so").exists() for folder in ("drivers", "tests/drivers")):
            skip(total, f"conformance {name}", "the driver was not built")
        elif server and servers.can(server):
            skip(total, f"conformance {name}", servers.can(server))
        else:
            with tempfile.TemporaryDirectory() as folder:
                run_store(total, build, pathlib.Path(folder))
        if "MONGREY_TEST_STORES" in os.environ and (ROOT / f"tests/stores/test_{name}_faults.py").exists():
            pytest(total, build, f"tests/stores/test_{name}_faults.py")
    if "MONGREY_TEST_STORES" not in os.environ:
        pytest(total, build, "tests/stores")


def run_notices(total, build):
    counted(total, "notices", [build / "tests/notices", build / "tests/conformance",
                               build / "tests/drivers/memory.so"])


def run_fuzz(total, build):
    """The fuzzers' corpora, each through its parser once."""
    for program in sorted((build / "tests/replay").iterdir()):
        plain(total, f"corpus {program.name}", [program, ROOT / "tests/fuzz/corpus" / program.name])


def pytest(total, build, folder):
    with tempfile.TemporaryDirectory() as reports:
        report = pathlib.Path(reports, "report.xml")
        done = run(["/usr/bin/python3", "-B", "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider",
                    f"--junitxml={report}", folder], env=dict(os.environ, MONGREY_BUILD=str(build)))
        before = total.failed
        if not add_junit(total, report, "pytest") or (done.returncode and total.failed == before):
            total.add(failed=1)
            total.notes.append(f"FAILED pytest: ended with status {done.returncode}")


def run_replay(total, build):
    pytest(total, build, "tests/replay")


def run_live(total, build):
    pytest(total, build, "tests/live")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("groups", nargs="*", default=GROUPS)
    options = parser.parse_args()
    build = options.build.resolve()
    total = Sum()
    for group in options.groups:
        start = time.monotonic()
        before = (total.passed, total.failed, total.skipped)
        if group == "walls":
            plain(total, "walls", [ROOT / "tests/walls.sh"])
        elif group == "symbols":
            plain(total, "symbols", [ROOT / "tests/symbols.sh", build])
        elif group == "dist":
            counted(total, "dist", [ROOT / "tests/dist.sh", build])
        else:
            globals()[f"run_{group}"](total, build)
        if (total.passed, total.failed, total.skipped) == before:
            total.add(failed=1)
            total.notes.append(f"FAILED {group}: no test ran")
        print(f"-- {group}: {time.monotonic() - start:.0f} s", flush=True)
    for note in total.notes:
        print(note)
    print(total.line())
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
