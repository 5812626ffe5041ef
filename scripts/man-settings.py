#!/usr/bin/python3
"""man-settings.py [--check]: writes the settings of core/policy/settings.def into the manual page, or
says whether the page has them as they are."""
import sys

sys.dont_write_bytecode = True
import settings_def

PAGE = settings_def.ROOT / "packaging/man/mongrey-server.8"
BEGIN, END = '.\\" settings begin', '.\\" settings end\n'


def rows():
    for s in settings_def.settings():
        if "RETIRED" in s.flags:
            continue
        later = " (not built yet)" if "LATER" in s.flags else ""
        yield s.name, s.variable, s.default, "START" in s.flags, s.help + later


def roff(text):
    return text.replace("\\", "\\e").replace("-", "\\-")


def page_part():
    lines = []
    for name, variable, default, start, help_text in rows():
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
