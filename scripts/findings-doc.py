#!/usr/bin/python3
"""findings-doc.py [--check]: writes docs/config-check.md and the manual page's list from core/lint/findings.def, or
says whether they are as that has them."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "core/lint/findings.def"
MANUAL = ROOT / "packaging/man/mongrey-server.8"
BEGIN, END = '.\\" findings begin', '.\\" findings end\n'
PAGE = ROOT / "docs/config-check.md"
HEAD = """# config-check

`mongrey-server config-check` reads settings, lists and policies and reports what cannot work or surely isn't meant:
a line a finding, `LEVEL: PLACE: what is wrong; what to do [code]`, and a last line that counts them. `--fixtures FILE`
checks the records of a file in place of the store's, `--quiet` prints the findings alone. Where the store is away it says
so and checks the settings alone.

It tells only what is certain: where another policy might set the other half, nothing. An `error` cannot work as written, or
does harm; a `warning` surely isn't meant. The status is 1 where anything was found, whichever level, 0 where nothing was,
78 where settings, file or store cannot be read.

Made from `core/lint/findings.def` by `scripts/findings-doc.py`; a code keeps its meaning.

| code | level | what it is |
| --- | --- | --- |
"""


def rows():
    text = re.sub(r"/\*.*?\*/", "", TABLE.read_text(), flags=re.S)
    for level, entry in re.findall(r"^FINDING\(\w+, (\w+),(.*?)\)$", text, flags=re.S | re.M):
        code, *told = re.findall(r'"((?:[^"\\]|\\.)*)"', entry)
        yield level.lower(), code, "".join(told)


def roff(text):
    return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")


def manual():
    page = MANUAL.read_text()
    start = page.index("\n", page.index(BEGIN)) + 1
    lines = [f".TP\n.BR {roff(code)} \" ({level})\"\n{roff(told)}\n" for level, code, told in rows()]
    return page[:start] + "".join(lines) + page[page.index(END):]


def page():
    return HEAD + "".join(f"| `{code}` | {level} | {told} |\n" for level, code, told in rows())


def main():
    for path, fresh in ((MANUAL, manual()), (PAGE, page())):
        if "--check" not in sys.argv:
            path.write_text(fresh)
        elif not path.exists() or path.read_text() != fresh:
            sys.exit(f"{path.relative_to(ROOT)} is not as findings.def has it: run make man")


if __name__ == "__main__":
    main()
