"""settings_def.py: core/policy/settings.def as Python sees it, for the scripts that write documents from it."""
import pathlib
import re
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
ENTRY = re.compile(r"^(SETTING|RULE)\((.*?)\)$", re.DOTALL | re.MULTILINE)
# A string literal, or what stands between two commas outside of one.
PART = re.compile(r'"(?:[^"\\]|\\.)*"|[^",]+|,')


class Setting(NamedTuple):
    type: str
    group: str
    key: str
    variable: str
    default: str
    words: tuple
    flags: frozenset
    help: str
    is_rule: bool

    @property
    def name(self):
        """As `--set` and messages call it."""
        return f"{self.group}.{self.key}" if self.group else self.key


def split(entry):
    """The arguments of a macro; string literals that follow each other are one."""
    parts = [""]
    for token in PART.findall(entry):
        if token == ",":
            parts.append("")
        elif token.startswith('"'):
            parts[-1] += re.sub(r"\\(.)", r"\1", token[1:-1])
        else:
            parts[-1] += token.strip()
    return parts


def settings():
    text = (ROOT / "core/policy/settings.def").read_text()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    for macro, entry in ENTRY.findall(text):
        kind, _, group, key, variable, default, _, _, words, flags, help_text = split(entry)
        yield Setting(kind, group, key, variable, default, tuple(words.split("|")) if words != "NULL" else (),
                      frozenset(flag.strip() for flag in flags.split("|")) - {"0"}, help_text, macro == "RULE")
