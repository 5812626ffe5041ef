#!/usr/bin/python3
"""Does the conformance suite notice a driver that is wrong? One transition of each driver is broken on purpose, in a copy
of its sources, and the suite must fail on it.

usage: broken_drivers.py CONFORMANCE DRIVER URL [NUMBER]       URL: as for the suite, with %s

The last line is `N passed, N failed`. (tests/conformance/notices.c does the same for every rule, with the memory driver.)"""

import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent

# For each driver: (file, what stands there once, what stands there instead, cases that should notice).
BREAKS = {
    "sqlite": [
        ("entries.c", "had_passed = alive && row->passes > 0", "had_passed = alive && row->passes > 1", "*"),
        ("entries.c", "(uint8_t)(i + 1);\n            *alive = true", "0;\n            *alive = true", "alternate*"),
        ("entries.c", "row->expires > s->now ? OWN_ALIVE", "row->expires >= s->now ? OWN_ALIVE", "grey*"),
        ("counters.c", "c.row.count < s->count", "c.row.count <= s->count", "take*"),
        ("records.c", "SQL_REVISION_MOVE", "SQL_REVISION_GET", "revision*"),
    ],
}


def flags(driver):
    """How the Makefile compiles and links it."""
    told = subprocess.run(["make", "-s", f"driver-flags-{driver}"], cwd=ROOT, check=True, capture_output=True, text=True)
    return shlex.split(told.stdout)


def build(driver, folder, change):
    sources = folder / "drivers" / driver
    shutil.rmtree(folder / "drivers", ignore_errors=True)
    shutil.copytree(ROOT / "drivers", folder / "drivers")
    if change:
        name, old, new = change
        text = (sources / name).read_text()
        if text.count(old) < 1:
            raise SystemExit(f"drivers/{driver}/{name} does not hold {old!r} any more: change BREAKS")
        (sources / name).write_text(text.replace(old, new, 1))
    made = folder / f"{driver}.so"
    compiler, *options = flags(driver)
    subprocess.run([compiler, f"-I{folder}", f"-I{ROOT}", f"-I{ROOT / 'include'}", "-fPIC", "-shared", "-w", "-o", str(made),
                    *map(str, sorted(sources.glob("*.c"))), *options], check=True)
    return made


def fails(conformance, library, url, cases):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CMOCKA_")}
    environment.update(MONGREY_CASE=cases, MONGREY_STEPS="300")
    done = subprocess.run([conformance, str(library), url], env=environment, check=False, timeout=600,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    ran = "[ RUN      ]" in done.stdout
    return ran, done.returncode != 0


def main():
    conformance, driver, url = sys.argv[1:4]
    passed = failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        every = sorted({cases for *_, cases in BREAKS[driver]})
        whole = build(driver, folder, None)
        for cases in every:  # a driver as it is passes what the broken one is to fail
            ran, bad = fails(conformance, whole, url, cases)
            if not ran or bad:
                failed += 1
                print(f"{driver} as it is: {cases} {'fails' if ran else 'runs no case'}")
        for source, old, new, cases in BREAKS[driver]:
            ran, bad = fails(conformance, build(driver, folder, (source, old, new)), url, cases)
            passed += ran and bad
            failed += not (ran and bad)
            print(f"{driver} {source}: {old!r} -> {new!r}: {'noticed' if ran and bad else 'NOT NOTICED'}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
