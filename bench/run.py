#!/usr/bin/python3
"""Measures mongrey beside a null server and postgrey: see README.md in this folder.

Never fails because of a figure. Exit status: 0 all answers were right, 1 one was not or a server
failed, 2 wrong use.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import sqlite3
import sys
import tempfile
import time

import report
from lists_part import part_lists
from measure import Bench, Load
from servers import Mongrey, Null, NullJournal, Postgrey, Trouble

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PARTS = ("onecpu", "lists", "slowsync", "latency", "purge", "memory", "table")
SERVERS = ("null", "null+journal", "mongrey", "postgrey")
DAY = 86400
FULL_SECONDS = 660  # when the last part begins no further round, to end within 12 minutes
QUICK_SECONDS = 55

# How much of each part is done: rounds, seconds a measurement, keys that are known, and so on.
FULL = {
    "table": {"rounds": 3, "seconds": 1, "keys": 1000, "modes": ("new", "early", "known", "mix"),
              "connections": (1, 10, 50, 200)},
    "onecpu": {"rounds": 3, "seconds": 2, "keys": 1000, "modes": ("known", "new")},
    "lists": {"rounds": 5, "seconds": 2, "keys": 1000, "entries": 100000},
    "slowsync": {"rounds": 3, "seconds": 2},
    "latency": {"rounds": 3, "seconds": 3, "keys": 1000},
    "purge": {"rounds": 1, "seconds": 10, "keys": 1000, "expired": 200000},
    "memory": {"connections": 1000, "keys": {"mongrey": 100000, "postgrey": 20000}},
}
QUICK = {
    "table": {"rounds": 2, "seconds": 1, "keys": 500, "modes": ("new", "known"),
              "connections": (50,)},
    "onecpu": {"rounds": 1, "seconds": 1, "keys": 500, "modes": ("known", "new")},
    "lists": {"rounds": 1, "seconds": 1, "keys": 500, "entries": 5000},
    "slowsync": {"rounds": 1, "seconds": 2},
    "latency": {"rounds": 1, "seconds": 2, "keys": 500},
    "purge": {"rounds": 1, "seconds": 4, "keys": 500, "expired": 50000},
    "memory": {"connections": 1000, "keys": {"mongrey": 100000, "postgrey": 2000}},
}


def rotated(group, turn):
    """Nobody is always the first."""
    turn %= max(len(group), 1)
    return group[turn:] + group[:turn]


def part_table(bench):
    extent = bench.extent["table"]
    for turn in range(bench.rounds_of("table")):
        with bench.running(SERVERS) as group:
            for mode in extent["modes"]:
                for connections in extent["connections"]:
                    if turn > 0 and bench.late():
                        bench.notes.append(f"time was up in round {turn + 1} of the table")
                        return
                    for running in rotated(group, turn):
                        bench.measure(running, "table", mode, connections=connections,
                                      seconds=extent["seconds"], keys=extent["keys"])


def part_onecpu(bench):
    extent = bench.extent["onecpu"]
    cpu = min(os.sched_getaffinity(0))
    for turn in range(bench.rounds_of("onecpu")):
        with bench.running(SERVERS, cpu=cpu) as group:
            for mode in extent["modes"]:
                for running in rotated(group, turn):
                    bench.measure(running, "onecpu", mode, seconds=extent["seconds"],
                                  keys=extent["keys"], cpu=cpu)


def part_slowsync(bench):
    extent = bench.extent["slowsync"]
    counter = os.path.join(bench.folder, "syncs")
    environment = {
        "LD_PRELOAD": os.path.join(bench.tools, "slow_sync.so"),
        "MONGREY_BENCH_SYNC_US": "1000",
        "MONGREY_BENCH_SYNC_FILE": counter,
    }
    for turn in range(bench.rounds_of("slowsync")):
        names = rotated(("null+journal", "mongrey", "postgrey"), turn)
        for name in names:
            with open(counter, "wb") as file:
                file.write(bytes(8))
            with bench.running([name], environment=environment) as group:
                for running in group:
                    before = read_count(counter)
                    result = bench.measure(running, "slowsync", "new", seconds=extent["seconds"])
                    syncs = read_count(counter) - before
                    result["syncs"] = syncs / max(result["requests"], 1)
                    if syncs == 0:
                        bench.notes.append(f"{name} made no sync that the shim saw")


def read_count(path):
    with open(path, "rb") as file:
        return int.from_bytes(file.read(8), sys.byteorder)


def part_latency(bench):
    extent = bench.extent["latency"]
    for turn in range(bench.rounds_of("latency")):
        with bench.running(("null", "mongrey", "postgrey")) as group:
            for running in rotated(group, turn):
                highest = bench.load(running, "latency", "known", keys=extent["keys"])["rate"]
                rate = max(int(0.7 * highest), 1)
                result = bench.measure(running, "latency", "known", seconds=extent["seconds"],
                                       keys=extent["keys"], rate=rate)
                result["highest_rate"] = highest


def part_purge(bench):
    """Keys that nobody asked for again expire by a jump of the test clock. postgrey is not in it:
    it purges by the real clock, and only at night."""
    extent = bench.extent["purge"]
    with bench.running(["mongrey"], environment={"MONGREY_PURGE_INTERVAL": "1"}) as group:
        for running in group:
            highest = bench.load(running, "purge", "known", keys=extent["keys"])["rate"]
            bench.load(running, "purge", "new", requests=extent["expired"])
            before = count_rows(running)
            bench.clock += 3 * DAY
            result = bench.measure(running, "purge", "known", seconds=extent["seconds"],
                                   keys=extent["keys"], rate=max(int(0.7 * highest), 1))
            result["highest_rate"] = highest
            after = count_rows(running)
            note = f"purge: {before} rows before, {after} after"
            if before is not None and after is not None and after > before:
                note += ": nothing was purged, so that the figure says nothing"
            bench.notes.append(note)


def count_rows(running):
    path = os.path.join(running.folder, "mongrey.db")
    try:
        store = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return store.execute("SELECT count(*) FROM greylist_entry").fetchone()[0]
        finally:
            store.close()
    except sqlite3.Error:
        return None


def part_memory(bench):
    extent = bench.extent["memory"]
    for name in ("mongrey", "postgrey"):
        with bench.running([name]) as group:
            for running in group:
                time.sleep(1)
                memory = {"server": name, "idle": running.private_bytes()}
                bench.load(running, "memory", "known", requests=2000, keys=200)
                memory["warm"] = running.private_bytes()
                memory["per_connection"] = hold_connections(bench, running,
                                                            extent["connections"])
                before = running.private_bytes()
                keys = extent["keys"][name]
                bench.load(running, "memory", "known", requests=1000, keys=keys)
                memory["keys"] = keys
                memory["per_key"] = (running.private_bytes() - before) / keys
                bench.memories.append(memory)
                bench.say(f"memory: {name}: idle {memory['idle'] / 2**20:.1f} MiB")


def hold_connections(bench, running, connections):
    """Private bytes that an open connection costs once it has had its answer."""
    before = running.private_bytes()
    load = Load(bench, running, "known", connections=connections, requests=2 * connections,
                keys=200, hold=True)
    result = load.start()
    time.sleep(0.5)
    held = running.private_bytes()
    load.finish()
    result.update(part="memory", server=running.name)
    bench.check(running, result, load.complaints)
    return (held - before) / connections


def file_system_of(folder):
    best = ("", "unknown")
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as file:
        for line in file:
            _, mount, kind = line.split()[:3]
            inside = os.path.join(folder, "").startswith(os.path.join(mount, ""))
            if inside and len(mount) >= len(best[0]):
                best = (mount, kind)
    return best[1]


def describe_machine(folder):
    model = platform.processor() or platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {
        "cpu": model,
        "cpus": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "file_system": file_system_of(folder),
        "load_average": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def choose_servers(options, notes):
    extra = dict(pair.split("=", 1) for pair in options.mongrey_env)
    known = [Null(options.tools), NullJournal(options.tools), Mongrey(options.mongrey, extra),
             Postgrey(options.postgrey_lists)]
    chosen = {}
    for server in known:
        if server.name not in options.servers:
            continue
        missing = server.missing()
        if missing:
            notes.append(f"{server.name} left out: {missing}")
            print(f"{server.name} left out: {missing}", file=sys.stderr)
        else:
            chosen[server.name] = server
    return chosen


def list_of(allowed):
    def parse(text):
        chosen = text.split(",")
        for item in chosen:
            if item not in allowed:
                raise argparse.ArgumentTypeError(f"{item}: not one of {', '.join(allowed)}")
        return chosen
    return parse


def pair(text):
    if "=" not in text:
        raise argparse.ArgumentTypeError("not NAME=VALUE")
    return text


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="about a minute in all")
    parser.add_argument("--only", type=list_of(PARTS), default=PARTS, metavar="PART,…",
                        help=", ".join(PARTS))
    parser.add_argument("--servers", type=list_of(SERVERS), default=SERVERS, metavar="SERVER,…",
                        help=", ".join(SERVERS))
    parser.add_argument("--rounds", type=int, help="rounds of every part")
    parser.add_argument("--json", metavar="FILE", help="write all single results there")
    parser.add_argument("--dir", help="where the stores are put (default: the temporary folder)")
    parser.add_argument("--tools", default=os.path.join(REPOSITORY, "build", "bench"),
                        help="folder of loadgen, null_server and slow_sync.so")
    parser.add_argument("--mongrey", default=os.path.join(REPOSITORY, "build", "mongrey-server"),
                        help="the program to measure")
    parser.add_argument("--mongrey-env", type=pair, action="append", default=[],
                        metavar="NAME=VALUE", help="one more setting for mongrey")
    parser.add_argument("--postgrey-lists", action="store_true",
                        help="postgrey with the client white list that it ships")
    options = parser.parse_args()
    options.tools = os.path.abspath(options.tools)
    options.mongrey = os.path.abspath(options.mongrey)
    for tool in ("loadgen", "null_server", "slow_sync.so"):
        if not os.path.exists(os.path.join(options.tools, tool)):
            parser.error(f"{tool} is not in {options.tools}: build it first (make bench-tools)")
    return options


def run_parts(bench, parts):
    functions = {"table": part_table, "onecpu": part_onecpu, "slowsync": part_slowsync,
                 "latency": part_latency, "purge": part_purge, "memory": part_memory,
                 "lists": lambda bench: part_lists(bench, rotated)}
    for part in PARTS:
        if part in parts:
            try:
                functions[part](bench)
            except Trouble as trouble:
                bench.fail(f"{part}: {trouble}")


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # stops the servers, clears the folder
    notes = []
    servers = choose_servers(options, notes)
    parts = list(options.only)
    if options.quick and options.only is PARTS:
        parts.remove("purge")
    folder = tempfile.mkdtemp(prefix="mongrey-bench-", dir=options.dir)
    try:
        machine = describe_machine(folder)
        print("mongrey bench: " + ", ".join(f"{key} {value}" for key, value in machine.items()))
        bench = Bench(options.tools, QUICK if options.quick else FULL, servers, folder,
                      options.rounds, QUICK_SECONDS if options.quick else FULL_SECONDS)
        bench.notes += notes
        if machine["file_system"] in ("tmpfs", "ramfs", "overlay"):
            bench.notes.append(f"the stores were on {machine['file_system']}: syncs may cost "
                               "nothing")
        run_parts(bench, parts)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.print_all(bench.results, bench.memories, bench.notes)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine, "results": bench.results, "memory": bench.memories,
                       "notes": bench.notes}, file, indent=1)
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
