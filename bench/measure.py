"""One measurement: the load generator, the server's CPU time meanwhile, and the check of both."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager

from servers import DELAY, Running, Trouble


class Bench:
    """What all parts share: the tools, the folder, the results so far."""

    def __init__(self, tools, extent, servers, folder, rounds, budget):
        self.tools = tools
        self.extent = extent
        self.rounds = rounds
        self.servers = servers
        self.folder = folder
        self.results = []
        self.memories = []
        self.notes = []
        self.failed = False
        self.started = time.monotonic()
        self.budget = budget
        self.clock = int(time.time())
        self.folders = 0

    def rounds_of(self, part):
        return self.rounds or self.extent[part]["rounds"]

    def late(self):
        return time.monotonic() - self.started > self.budget

    def say(self, text):
        print(f"[{time.monotonic() - self.started:4.0f} s] {text}", file=sys.stderr, flush=True)

    def fail(self, text):
        self.failed = True
        self.notes.append("FAILED: " + text)
        self.say(text)

    @contextmanager
    def running(self, names, cpu=None, environment=None):
        """Starts the named servers, each in a new folder, and stops and clears them away."""
        with ExitStack() as stack:
            group = []
            for name in names:
                if name not in self.servers:
                    continue
                self.folders += 1
                folder = os.path.join(self.folder, f"{self.folders}-{name}")
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
                try:
                    running = Running(self.servers[name], folder, cpu, environment)
                except Trouble as trouble:
                    self.fail(str(trouble))
                    continue
                stack.callback(running.stop)
                group.append(running)
            yield group

    def load(self, running, part, mode, **options):
        """One measurement. Each has keys of its own, and a test clock after that of the last."""
        load = Load(self, running, mode, **options)
        result = load.start()
        result.update(part=part, server=running.name)
        self.check(running, result, load.complaints)
        return result

    def measure(self, running, part, mode, **options):
        result = self.load(running, part, mode, **options)
        self.results.append(result)
        self.say(f"{part}: {running.name}, {mode}, {result['connections']} connections: "
                 f"{result['rate']:,.0f}/s, p99 {result['p99_us'] / 1000:.2f} ms, "
                 f"CPU {result['cpu_us']:.2f} us")
        return result

    def check(self, running, result, complaints):
        asked = max(result["asked"], 1)  # priming included
        lines = running.count_log_lines(running.server.log_lines * asked)
        running.forget_log()
        result["log_lines"] = lines / asked
        if lines < running.server.log_lines * asked:
            self.notes.append(f"{running.name} logged {lines / asked:.2f} lines a request in "
                              f"mode {result['mode']}: less work than its peers")
        if result["wrong"] or result["broken"]:
            self.fail(f"{running.name}, {result['part']}, {result['mode']}: {result['wrong']} "
                      f"wrong answers of {result['requests']}; {' '.join(complaints)}")


class Load:
    """One run of the load generator, with the server's CPU time over the measured part alone."""

    next_seed = 1

    def __init__(self, bench, running, mode, connections=50, seconds=1, requests=None, keys=1000,
                 rate=None, cpu=None, hold=False, at=None):
        self.bench = bench
        self.running = running
        self.cpu = cpu
        self.hold = hold
        self.complaints = []
        Load.next_seed += 1
        bench.clock += 2 * DELAY + seconds
        self.command = [
            os.path.join(bench.tools, "loadgen"), "--gate", "--port", str(running.port),
            "--mode", mode, "--connections", str(connections), "--keys", str(keys),
            "--seed", str(Load.next_seed), "--time", str(at or bench.clock), "--delay", str(DELAY),
        ]
        self.command += ["--requests", str(requests)] if requests else ["--seconds", str(seconds)]
        self.command += ["--rate", str(rate)] if rate else []
        self.command += ["--hold"] if hold else []
        self.command += ["--any"] if running.server.any_answer else []

    def start(self):
        """Runs it until it holds its connections (`hold`) or has ended."""
        prepare = None
        if self.cpu is not None:
            prepare = lambda: os.sched_setaffinity(0, {self.cpu})
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, preexec_fn=prepare)
        for line in self.process.stderr:
            if line.startswith("primed "):
                break
            self.complaints.append(line.strip())
        reader = threading.Thread(target=self._read_complaints)
        reader.start()
        before = self.running.cpu_seconds()
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has failed, and said why
        line = self.process.stdout.readline()
        used = self.running.cpu_seconds() - before
        if not self.hold:
            self.finish()
        reader.join(0 if self.hold else None)
        return self._result(line, used)

    def _read_complaints(self):
        self.complaints += [line.strip() for line in self.process.stderr]

    def _result(self, line, used):
        if not line:
            self.finish()
            raise Trouble(f"{self.running.name}: the load generator failed: "
                          f"{' '.join(self.complaints)}")
        result = json.loads(line)
        result["cpu_us"] = used * 1e6 / max(result["requests"], 1)
        return result

    def finish(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait()
