"""Plain-text tables of what was measured. Knows the results' fields, nothing of processes."""

import statistics

NUMBERS = (
    "rate", "p50_us", "p99_us", "p999_us", "max_us", "cpu_us", "loadgen_cpu_us",
    "syncs", "offered_rate", "highest_rate", "log_lines", "entries",
)


def medians(results):
    """One entry for all runs of the same thing, with the median of each number."""
    groups = {}
    for result in results:
        key = (result["part"], result["server"], result["mode"], result["connections"])
        groups.setdefault(key, []).append(result)
    found = {}
    for key, runs in groups.items():
        entry = {"runs": len(runs)}
        for field in NUMBERS:
            values = [run[field] for run in runs if run.get(field) is not None]
            if values:
                entry[field] = statistics.median(values)
        rates = [run["rate"] for run in runs]
        entry["spread"] = (max(rates) - min(rates)) / max(entry["rate"], 1e-9)
        found[key] = entry
    return found


def ratio(entry, other, field):
    if entry is None or other is None or not other.get(field) or entry.get(field) is None:
        return None
    return entry[field] / other[field]


def show(value, form):
    return "-" if value is None else format(value, form)


def milliseconds(entry, field):
    return show(entry[field] / 1000 if field in entry else None, ",.2f")


def print_table(title, heads, rows):
    if not rows:
        return
    widths = [max(len(row[i]) for row in [heads] + rows) for i in range(len(heads))]
    print(f"\n{title}")
    for row in [heads, ["-" * width for width in widths]] + rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  " + "  ".join(cells).rstrip())


def print_speeds(found, part, title, extra=None):
    """The servers side by side; `extra` is a further column: its head, its field and its format."""
    heads = ["mode, connections", "server", "req/s", "/null", "/postgrey", "p50 ms", "p99 ms",
             "CPU us/req", "/null", "/postgrey", "spread %"]
    rows = []
    cells = list(dict.fromkeys(key[2:] for key in found if key[0] == part))
    for mode, connections in cells:
        null = found.get((part, "null", mode, connections))
        postgrey = found.get((part, "postgrey", mode, connections))
        label = f"{mode}, {connections}"
        for (a_part, server, a_mode, a_connections), entry in found.items():
            if (a_part, a_mode, a_connections) != (part, mode, connections):
                continue
            row = [label, server, show(entry["rate"], ",.0f"),
                   show(ratio(entry, null, "rate"), ".3f"),
                   show(ratio(entry, postgrey, "rate"), ".2f"),
                   milliseconds(entry, "p50_us"), milliseconds(entry, "p99_us"),
                   show(entry.get("cpu_us"), ".2f"),
                   show(ratio(entry, null, "cpu_us"), ".2f"),
                   show(ratio(entry, postgrey, "cpu_us"), ".3f"),
                   show(100 * entry["spread"] if entry["runs"] > 1 else None, ".0f")]
            if extra:
                row.append(show(entry.get(extra[1]), extra[2]))
            rows.append(row)
            label = ""
    print_table(title, heads + ([extra[0]] if extra else []), rows)


def print_latencies(found, part, title):
    rows = []
    for (a_part, server, mode, connections), entry in found.items():
        if a_part == part:
            rows.append([f"{mode}, {connections}", server, show(entry.get("highest_rate"), ",.0f"),
                         show(entry.get("offered_rate"), ",.0f"), show(entry["rate"], ",.0f"),
                         milliseconds(entry, "p50_us"), milliseconds(entry, "p99_us"),
                         milliseconds(entry, "p999_us"), milliseconds(entry, "max_us")])
    heads = ["mode, connections", "server", "highest/s", "offered/s", "done/s", "p50 ms", "p99 ms",
             "p99.9 ms", "max ms"]
    print_table(title, heads, rows)


def print_memory(memories):
    rows = []
    for memory in memories:
        rows.append([memory["server"], f"{memory['idle'] / 2**20:.1f}",
                     f"{memory['warm'] / 2**20:.1f}",
                     f"{memory['per_connection']:,.0f}",
                     f"{memory['per_key']:,.0f}", f"{memory['keys']:,}"])
    heads = ["server", "idle MiB", "warm MiB", "bytes/idle connection", "bytes/known key",
             "known keys"]
    print_table("Private memory", heads, rows)


def goals(found, memories):
    """What the specification asks for beside what was seen."""
    def get(part, server, mode, connections=50):
        return found.get((part, server, mode, connections))

    def goal(label, value, form, limit, at_most):
        if value is not None:
            reached = value <= limit if at_most else value >= limit
            sign = "<=" if at_most else ">="
            rows.append([label, format(value, form), f"{sign} {limit}",
                         "yes" if reached else "no"])

    rows = []
    for mode, share in (("known", 0.5), ("new", 0.17)):
        mine = get("onecpu", "mongrey", mode)
        goal(f"{mode}: share of null on one CPU",
             ratio(mine, get("onecpu", "null", mode), "rate"), ".3f", share, False)
        goal(f"{mode}: CPU us a request, one CPU", (mine or {}).get("cpu_us"), ".2f",
             5 if mode == "known" else 18, True)
    goal("new: times postgrey", ratio(get("table", "mongrey", "new"),
                                      get("table", "postgrey", "new"), "rate"), ".1f", 8, False)
    lists = [entry for key, entry in found.items() if key[0] == "lists"]
    lists.sort(key=lambda entry: entry.get("entries", 0))
    if len(lists) == 2:
        goal(f"{lists[1]['entries']:,.0f} list entries against {lists[0]['entries']:.0f}, CPU",
             ratio(lists[1], lists[0], "cpu_us"), ".3f", 1.1, True)
    slow = get("slowsync", "mongrey", "new")
    goal("new, 1 ms syncs: times postgrey",
         ratio(slow, get("slowsync", "postgrey", "new"), "rate"), ".1f", 30, False)
    goal("new, 1 ms syncs: share of null+journal",
         ratio(slow, get("slowsync", "null+journal", "new"), "rate"), ".3f", 0.85, False)
    for part, label in (("latency", "known: p99 ms at 70 %"), ("purge", "known: p99 ms, purging")):
        entry = get(part, "mongrey", "known")
        goal(label, entry["p99_us"] / 1000 if entry else None, ".2f", 2, True)
    for memory in memories:
        if memory["server"] == "mongrey":
            goal("private memory, idle, MiB", memory["idle"] / 2**20, ".1f", 12, True)
            goal("bytes an idle connection", memory["per_connection"], ".0f", 2048, True)
            goal("bytes a known key", memory["per_key"], ".0f", 160, True)
    return rows


def print_all(results, memories, notes):
    found = medians(results)
    print_speeds(found, "table", "Both CPUs (figures depend on how the machine places threads)")
    print_speeds(found, "onecpu", "One CPU: server and load generator share it")
    print_speeds(found, "lists", "Beside lists of so many entries of each kind, one CPU")
    print_speeds(found, "slowsync", "Every sync takes 1 ms more", ("syncs/req", "syncs", ".4f"))
    print_latencies(found, "latency", "Open loop at 70 % of the highest load")
    print_latencies(found, "purge", "The same while expired rows are purged")
    print_memory(memories)
    print_table("Goals (figures, not tests)", ["figure", "seen", "goal", "reached"],
                goals(found, memories))
    if notes:
        print("\nNotes")
        for note in dict.fromkeys(notes):
            print(f"  - {note}")
