"""Reads Prometheus text (format 0.0.4) more strictly than Prometheus does: every line has to be of its place."""

import math
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
HELP = re.compile(rf"# HELP ({NAME}) (\S.*)")
TYPE = re.compile(rf"# TYPE ({NAME}) (counter|gauge|histogram)")
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\n"])*)"(?:,|\Z)')
ESCAPE = re.compile(r"\\(.)")


class Family:
    def __init__(self, name, text):
        self.name, self.help, self.kind = name, text, None
        self.samples = {}  # (name, sorted labels) -> value

    def names(self):
        if self.kind == "histogram":
            return {self.name + end for end in ("_bucket", "_sum", "_count")}
        return {self.name}


def labels_of(text):
    found, at = {}, 0
    while at < len(text):
        label = LABEL.match(text, at)
        if not label or label[1] in found:
            raise ValueError(f"labels: {text!r}")
        found[label[1]] = ESCAPE.sub(lambda e: "\n" if e[1] == "n" else e[1], label[2])
        at = label.end()
    if text.endswith(","):
        raise ValueError(f"labels: {text!r}")
    return found


def check_histogram(family):
    series = {}
    for (name, labels), value in family.samples.items():
        rest = tuple(label for label in labels if label[0] != "le")
        parts = series.setdefault(rest, {"bounds": []})
        if name.endswith("_bucket"):
            parts["bounds"].append((dict(labels)["le"], value))
        else:
            parts[name[len(family.name):]] = value
    if not series:
        raise ValueError(f"{family.name}: no series")
    for parts in series.values():
        bounds = [math.inf if bound == "+Inf" else float(bound) for bound, _ in parts["bounds"]]
        counts = [count for _, count in parts["bounds"]]
        if bounds != sorted(set(bounds)) or bounds[-1] != math.inf:
            raise ValueError(f"{family.name}: bounds {bounds}")
        if counts != sorted(counts):
            raise ValueError(f"{family.name}: counts fall: {counts}")
        if counts[-1] != parts["_count"]:
            raise ValueError(f"{family.name}: +Inf {counts[-1]} is not _count {parts['_count']}")
        lowest = sum((now - before) * bound for now, before, bound
                     in zip(counts, [0, *counts], [0, *bounds]) if now > before)
        if not lowest <= parts["_sum"] or (counts[-1] == 0 and parts["_sum"] != 0):
            raise ValueError(f"{family.name}: _sum {parts['_sum']} is too low for {counts}")


def check_family(family):
    if family.kind is None:
        raise ValueError(f"{family.name}: no TYPE")
    if not family.samples:
        raise ValueError(f"{family.name}: no sample")
    if family.kind == "counter" and not family.name.endswith("_total"):
        raise ValueError(f"{family.name}: a counter ends with _total")
    if family.kind != "counter" and family.name.endswith("_total"):
        raise ValueError(f"{family.name}: only a counter ends with _total")
    if not family.name.startswith(("mongrey_", "process_")):
        raise ValueError(f"{family.name}: whose?")
    if family.kind == "histogram":
        check_histogram(family)
    if family.kind == "counter" and min(family.samples.values()) < 0:
        raise ValueError(f"{family.name}: below nothing")


def parse(text):
    """The families by name."""
    families, family = {}, None
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    for line in text[:-1].split("\n"):
        told, kind, sample = HELP.fullmatch(line), TYPE.fullmatch(line), SAMPLE.fullmatch(line)
        if told:
            if family:
                check_family(family)
            if told[1] in families:
                raise ValueError(f"{told[1]} twice")
            family = families[told[1]] = Family(told[1], told[2])
        elif kind:
            if not family or kind[1] != family.name or family.kind or family.samples:
                raise ValueError(f"TYPE out of place: {line!r}")
            family.kind = kind[2]
        elif sample:
            if not family or sample[1] not in family.names():
                raise ValueError(f"sample out of place: {line!r}")
            key = sample[1], tuple(sorted(labels_of(sample[2] or "").items()))
            if key in family.samples:
                raise ValueError(f"twice: {line!r}")
            family.samples[key] = float(sample[3])
        else:
            raise ValueError(f"no line of the format: {line!r}")
    check_family(family)
    return families


def value(families, name, **labels):
    """One sample."""
    for family in families.values():
        if name in family.names():
            return family.samples[name, tuple(sorted(labels.items()))]
    raise KeyError(name)
