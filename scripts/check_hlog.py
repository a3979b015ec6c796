#!/usr/bin/env python3
"""Reads run.hlog with HdrHistogram's own Python package and compares it with run.json, endpoint by endpoint.

    scripts/check_hlog.py DIRECTORY        (what `sockbench load -o DIRECTORY` wrote)

Counts must agree to the unit, percentiles to the histograms' precision (0.1 %).
Exit: 0 they agree; 1 they do not; 2 the package is missing (pip install hdrhistogram) or a file cannot be read.
"""

import json
import pathlib
import sys

if sys.argv[1:] in (["-h"], ["--help"]):
    print(__doc__.strip())
    sys.exit(0)
try:
    from hdrh.histogram import HdrHistogram
    from hdrh.log import HistogramLogReader
except ImportError:
    print("hdrhistogram: not installed (pip install hdrhistogram)", file=sys.stderr)
    sys.exit(2)

LATENCY_MAX_US = 3_600_000_000
DIGITS = 3
PERCENTILES = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p99_9": 99.9}


def tag_of(name):
    return name.replace(",", "%2C").replace(" ", "%20").replace("\r", "%0D").replace("\n", "%0A")


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    directory = pathlib.Path(sys.argv[1])
    try:
        run = json.loads((directory / "run.json").read_text())
        log = directory / "run.hlog"
        log.read_bytes()
    except OSError as error:
        print(error, file=sys.stderr)
        return 2

    sums, seconds = {}, set()
    reader = HistogramLogReader(str(log), HdrHistogram(1, LATENCY_MAX_US, DIGITS))
    while (interval := reader.get_next_interval_histogram()) is not None:
        total = sums.setdefault(interval.get_tag(), HdrHistogram(1, LATENCY_MAX_US, DIGITS))
        total.add(interval)
        seconds.add(round(interval.get_start_time_stamp() / 1000 - reader.get_start_time_sec()))

    faults = []
    known = set()
    for endpoint in run["endpoints"]:
        tag = tag_of(endpoint["name"])
        known |= {tag, f"failed:{tag}"}
        for side, count in (
            (tag, endpoint["requests"] - endpoint["failures"]),
            (f"failed:{tag}", endpoint["failures"]),
        ):
            found = sums[side].get_total_count() if side in sums else 0
            print(f"{side:32} {found:10} in the log, {count:10} in run.json")
            if found != count:
                faults.append(f"{side}: {found} in the log, {count} in run.json")
        latency = endpoint["latency_ms"]
        if latency is None or tag not in sums:
            continue
        for key, percentile in PERCENTILES.items():
            logged = sums[tag].get_value_at_percentile(percentile) / 1000
            # Either side may be the neighbouring sample where the rank is a fraction; one bin is 0.1 %.
            if abs(logged - latency[key]) > 0.002 * max(logged, latency[key]) + 0.002:
                faults.append(f"{tag}: {key} {logged} ms in the log, {latency[key]} ms in run.json")
    for tag in set(sums) - known:
        faults.append(f"tag {tag} is no endpoint of the run")
    # A rest of less than half a second has a line of its own in the log, but no point of its own in the series.
    if seconds and not len(run["series"]) <= max(seconds) + 1 <= len(run["series"]) + 1:
        faults.append(f"the log covers {max(seconds) + 1} seconds, the series {len(run['series'])}")
    for fault in faults:
        print(f"DIFFERENT {fault}")
    print("they agree" if not faults else f"{len(faults)} differences")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
