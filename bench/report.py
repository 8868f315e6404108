# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables and the plot of what run.py measured."""

import math
import re
import statistics

from workloads import RIVALS, WORKLOADS, target

BY_ID = {workload.id: workload for workload in WORKLOADS}
UNITS = {"cpu": "µs CPU", "wall": "µs wall", "idle": "KiB", "start": "ms"}


def medians(result):
    """Of each contestant: median, ratio to bare of the same round, its spread, speed, lost, reordered."""
    found = {}
    for name, rows in result["rows"].items():
        if not rows:
            continue
        ratios = [row["ratio"] for row in rows if "ratio" in row]
        speeds = [row["speed"] for row in rows if "speed" in row]
        found[name] = {
            "value": statistics.median(row["value"] for row in rows),
            "ratio": statistics.median(ratios) if ratios else None,
            "low": min(ratios, default=None),
            "high": max(ratios, default=None),
            "speed": statistics.median(speeds) if speeds else None,
            "lost": sum(row["count"] - row["received"] for row in rows if "received" in row),
            "sent": sum(row["count"] for row in rows if "received" in row),
            "reordered": sum(not row.get("in_order", True) for row in rows),
            "peak": max((row.get("max_rss_kib", 0) for row in rows), default=0),
        }
    return found


def ours(name):
    """The library, or a binding of it."""
    return name.startswith("pond") or "binding" in name


def reached(workload, name, numbers):
    """The target as text, and whether it was reached (None: there is none)."""
    wanted = target(workload, name)
    if not wanted:
        return "", None
    limit, aim = wanted
    seen = numbers["value"] if workload.metric == "idle" else numbers["ratio"]
    text = f"≤ {limit}" + (f", aim {aim}" if aim else "")
    return text, seen is not None and seen <= limit


def short(number):
    if number is None:
        return "–"
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def losses(numbers):
    if not numbers["sent"]:
        return "–"
    text = f"{numbers['lost']:,} of {numbers['sent']:,}" if numbers["lost"] else "0"
    if numbers["reordered"] and not numbers["lost"]:
        text += f", reordered in {numbers['reordered']} rounds"
    return text


def workload_text(workload, result):
    """For the terminal."""
    lines = [f"== {workload.title}; {UNITS[workload.metric]}; load {result['load'][0]:.1f} to {result['load'][1]:.1f}"]
    for name, numbers in medians(result).items():
        text, ok = reached(workload, name, numbers)
        mark = {None: "", True: f"  {text}: reached", False: f"  {text}: NOT reached"}[ok]
        spread = f"({short(numbers['low'])} to {short(numbers['high'])})"
        lost = losses(numbers)
        lines.append(
            f"  {name:23}{short(numbers['value']):>9}  x{short(numbers['ratio']):>7} {spread:18}"
            + (f" speed x{short(numbers['speed'])}" if numbers["speed"] else "")
            + (f"  lost {lost}" if lost not in ("0", "–") else "")
            + mark
        )
    lines += [f"  {name}: FAILED: {why}" for name, why in result["failures"].items()]
    return "\n".join(lines)


def cell(workload, numbers):
    if numbers is None:
        return "–"
    return f"{short(numbers['value'])} KiB" if workload.metric == "idle" else short(numbers["ratio"])


def overview(results):
    """The table of ratios: contestants down, workloads across."""
    columns = [(BY_ID[result["workload"]], medians(result)) for result in results["workloads"]]
    lines = ["| | " + " | ".join(workload.title for workload, _ in columns) + " |", "|---|" + "--:|" * len(columns)]
    for name in sorted(results["titles"], key=lambda n: order(n, columns)):
        cells = [cell(workload, numbers.get(name)) for workload, numbers in columns]
        lines.append(f"| {results['titles'][name]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def order(name, columns):
    """Ours first, then bare and the rest by what they cost."""
    for _, numbers in columns:
        if name in numbers and numbers[name]["ratio"] is not None:
            place = 0 if name == "bare" else 1 if name == "bare-lto" else 2 if name.startswith("pond") else 3 if ours(name) else 4
            return (place, numbers[name]["ratio"])
    return (5, 0)


def targets_table(results):
    lines = ["| workload | way | target | seen | spread | reached |", "|---|---|--:|--:|--:|---|"]
    for result in results["workloads"]:
        workload = BY_ID[result["workload"]]
        for name, numbers in medians(result).items():
            text, ok = reached(workload, name, numbers)
            if ok is None:
                continue
            idle = workload.metric == "idle"
            seen = f"{short(numbers['value'])} KiB" if idle else short(numbers["ratio"])
            spread = "–" if idle else f"{short(numbers['low'])} to {short(numbers['high'])}"
            lines.append(f"| {workload.title} | {results['titles'][name]} | {text}{' KiB' if idle else ''} | {seen} | {spread} | {'yes' if ok else '**no**'} |")
    mine = [(BY_ID[r["workload"]], name, n) for r in results["workloads"] for name, n in medians(r).items() if ours(name)]
    lost = sum(n["lost"] for _, _, n in mine)
    sent = sum(n["sent"] for _, _, n in mine)
    reordered = sum(n["reordered"] for _, _, n in mine)
    lines.append(f"| lost or reordered in any of them | all ways, bindings too | 0 | {lost} of {sent:,} lost, {reordered} trials reordered | – | {'yes' if not lost + reordered else '**no**'} |")
    flood = [n["speed"] for w, name, n in mine if w.id == "small" and name == "pond-push"]
    if flood and flood[0]:
        lines.append(f"| 200 B broadcast, throughput (wall) | library threads | ≥ 0.7 of bare | {short(flood[0])} | – | {'yes' if flood[0] >= 0.7 else '**no**'} |")
    return "\n".join(lines)


def rivals_table(results):
    """What a program gains that takes our binding in the place of its language's client."""
    lines = ["| 200 B broadcast | in the place of | target: cheaper by | seen | lowest to highest | reached |", "|---|---|--:|--:|--:|---|"]
    rows = next((r["rows"] for r in results["workloads"] if r["workload"] == "small"), {})
    for name, rival, wanted in RIVALS:
        theirs = {row["round"]: row["ratio"] for row in rows.get(rival, []) if "ratio" in row}
        gains = [theirs[row["round"]] / row["ratio"] for row in rows.get(name, []) if row.get("ratio") and row["round"] in theirs]
        titles = [results["titles"].get(n, n) for n in (name, rival)]
        if not gains:
            lines.append(f"| {titles[0]} | {titles[1]} | {'≥ %s' % wanted if wanted else '–'} | not measured | – | – |")
            continue
        gain = statistics.median(gains)
        text = f"≥ {wanted}" if wanted else "–"
        verdict = "–" if not wanted else "yes" if gain >= wanted else "**no**"
        lines.append(f"| {titles[0]} | {titles[1]} | {text} | {short(gain)} | {short(min(gains))} to {short(max(gains))} | {verdict} |")
    return "\n".join(lines)


def details(results):
    parts = []
    for result in results["workloads"]:
        workload = BY_ID[result["workload"]]
        unit = {"cpu": "µs CPU per message", "wall": "µs wall per message", "idle": "KiB per connection", "start": "ms"}[workload.metric]
        server = f", the server {short(result['server_us'])} µs per message" if result["server_us"] and workload.metric != "idle" else ""
        parts.append(f"### {workload.title}\n\nLoad average {result['load'][0]:.1f} to {result['load'][1]:.1f}{server}.\n")
        parts.append(f"| | {unit} | ratio to bare | lowest to highest | speed to bare | lost |\n|---|--:|--:|--:|--:|--:|")
        for name, n in medians(result).items():
            parts.append(
                f"| {results['titles'][name]} | {short(n['value'])} | {short(n['ratio'])} | {short(n['low'])} to {short(n['high'])} | {short(n['speed'])} | {losses(n)} |"
            )
        parts += [f"\nFailed: {results['titles'][name]}: {why.splitlines()[-1]}" for name, why in result["failures"].items()]
        parts.append("")
    return "\n".join(parts)


def measured(results):
    m = results["machine"]
    pinned = "the server on one core, the client on the other" if results["cores"][0] != results["cores"][1] else "one core for all"
    missing = f" Not set up, not measured: {', '.join(results['missing'])}." if results["missing"] else ""
    if results.get("repeated"):
        missing += f" Measured again: {', '.join(BY_ID[name].title for name in results['repeated'])}."
    return f"""\
{results['date']}, {m['cpu']}, {m['cores']} cores, {m['system']}, {m['rustc']}; commit {m['commit']}, library of {m['library_bytes']:,} bytes.
Medians of {results['rounds']} interleaved rounds (idle: of fewer), {results['seconds']} s of CPU time each; {pinned}. {results['minutes']:.0f} minutes in all.{missing}

### Targets

{targets_table(results)}

### In the place of other languages' clients: CPU time of a message

{rivals_table(results)}

### Everybody: ratio to bare tokio-tungstenite of the same round (idle: KiB per connection)

{overview(results)}

![ratios as bars](performance.svg)

{details(results)}"""


def replace(page, name, text):
    """Puts text between the marks of that name."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"docs/performance.md has no place for {name}")
    return pattern.sub(lambda found: found[1] + "\n" + text.strip() + "\n\n" + found[2], page)


def write_page(docs, results):
    page = docs / "performance.md"
    page.write_text(replace(page.read_text(), "measured", measured(results)))
    (docs / "performance.svg").write_text(plot(results))
    print(f"written: {page} and performance.svg", flush=True)


PLOTTED = ("small", "dense", "text", "presence", "ask64", "put")


def plot(results):
    """Bars on a logarithmic scale, one panel per workload."""
    panels = [(BY_ID[r["workload"]], medians(r)) for r in results["workloads"] if r["workload"] in PLOTTED]
    width, panel_width, bar, left = 1080, 540, 16, 190
    scale = lambda ratio: max(0.0, (math.log10(ratio) + 1.5) / 4.3) * (panel_width - left - 60)
    parts, row_top, row_height = [], 34, 0
    for number, (workload, numbers) in enumerate(panels):
        if number % 2 == 0:
            row_top, row_height = row_top + row_height, 0
        x = number % 2 * panel_width
        names = sorted((n for n in numbers if numbers[n]["ratio"]), key=lambda n: numbers[n]["ratio"])
        parts.append(f'<text x="{x + 12}" y="{row_top + 16}" font-weight="bold">{workload.title}</text>')
        for place, name in enumerate(names):
            y, ratio = row_top + 26 + place * (bar + 4), numbers[name]["ratio"]
            colour = "#c2410c" if name.startswith("pond") else "#334155" if name.startswith("bare") else "#fb923c" if ours(name) else "#94a3b8"
            title = results["titles"][name].replace("`", "").replace("libpondsocket, ", "ours: ").replace("official ", "")
            title = title.replace("tokio-tungstenite + serde RawValue + C callback", "tungstenite + serde").replace(" and encoding/json", "").replace("&", "&amp;")
            parts.append(f'<text x="{x + left - 6}" y="{y + 12}" text-anchor="end">{title}</text>')
            parts.append(f'<rect x="{x + left}" y="{y}" width="{max(scale(ratio), 1):.1f}" height="{bar}" fill="{colour}"/>')
            parts.append(f'<text x="{x + left + max(scale(ratio), 1) + 5:.1f}" y="{y + 12}">{short(ratio)}</text>')
        bottom = row_top + 26 + len(names) * (bar + 4)
        one = x + left + scale(1)
        parts.append(f'<line x1="{one:.1f}" x2="{one:.1f}" y1="{row_top + 22}" y2="{bottom}" stroke="#0f172a" stroke-dasharray="3 3"/>')
        row_height = max(row_height, bottom - row_top + 18)
    height = row_top + row_height
    head = "CPU time per message, ratio to bare tokio-tungstenite (logarithmic; less is better)"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f'<text x="12" y="22" font-size="15">{head}</text>' + "".join(parts) + "</svg>\n"
    )


if __name__ == "__main__":
    import json
    import pathlib
    import sys

    if len(sys.argv) != 3:
        sys.exit("usage: report.py RESULTS DOCS: writes DOCS/performance.md and .svg from the results of a run")
    write_page(pathlib.Path(sys.argv[2]), json.loads(pathlib.Path(sys.argv[1]).read_text()))
