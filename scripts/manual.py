#!/usr/bin/python3
"""manual.py [--check]: writes the settings of core/policy/settings.def into the manual's settings.md, in English
and French, or says whether the pages have them as they are. docs/manual/fr/settings.tsv has the French texts."""
import pathlib
import sys

sys.dont_write_bytecode = True
import settings_def

ROOT = settings_def.ROOT
MANUAL = ROOT / "docs/manual"
BEGIN, END = "<!-- settings begin: written by scripts/manual.py -->\n", "<!-- settings end -->\n"

WORDS = {
    "en": {
        "head": ("key", "variable", "default", "", "meaning"), "empty": "empty", "one of": "One of",
        "policy": "policy", "start": "start", "later": "later",
        "retired": ("key", "variable", "what to know"),
        "titles": ("Server and log", "Store: `db_settings`", "Cache: `cache_settings`",
                   "For all mail: `policy_settings`", "For all mail or by policy: `policy_settings`",
                   "Without effect: settings of 0.4.4"),
    },
    "fr": {
        "head": ("clé", "variable", "défaut", "", "signification"), "empty": "vide", "one of": "Au choix",
        "policy": "politique", "start": "démarrage", "later": "plus tard",
        "retired": ("clé", "variable", "à savoir"),
        "titles": ("Serveur et journal", "Base : `db_settings`", "Cache : `cache_settings`",
                   "Pour tout le courrier : `policy_settings`",
                   "Pour tout le courrier ou par politique : `policy_settings`",
                   "Sans effet : réglages de la 0.4.4"),
    },
}

GROUPS = (
    lambda s: s.group == "",
    lambda s: s.group == "db_settings",
    lambda s: s.group == "cache_settings",
    lambda s: s.group == "policy_settings" and not s.is_rule,
    lambda s: s.is_rule,
)


def french_helps(settings):
    """The French text of each setting; one that is missing, or of no setting, ends it."""
    path = MANUAL / "fr/settings.tsv"
    lines = [line.split("\t") for line in path.read_text().splitlines() if line]
    bad = [line[0] for line in lines if len(line) != 2 or not line[1].strip()]
    helps = {line[0]: line[1] for line in lines if len(line) == 2}
    names = [s.name for s in settings]
    missing = [name for name in names if name not in helps]
    extra = [name for name in helps if name not in names]
    for what, which in (("is no line `key<TAB>text`", bad), ("has no French text", missing),
                        ("is no setting", extra), ("comes twice", twice([line[0] for line in lines]))):
        if which:
            sys.exit(f"{path.relative_to(ROOT)}: {', '.join(which)} {what}")
    return helps


def twice(names):
    return sorted({name for name in names if names.count(name) > 1})


def cell(text):
    return text.replace("|", "\\|")


def row(cells):
    return "| " + " | ".join(cells) + " |"


def marks(setting, words):
    found = [words["policy"]] if setting.is_rule else []
    found += [words[flag.lower()] for flag in ("START", "LATER") if flag in setting.flags]
    return ", ".join(found)


def table(settings, helps, words):
    lines = [row(words["head"]), row(["---"] * 5)]
    for s in settings:
        default = f"`{s.default}`" if s.default else words["empty"]
        text = helps[s.name]
        if s.words:
            text += f". {words['one of']}: " + ", ".join(f"`{word}`" for word in s.words)
        lines.append(row([f"`{s.key}`", f"`{s.variable}`", cell(default), marks(s, words), cell(text)]))
    return lines


def retired_table(settings, helps, words):
    lines = [row(words["retired"]), row(["---"] * 3)]
    return lines + [row([f"`{s.name}`", f"`{s.variable}`", cell(helps[s.name])]) for s in settings]


def part(settings, language):
    words = WORDS[language]
    helps = {s.name: s.help for s in settings} if language == "en" else french_helps(settings)
    in_force = [s for s in settings if "RETIRED" not in s.flags]
    lines = []
    for title, belongs in zip(words["titles"], GROUPS):
        lines += ["", f"## {title}", "", *table([s for s in in_force if belongs(s)], helps, words)]
    lines += ["", f"## {words['titles'][-1]}", ""]
    lines += retired_table([s for s in settings if "RETIRED" in s.flags], helps, words)
    if language == "fr":
        lines = [line.replace("Au choix:", "Au choix :") for line in lines]
    return "\n".join(lines[1:]) + "\n\n"


def page(path, language, settings):
    text = path.read_text()
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    return text, text[:start] + "\n" + part(settings, language) + text[end:]


def main():
    settings = list(settings_def.settings())
    for language in WORDS:
        path = MANUAL / language / "settings.md"
        old, fresh = page(path, language, settings)
        if old != fresh and "--check" in sys.argv:
            sys.exit(f"{path.relative_to(ROOT)} has not the settings of settings.def: run make man")
        if old != fresh:
            path.write_text(fresh)


if __name__ == "__main__":
    main()
