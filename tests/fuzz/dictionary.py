#!/usr/bin/env python3
"""Writes a libFuzzer dictionary from the tables of the core.

    dictionary.py attributes core/policy/attributes.def > request.dict
    dictionary.py settings core/policy/settings.def > settings.dict
"""

import re
import sys


def attributes(text):
    names = re.findall(r"^ATTRIBUTE\((\w+)\)", text, re.MULTILINE)
    return [name + "=" for name in names] + ["request=smtpd_access_policy\\x0a", "\\x0a\\x0a", "RCPT"]


def settings(text):
    found = []
    for row in re.findall(r"^(?:SETTING|RULE)\((.*?)\)\n", text, re.MULTILINE | re.DOTALL):
        strings = re.findall(r'"((?:[^"\\]|\\.)*)"', row)
        group, key, _, default = strings[:4]
        words = re.search(r'"(\w+(?:\|\w+)+)"', row)
        found += [group + ":\\x0a  " if group else "", key + ": ", default]
        found += words.group(1).split("|") if words else []
    return found + ["[", "]", "{", "}", "- ", "''", "\\x0a", "~", "null", "unix:/", "::1", "/24", "35d", "64MiB"]


def main():
    kind, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    for word in dict.fromkeys({"attributes": attributes, "settings": settings}[kind](text)):
        if word:
            escaped = word.replace('"', '\\"')
            print(f'"{escaped}"')


main()
