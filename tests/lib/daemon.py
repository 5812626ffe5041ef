"""mongrey-server as a process of a test: its folder, its settings, its log, its end."""

import os
import pwd
import re
import signal
import subprocess

from lib import logline, place, policy

LISTENING = re.compile(rb"listening on (unix:\S+|\S+:\d+)")
SANITIZER = re.compile(rb"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|MemorySanitizer|runtime error:).*")


def clean_environment(folder):
    """Nothing of the caller's mongrey settings or home gets in; a sanitizer's options do."""
    kept = {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8", "TZ": "UTC",
            "MONGREY_SERVER_SETTINGS": str(folder / "server.yml"), **kept}


def run_command(folder, *arguments, text=None, environment=None, timeout=20):
    """A command of mongrey-server that ends by itself."""
    settings = folder / "server.yml"
    if not settings.exists():
        settings.write_text("# nothing is set here\n")
    variables = clean_environment(folder)
    variables["MONGREY_DB"] = f"sqlite:///{folder}/mongrey.db"
    variables.update({name: str(value) for name, value in (environment or {}).items()})
    return subprocess.run([str(place.SERVER), *map(str, arguments)], env=variables, cwd=folder, text=True,
                          input=text or "", capture_output=True, timeout=timeout, check=False)


def parse_address(text):
    """`127.0.0.1:9`, `[::1]:9` or `unix:/path` as Client takes it."""
    if text.startswith("unix:"):
        return text[len("unix:"):]
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


class Daemon:
    """One mongrey-server. Each variable is a setting of its environment; settings is the text of its YAML file."""

    def __init__(self, settings="", arguments=(), wrapper=(), user=None, program=None, folder=None, **variables):
        self.own_folder = folder is None
        self.folder = folder or place.new_folder(owner=user)
        self.settings = self.folder / "server.yml"
        self.settings.write_text(settings or "# nothing is set here\n")
        self.database = self.folder / "mongrey.db"
        self.log_path = self.folder / "log"
        self.command = [*wrapper, str(program or place.SERVER), *map(str, arguments), "start"]
        self.user = user
        self.environment = clean_environment(self.folder)
        self.environment["MONGREY_DB"] = f"sqlite:///{self.database}"
        self.environment["MONGREY_HOST"] = "127.0.0.1"
        self.environment["MONGREY_PORT"] = str(place.free_port())
        self.environment.update({name: str(value) for name, value in variables.items()})
        self.process = None
        self.parsed, self.parsed_size = [], 0
        self.addresses = []
        self.client = None

    def start(self):
        if not place.SERVER.exists():
            raise FileNotFoundError(f"{place.SERVER} is not there: run make, or set MONGREY_BUILD")
        before = self.log_size()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, cwd=self.folder,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self.identity())
        listeners = len(self.environment["MONGREY_HOST"].split(","))
        place.wait_for(lambda: self.has_ended() or len(self.listening(before)) >= listeners,
                       "the line `listening on`", 30)
        if self.has_ended():
            raise AssertionError(f"the daemon ended with {self.process.returncode}:\n{self.tail()}")
        self.addresses = [parse_address(text.decode()) for text in self.listening(before)]
        return self

    def identity(self):
        if not self.user:
            return {}
        account = pwd.getpwnam(self.user)
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def listening(self, offset):
        return LISTENING.findall(self.log(offset))

    @property
    def pid(self):
        return self.process.pid

    @property
    def address(self):
        return self.addresses[0]

    def has_ended(self):
        return self.process.poll() is not None

    def connect(self, source=None, timeout=10):
        return policy.Client(self.address, source=source, timeout=timeout)

    def ask(self, **attributes):
        """Asks over one connection that lasts as long as the daemon."""
        if not self.client:
            self.client = self.connect()
        return self.client.ask(**attributes)

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Asks it to end, and returns its exit status."""
        self.forget_client()
        if not self.has_ended():
            self.send_signal(number)
        return self.wait()

    def wait(self, seconds=15):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the daemon did not end within {seconds} s:\n{self.tail()}") from None

    def kill(self):
        """Ends it as a power cut would, but for what the kernel holds."""
        self.forget_client()
        self.process.kill()
        self.process.wait()

    def forget_client(self):
        if self.client:
            self.client.drop()
            self.client = None

    def log_size(self):
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def log(self, offset=0):
        with open(self.log_path, "rb") as log:
            log.seek(offset)
            return log.read()

    def tail(self, lines=40):
        return b"\n".join(self.log().split(b"\n")[-lines:]).decode(errors="backslashreplace")

    def wait_log(self, pattern, offset=0, seconds=5):
        """Waits for a log line, and returns the match."""
        wanted = re.compile(pattern.encode() if isinstance(pattern, str) else pattern)
        return place.wait_for(lambda: wanted.search(self.log(offset)), f"log line {pattern!r}", seconds)

    def decisions(self, **wanted):
        """The decisions whose fields are as wanted (text or bytes)."""
        self.parse_log()
        octets = {name: value if isinstance(value, bytes) else str(value).encode() for name, value in wanted.items()}
        return [found for found in self.parsed if octets.items() <= found.items()]

    def parse_log(self):
        """Reads on from where it had come to, as far as there are whole lines; a forged one fails one test, not all."""
        whole, end, _ = self.log(self.parsed_size).rpartition(b"\n")
        self.parsed_size += len(whole) + len(end)
        self.parsed += logline.decisions(whole)

    def reasons(self, **wanted):
        """The reasons of these decisions in their order; a line may reach the log a moment after its answer."""
        place.wait_for(lambda: self.decisions(**wanted), f"a decision on {wanted}", 5)
        return [found["reason"].decode() for found in self.decisions(**wanted)]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident_bytes(self):
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def close(self):
        """The end of a test: by its own pid, in any case; a bad end or a sanitizer's finding fails the test."""
        try:
            if self.process and self.process.returncode is None:
                status = self.stop()
                assert status == 0, f"the daemon ended with {status}:\n{self.tail()}"
            found = SANITIZER.search(self.log()) if self.log_path.exists() else None
            assert not found, f"a sanitizer reports:\n{self.tail(80)}"
        finally:
            if self.own_folder:
                place.remove_folder(self.folder)
