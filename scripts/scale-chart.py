#!/usr/bin/env python3
"""CPU per request by the number of connections, as a chart: the medians of what scripts/speed.py --state FILE kept, both axes by factors.

usage: scripts/scale-chart.py STATE SVG
  STATE  the file that speed.py's --state names, with kept connections on two cores at two sizes or more
  SVG    the chart: docs/scale-cost.svg
"""

import json
import math
import statistics
import sys
from pathlib import Path

WIDTH, HEIGHT = 960, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 936, 116, 352
# Room that the number below a line takes.
LABEL_WIDTH = 50
# Name, (end, who) in STATE, colour on a light and on a dark page, dashed.
SERIES = [
    ("client", ("client", "sockbench"), "#0072b2", "#56b0ea", False),
    ("client of the bare epoll pair", ("client", "floor"), "#d55e00", "#ff8a4a", True),
    ("server", ("server", "sockbench"), "#009e73", "#2ecc9f", False),
    ("server of the bare epoll pair", ("server", "floor"), "#e69f00", "#f2b83a", True),
]


def medians(done):
    """{(end, who): {connections: median us}} of kept connections on two cores."""
    found = {}
    for key, value in done.items():
        if key.count("/") == 5:
            _, cores, conns, kind, what, who = key.split("/")
            if (cores, kind) == ("two", "kept"):
                found.setdefault((what, who), {}).setdefault(int(conns), []).append(value[0])
    return {series: {conns: statistics.median(us) for conns, us in sorted(sizes.items())} for series, sizes in found.items()}


def steps(low, high):
    """1, 2, 5, 10, ... from the last one up to `low` to the first one above `high`."""
    ladder = [digit * 10**power for power in range(-6, 8) for digit in (1, 2, 5)]
    first = max(step for step in ladder if step <= low)
    last = min(step for step in ladder if step > high)
    return [step for step in ladder if first <= step <= last]


def chart(lines):
    """`lines`: {(end, who): {connections: us}}."""
    conns = [count for line in lines.values() for count in line]
    us = [value for line in lines.values() for value in line.values()]
    rows = steps(min(us), max(us))
    most = max(conns)

    def x(count):
        return LEFT + (RIGHT - LEFT) * math.log(count / min(conns)) / math.log(most / min(conns))

    def y(value):
        return BOTTOM - (BOTTOM - TOP) * math.log(value / rows[0]) / math.log(rows[-1] / rows[0])

    colours = "".join(f".s{n}{{stroke:{light}}}" for n, (*_, light, _, _) in enumerate(SERIES))
    dark = "".join(f".s{n}{{stroke:{colour}}}" for n, (*_, colour, _) in enumerate(SERIES))
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" font-size="12.5" '
           'font-family="Inter, \'Segoe UI\', \'Helvetica Neue\', Helvetica, Arial, \'DejaVu Sans\', sans-serif" role="img" aria-labelledby="title what">')
    yield '<title id="title">CPU per request by the number of connections</title>'
    yield '<desc id="what">kept connections, server and client each on a core of its own; both axes by factors</desc>'
    yield (f"<style>.text{{fill:#202124}}.faint{{fill:#5f6368}}.grid{{stroke:#e8eaed}}path,line{{fill:none}}{colours}"
           f"@media screen and (prefers-color-scheme:dark){{svg{{background:#14171b}}.text{{fill:#e8eaed}}.faint{{fill:#a9afb6}}"
           f".grid{{stroke:#2c3138}}{dark}}}</style>")
    yield '<text class="text" x="24" y="30" font-size="18" font-weight="600">CPU per request by the number of connections</text>'
    yield '<text class="faint" x="24" y="50">kept connections, server and client each on a core of its own; both axes by factors</text>'
    place = 24
    for n, (name, _, _, _, dashed) in enumerate(SERIES):
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        yield f'<line class="s{n}" x1="{place}" y1="70" x2="{place + 20}" y2="70" stroke-width="2.6"{dash}/>'
        yield f'<text class="text" x="{place + 26}" y="74.5">{name}</text>'
        place += 60 + round(len(name) * 6.6)
    yield '<text class="text" x="24" y="102">microseconds of CPU</text>'
    for row in rows:
        yield f'<line class="grid" x1="{LEFT}" y1="{y(row):.1f}" x2="{RIGHT}" y2="{y(row):.1f}"/>'
        yield f'<text class="faint" x="{LEFT - 8}" y="{y(row) + 4:.1f}" text-anchor="end">{row:g}</text>'
    beside = math.inf
    for count in sorted(set(conns), reverse=True):
        yield f'<line class="grid" x1="{x(count):.1f}" y1="{TOP}" x2="{x(count):.1f}" y2="{BOTTOM + 5}"/>'
        if beside - x(count) < LABEL_WIDTH:
            continue
        beside = x(count)
        yield f'<text class="faint" x="{x(count):.1f}" y="{BOTTOM + 19}" text-anchor="middle">{count:,}</text>'
    yield f'<text class="faint" x="{(LEFT + RIGHT) / 2}" y="{BOTTOM + 38}" text-anchor="middle">connections</text>'
    for n, (_, series, _, _, dashed) in enumerate(SERIES):
        points = " ".join(f"{x(count):.1f},{y(value):.1f}" for count, value in lines[series].items())
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        yield f'<path class="s{n}" d="M{points}" stroke-width="1.9" stroke-linejoin="round"{dash}/>'
    yield "</svg>"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    try:
        done = json.loads(Path(sys.argv[1]).read_text())
        lines = medians(done)
    except OSError as error:
        sys.exit(f"scale-chart.py: {sys.argv[1]}: {error.strerror}")
    except (ValueError, AttributeError, TypeError, LookupError):
        sys.exit(f"scale-chart.py: {sys.argv[1]}: not a file that speed.py's --state names")
    wanted = [series for _, series, *_ in SERIES]
    if missing := [f"{end} of {who}" for end, who in wanted if len(lines.get((end, who), {})) < 2]:
        sys.exit(f"scale-chart.py: {sys.argv[1]}: fewer than two sizes of kept connections on two cores: {', '.join(missing)}")
    text = "\n".join(chart({series: lines[series] for series in wanted})) + "\n"
    try:
        Path(sys.argv[2]).write_text(text)
    except OSError as error:
        sys.exit(f"scale-chart.py: {sys.argv[2]}: {error.strerror}")


if __name__ == "__main__":
    main()
