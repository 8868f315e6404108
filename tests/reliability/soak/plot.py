#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of a soak: plot.py soak.csv soak.svg"""
import csv
import math
import sys

WIDTH, LEFT, RIGHT, PANEL, GAP, TOP = 1000, 76, 20, 110, 34, 60
# Fault and colour; the many small ones (cuts of a few, leaves, cancels...) are a curve, the large ones are marks.
MARKS = (("kills", "#c0392b", "server killed"), ("cut_all", "#e67e22", "all links of a server cut"),
         ("refusals", "#8e44ad", "server refuses"))
SMALL = ("cuts", "holes", "suspends", "renewals", "frees", "leaves", "cancels")


def nice(top):
    """The next round number above."""
    power = 10 ** math.floor(math.log10(max(top, 1)))
    return next(step * power for step in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * power >= top)


def label(value):
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}"


def main():
    with open(sys.argv[1], newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    times = [float(row["second"]) for row in rows]
    last = max(times)
    column = lambda name, scale=1.0: [float(row[name]) * scale for row in rows]
    # Without a reply in that second there is no latency.
    delay = lambda name: [float(row[name]) / 1000 if row[name] != "0" else None for row in rows]
    small = [sum(int(row[name]) for name in SMALL) for row in rows]
    memory = [("resident", "#2c3e50", column("rss_kb", 1 / 1024))]
    if "heap_kb" in rows[0]:
        memory.append(("allocated", "#c0392b", column("heap_kb", 1 / 1024)))
    panels = (
        ("clients", False, (("connected", "#2980b9", column("connected")), ("joined", "#27ae60", column("joined")))),
        ("memory, MiB", False, memory),
        ("threads", False, (("threads", "#16a085", column("threads")),)),
        ("descriptors", False, (("open", "#d35400", column("fds")),)),
        ("request latency, ms (log)", True, (("p50", "#2980b9", delay("p50_us")), ("p99", "#c0392b", delay("p99_us")))),
        ("messages per second", False, (("sent", "#2980b9", column("sent")), ("received", "#27ae60", column("received")))),
        ("small faults per second", False, (("all kinds", "#7f8c8d", small),)),
    )
    height = TOP + len(panels) * (PANEL + GAP) + 30
    x = lambda second: LEFT + (WIDTH - LEFT - RIGHT) * second / last
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="16">Soak: {int(max(column("connected")))} clients in one process, '
        f'random faults for {sum(row["phase"] == "faults" for row in rows)} s</text>',
    ]
    at = LEFT
    for name, colour, words in MARKS:
        count = sum(int(row[name]) for row in rows)
        out.append(f'<rect x="{at}" y="34" width="10" height="10" fill="{colour}"/><text x="{at + 15}" y="43">{words}: {count}</text>')
        at += 210
    out.append(f'<text x="{at}" y="43">smaller faults: {sum(small):,}</text>')
    for index, (title, log, curves) in enumerate(panels):
        top = TOP + index * (PANEL + GAP) + 18
        values = [value for _, _, curve in curves for value in curve if value is not None]
        high = 10 ** math.ceil(math.log10(max(values + [1]))) if log else nice(max(values + [1]))
        low = 0.1 if log else 0

        def y(value, top=top, low=low, high=high, log=log):
            part = math.log(max(value, low) / low) / math.log(high / low) if log else value / high
            return top + PANEL * (1 - part)

        for row, second in zip(rows, times):
            for name, colour, _ in MARKS:
                if row[name] != "0":
                    out.append(f'<line x1="{x(second):.1f}" x2="{x(second):.1f}" y1="{top}" y2="{top + PANEL}" '
                               f'stroke="{colour}" stroke-opacity="0.35"/>')
        ticks = [10**n for n in range(-1, round(math.log10(high)) + 1)] if log else [0, high / 2, high]
        for tick in ticks:
            out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#ddd"/>'
                       f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{label(tick)}</text>')
        out.append(f'<text x="{LEFT}" y="{top - 6}" font-weight="bold">{title}</text>')
        place = WIDTH - RIGHT
        for name, colour, curve in reversed(curves):
            out.append(f'<text x="{place}" y="{top - 6}" fill="{colour}" text-anchor="end">{name}</text>')
            place -= 80
            points, pieces = [], []
            for second, value in zip(times, curve):
                if value is None:
                    pieces, points = pieces + [points], []
                else:
                    points.append(f"{x(second):.1f},{y(value):.1f}")
            for piece in pieces + [points]:
                if piece:
                    out.append(f'<polyline points="{" ".join(piece)}" fill="none" stroke="{colour}"/>')
    step = nice(last / 10)
    second = 0
    while second <= last:
        out.append(f'<text x="{x(second):.1f}" y="{height - 22}" text-anchor="middle">{second:g} s</text>')
        second += step
    out.append("</svg>")
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
