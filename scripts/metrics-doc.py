#!/usr/bin/python3
"""metrics-doc.py [--check]: writes docs/metrics.md from core/server/metrics.def, or says whether it is as that has it."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/metrics.md"
HEAD = """# Metrics

What `/metrics` on `metrics_listen` serves, as Prometheus text 0.0.4. Made from `core/server/metrics.def` by
`scripts/metrics-doc.py`; a name is for ever.

| name | type | labels | what it is |
| --- | --- | --- | --- |
"""


def rows():
    text = re.sub(r"/\*.*?\*/", "", (ROOT / "core/server/metrics.def").read_text(), flags=re.S)
    for sort, entry in re.findall(r"^(METRIC\w*)\((.*?)\)$", text, flags=re.S | re.M):
        strings = re.findall(r'"((?:[^"\\]|\\.)*)"', entry)
        kind = "histogram" if sort == "METRIC_HISTOGRAM" else entry.split(",")[0].strip()
        count = {"METRIC_EACH": 1, "METRIC_TABLE": 2}.get(sort, 0)
        labels, (name, *told) = strings[:count], strings[count:]
        yield name, kind, ["le"] if kind == "histogram" else labels, "".join(told)


def page():
    return HEAD + "".join(f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {told} |\n"
                          for name, kind, labels, told in rows())


def main():
    if "--check" not in sys.argv:
        PAGE.write_text(page())
    elif not PAGE.exists() or PAGE.read_text() != page():
        sys.exit("docs/metrics.md is not as metrics.def has it: run make man")


if __name__ == "__main__":
    main()
