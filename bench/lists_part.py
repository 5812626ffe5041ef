"""The daemon beside short lists and beside long ones: what a request costs more, and the memory they take."""

import os
import subprocess

from servers import Mongrey, Trouble

SHORT = 10


def network(n):
    return f"100.{64 + n // 65536}.{n // 256 % 256}.{n % 256}"


# One entry of each kind; none meets what the load generator asks about.
KINDS = (
    ("client_address", network),
    ("client_name", lambda n: f"mx{n}.listed.example"),
    ("helo_name", lambda n: f".helo{n}.listed.example"),
    ("sender", lambda n: f"user{n}@listed.example"),
    ("sender", lambda n: f".sender{n}.listed.example"),
    ("recipient", lambda n: f"listed{n}@"),
    ("recipient", lambda n: f"/^listed-{n}x[0-9]+@/"),
)


def write_fixtures(path, kind, count):
    """As many entries of each kind in the white list as in the black list, and as many policies."""
    with open(path, "w", encoding="ascii") as file:
        file.write(f"version: 1\n{kind}:\n")
        for n in range(count):
            if kind == "policy":
                file.write(f"- {{name: p{n}, field_name: recipient, value: someone@policy{n}.example, "
                           "greylist_remaining: 60}\n")
                continue
            for field, value in KINDS:
                file.write(f"- {{field_name: {field}, value: '{value(n)}'}}\n")


def make(bench, count):
    """A mongrey of its own name whose store has lists of that length."""
    folder = os.path.join(bench.folder, f"lists-{count}")
    os.makedirs(folder, exist_ok=True)
    fixtures = os.path.join(folder, "fixtures.yml")
    database = os.path.join(folder, "mongrey.db")
    plain = bench.servers["mongrey"]
    mine = Mongrey(plain.program, dict(plain.extra, MONGREY_DB="sqlite:///" + database))
    mine.name = f"mongrey, {count:,}"
    environment = dict(os.environ, **mine.environment(folder, 0))
    for kind in ("whitelist", "blacklist", "policy"):
        write_fixtures(fixtures, kind, count)
        done = subprocess.run([plain.program, "--fixtures", fixtures, "fixtures-import"],
                              env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Trouble(f"the lists were not imported: {done.stderr[-300:]}")
        os.unlink(fixtures)
    bench.servers[mine.name] = mine
    return mine.name


def part_lists(bench, rotated):
    if "mongrey" not in bench.servers:
        return
    extent = bench.extent["lists"]
    names = [make(bench, SHORT), make(bench, extent["entries"])]
    cpu = min(os.sched_getaffinity(0))
    idle = {}
    for turn in range(bench.rounds_of("lists")):
        with bench.running(names, cpu=cpu) as group:
            for running in rotated(group, turn):
                result = bench.measure(running, "lists", "known", seconds=extent["seconds"],
                                       keys=extent["keys"], cpu=cpu)
                idle[running.name] = running.private_bytes()
                result["entries"] = SHORT if running.name == names[0] else extent["entries"]
    if len(idle) == 2:
        entries = (extent["entries"] - SHORT) * (2 * len(KINDS) + 1)
        more = idle[names[1]] - idle[names[0]]
        bench.notes.append(f"lists: {entries:,} more entries and policies take {more / 2**20:.0f} MiB, "
                           f"{more / entries:.0f} bytes each")
