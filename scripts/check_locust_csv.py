#!/usr/bin/env python3
"""Compares sockbench's Locust CSV files with those of a real Locust run, header for header and cell by cell format.

    scripts/check_locust_csv.py PREFIX [--reference REAL_PREFIX] [--json run.json]

PREFIX is what `sockbench load --csv PREFIX` was given. Without --reference a Locust on PATH (or in $LOCUST) is run for
four seconds against `python3 -m http.server` on loopback. With --json the sums are compared with the run result.
Exit: 0 alike; 1 a difference; 2 Locust is not installed or a file cannot be read.
"""

import argparse
import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

FILES = ("stats", "stats_history", "failures")
INTEGER = re.compile(r"^\d+$")
FLOAT = re.compile(r"^\d+(\.\d+)?([eE][-+]?\d+)?$")
UTC = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")


def shape(column):
    """The shapes that a real Locust writes in a column: None where any text goes."""
    if column.endswith("%"):
        return ("an integer or N/A", lambda v: v == "N/A" or INTEGER.match(v))
    if column in ("First Seen", "Last Seen"):
        return ("a UTC time", UTC.match)
    if column in ("Timestamp", "User Count", "Occurrences") or column.endswith("Count"):
        return ("an integer", INTEGER.match)
    # A median too: Locust rounds it, but writes the exact minimum or maximum where the rounded one is beyond it.
    if column.endswith(("Time", "Size", "/s")):
        return ("a number", FLOAT.match)
    return None


def read(path, faults):
    raw = path.read_bytes()
    if raw.count(b"\n") != raw.count(b"\r\n"):
        faults.append(f"{path}: not every line ends in CRLF")
    rows = list(csv.reader(raw.decode("utf-8").splitlines()))
    if not rows:
        faults.append(f"{path}: empty")
        return [], []
    return rows[0], rows[1:]


def check_shapes(path, head, rows, faults):
    for number, row in enumerate(rows, start=2):
        if len(row) != len(head):
            faults.append(f"{path}:{number}: {len(row)} cells under {len(head)} heads")
            continue
        for column, value in zip(head, row):
            expected = shape(column)
            if expected and not expected[1](value):
                faults.append(f"{path}:{number}: column {column!r}: {value!r} is not {expected[0]}")


def check_order(prefix, rows, faults):
    names = [row[1] for row in rows]
    if names[:-1] != sorted(names[:-1]) or names[-1:] != ["Aggregated"] or rows[-1][0] != "":
        faults.append(f"{prefix}_stats.csv: rows are not by name with Aggregated last: {names}")
    for column in (2, 3):
        parts, total = sum(int(r[column]) for r in rows[:-1]), int(rows[-1][column])
        if parts != total:
            faults.append(f"{prefix}_stats.csv: column {column}: rows add up to {parts}, Aggregated says {total}")


def check_sums(prefix, heads, rows, run, faults):
    totals = run["totals"]
    expected = {
        "Request Count": totals["requests"] + totals["local_failures"],
        "Failure Count": totals["failures"] + totals["local_failures"],
    }
    for column, value in expected.items():
        found = int(rows["stats"][-1][heads["stats"].index(column)])
        if found != value:
            faults.append(f"{prefix}_stats.csv: {column} {found}, run.json says {value}")
        if rows["stats_history"]:
            last = int(rows["stats_history"][-1][heads["stats_history"].index("Total " + column)])
            if last != value:
                faults.append(f"{prefix}_stats_history.csv: Total {column} ends at {last}, run.json says {value}")
    occurrences = sum(int(r[3]) for r in rows["failures"])
    if occurrences != expected["Failure Count"]:
        faults.append(f"{prefix}_failures.csv: {occurrences} occurrences, run.json says {expected['Failure Count']}")


def real_run(locust, directory):
    """A short run of the real thing, one good path and one that fails."""
    (directory / "www").mkdir()
    (directory / "www" / "health").write_text('{"status": "ok"}\n')
    (directory / "locustfile.py").write_text(
        "from locust import HttpUser, task, constant\n"
        "class User(HttpUser):\n"
        "    wait_time = constant(0.05)\n"
        "    @task\n"
        "    def good(self): self.client.get('/health')\n"
        "    @task\n"
        "    def bad(self): self.client.get('/missing')\n"
    )
    code = (
        "import http.server as h, functools as f, sys\n"
        "s = h.ThreadingHTTPServer(('127.0.0.1', 0), f.partial(h.SimpleHTTPRequestHandler, directory=sys.argv[1]))\n"
        "print(s.server_port, flush=True)\n"
        "s.serve_forever()\n"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", code, str(directory / "www")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        for _ in range(50):
            try:
                urllib.request.urlopen(url + "/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        prefix = directory / "real"
        command = [locust, "-f", str(directory / "locustfile.py"), "--headless", "-u", "4", "-r", "4", "-t", "4s"]
        command += ["--host", url, "--csv", str(prefix), "--only-summary"]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, check=False)
        return prefix
    finally:
        server.terminate()
        server.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prefix")
    parser.add_argument("--reference")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    faults = []
    with tempfile.TemporaryDirectory() as scratch:
        reference = args.reference
        if reference is None:
            locust = os.environ.get("LOCUST") or shutil.which("locust")
            if locust is None:
                print("locust: not installed (pip install locust), and no --reference given", file=sys.stderr)
                return 2
            reference = real_run(locust, pathlib.Path(scratch))
        heads, rows = {}, {}
        for name in FILES:
            ours = pathlib.Path(f"{args.prefix}_{name}.csv")
            theirs = pathlib.Path(f"{reference}_{name}.csv")
            try:
                heads[name], rows[name] = read(ours, faults)
                real_head, real_rows = read(theirs, [])
            except OSError as error:
                print(error, file=sys.stderr)
                return 2
            if heads[name] != real_head:
                faults.append(f"{ours}: header differs:\n  ours   {heads[name]}\n  Locust {real_head}")
            # The rules are checked on the real files too: a rule that Locust breaks is our misunderstanding.
            check_shapes(theirs, real_head, real_rows, faults)
            check_shapes(ours, heads[name], rows[name], faults)
            print(f"{ours}: {len(rows[name])} rows, header as Locust's: {heads[name] == real_head}")
    if rows["stats"]:
        check_order(args.prefix, rows["stats"], faults)
    if args.json:
        check_sums(args.prefix, heads, rows, json.loads(args.json.read_text()), faults)
        print(f"sums against {args.json}: compared")
    for fault in faults:
        print(f"DIFFERENT {fault}")
    print("alike" if not faults else f"{len(faults)} differences")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
