#!/usr/bin/env python3
"""Reads run.hlog with HdrHistogram's own Python package and compares it with run.json, endpoint by endpoint.

    scripts/check_hlog.py DIRECTORY [PART...]

DIRECTORY is what `sockbench load -o DIRECTORY` wrote, or `sockbench merge PART... -o DIRECTORY`: then the histograms of the parts,
added up by that package, must be those of DIRECTORY in every bin, and so must the counts of the documents.
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


def read(directory):
    """The document, the histogram of each tag, and the seconds of a log."""
    run = json.loads((directory / "run.json").read_text())
    log = directory / "run.hlog"
    log.read_bytes()
    sums, seconds = {}, set()
    reader = HistogramLogReader(str(log), HdrHistogram(1, LATENCY_MAX_US, DIGITS))
    while (interval := reader.get_next_interval_histogram()) is not None:
        total = sums.setdefault(interval.get_tag(), HdrHistogram(1, LATENCY_MAX_US, DIGITS))
        total.add(interval)
        seconds.add(round(interval.get_start_time_stamp() / 1000 - reader.get_start_time_sec()))
    return run, sums, seconds


def bins(histogram):
    return [(item.value_iterated_to, item.count_at_value_iterated_to) for item in histogram.get_recorded_iterator()]


def differences_of_parts(run, sums, parts):
    """Where a merged run is not the sum of its parts."""
    added, counts = {}, dict.fromkeys(("attempts", "requests", "failures", "local_failures", "cut"), 0)
    for part, histograms, _ in parts:
        for key in counts:
            counts[key] += part["totals"][key]
        for tag, histogram in histograms.items():
            added.setdefault(tag, HdrHistogram(1, LATENCY_MAX_US, DIGITS)).add(histogram)
    for key, count in counts.items():
        if run["totals"][key] != count:
            yield f"totals.{key}: {run['totals'][key]}, the parts have {count}"
    for tag in sorted(set(added) | set(sums)):
        empty = HdrHistogram(1, LATENCY_MAX_US, DIGITS)
        ours, theirs = bins(sums.get(tag, empty)), bins(added.get(tag, empty))
        print(f"{tag:32} {len(ours):10} bins, {sum(n for _, n in ours)} values; added parts {sum(n for _, n in theirs)}")
        if ours != theirs:
            yield f"{tag}: not the bins of its parts added up"


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        run, sums, seconds = read(pathlib.Path(sys.argv[1]))
        parts = [read(pathlib.Path(part)) for part in sys.argv[2:]]
    except OSError as error:
        print(error, file=sys.stderr)
        return 2

    faults = list(differences_of_parts(run, sums, parts)) if parts else []
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
            # The one side rounds a rank that is a fraction, the other takes the next: neighbours in the log; one bin is 0.1 %.
            one = 100 / sums[tag].get_total_count()
            at = [sums[tag].get_value_at_percentile(p) / 1000 for p in (percentile, min(percentile + one, 100))]
            if not at[0] * 0.998 - 0.002 <= latency[key] <= at[1] * 1.002 + 0.002:
                faults.append(f"{tag}: {key} {at[0]} to {at[1]} ms in the log, {latency[key]} ms in run.json")
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
