"""Where things are: the programs under test, a folder for one test, a free port."""

import os
import pathlib
import pwd
import random
import shutil
import socket
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MONGREY_BUILD", REPOSITORY / "build")).resolve()
SERVER = BUILD / "mongrey-server"

# The kernel hands out ports from 32768 up: one taken from there could be given away between our look and our use.
_ports = iter(random.SystemRandom().sample(range(20000, 32700), 8000))


def free_port(family=socket.AF_INET, address="127.0.0.1"):
    """A TCP port that nobody listens on, never the same one twice in a run."""
    for port in _ports:
        with socket.socket(family) as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


def new_folder(owner=None):
    """A folder that service users may enter (pytest's own tmp_path is closed to them)."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mongrey-"))
    folder.chmod(0o755)
    if owner:
        account = pwd.getpwnam(owner)
        os.chown(folder, account.pw_uid, account.pw_gid)
    return folder


def is_sanitized():
    """A sanitizer keeps freed memory back, so that what the daemon holds says nothing."""
    return any(mark in SERVER.read_bytes() for mark in (b"__asan_init", b"__tsan_init"))


def remove_folder(folder):
    shutil.rmtree(folder, ignore_errors=True)


def copy_programs(folder):
    """The daemon and its drivers where every user can reach them: the build may lie below somebody's closed home."""
    target = pathlib.Path(folder) / "bin"
    target.mkdir(mode=0o755)
    shutil.copy(SERVER, target)
    if (BUILD / "drivers").is_dir():
        (target / "drivers").mkdir(mode=0o755)
        for driver in (BUILD / "drivers").glob("*.so"):
            shutil.copy(driver, target / "drivers")
    return target / SERVER.name


def wait_for(condition, what, seconds=10):
    """Looks until condition() gives something true, and returns it."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(0.01)
