#!/usr/bin/python3
"""man-settings.py [--check]: writes the settings of core/policy/settings.def into the manual page, or
says whether the page has them as they are."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "packaging/man/mongrey-server.8"
BEGIN, END = '.\\" settings begin', '.\\" settings end\n'


def rows():
    text = (ROOT / "core/policy/settings.def").read_text()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    for entry in re.findall(r"^(?:SETTING|RULE)\((.*?)\)$", text, flags=re.S | re.M):
        strings = re.findall(r'"((?:[^"\\]|\\.)*)"', entry)
        group, key, variable, default = strings[:4]
        words = bool(re.search(r"\b0, 0,\s*\"", entry))
        flat = re.sub(r"\s+", " ", entry)
        if ", RETIRED," in flat:
            continue
        start = ", START" in flat
        help_text = "".join(strings[5:] if words else strings[4:])
        if ", LATER," in flat or "| LATER," in flat:
            help_text += " (not built yet)"
        yield group, key, variable, default, start, help_text


def roff(text):
    return text.replace("\\", "\\e").replace("-", "\\-")


def page_part():
    lines = []
    for group, key, variable, default, start, help_text in rows():
        name = f"{group}.{key}" if group else key
        lines += [".TP", f".B {roff(name)}",
                  roff(f"{help_text}. ${variable}; default {default or 'empty'}"
                       f"{' (start)' if start else ''}.")]
    return "\n".join(lines) + "\n"


def main():
    page = PAGE.read_text()
    start = page.index("\n", page.index(BEGIN)) + 1
    fresh = page[:start] + page_part() + page[page.index(END):]
    if "--check" in sys.argv:
        if fresh != page:
            sys.exit("the manual's settings are not those of settings.def: run make man")
        return
    PAGE.write_text(fresh)


if __name__ == "__main__":
    main()
