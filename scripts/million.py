#!/usr/bin/env python3
"""Many kept connections: what each costs in memory, on both sides, and how they answer when each is used once a minute.

Pairs of one sockbench server and one client, each pair with its own port and its own loopback sources, open their
connections at a steady rate. Memory is read before the first pair starts and when all connections are open: VmRSS of each
process against one that has a single connection, TCP's pages from /proc/net/sockstat and, where it is readable, the slabs of
/proc/slabinfo. The result is a table, and the arithmetic that docs/SCALE.md does with it is not done here.

usage: scripts/million.py [--connections N] [--processes N] [--rate N] [--hold S] [--bench FILE] [--json FILE]
  --connections N  per pair [default: as many as the limit of descriptors allows]
  --processes N    pairs [default: 1]
  --rate N         connections opened per second and pair [default: 2000]
  --hold S         seconds that all of them stay open at the least; the run itself takes 30 s more [default: 20]
  --bench FILE     a sockbench that is built already [default: target/release/sockbench]
needs: a built sockbench. Loopback only; only own processes are ended; it ends by itself.
"""

import argparse
import json
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = resource.getpagesize()
# Descriptors of a process beside its connections.
BESIDE = 100
# Source ports to one destination, fewer than the kernel's default range has.
PORTS_OF_A_SOURCE = 20_000


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def raise_nofile():
    """The limit in force, and what became of raising it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 20, 1 << 20))
        return 1 << 20, "raised"
    except (ValueError, OSError) as error:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return hard, f"tried to raise {hard:,}: {'EPERM' if isinstance(error, ValueError) else error.strerror}"


def rss(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def kernel_bytes():
    """TCP's pages, and the active slabs; None where they are not readable."""
    tcp = next(line.split() for line in Path("/proc/net/sockstat").read_text().splitlines() if line.startswith("TCP:"))
    pages = int(tcp[tcp.index("mem") + 1]) * PAGE
    try:
        rows = [line.split() for line in Path("/proc/slabinfo").read_text().splitlines()[2:]]
        slabs = {row[0]: int(row[1]) * int(row[3]) for row in rows}
    except OSError:
        slabs = None
    return pages, slabs


def established():
    """Connections that are established in this namespace: both ends are here."""
    tcp = next(line.split() for line in Path("/proc/net/sockstat").read_text().splitlines() if line.startswith("TCP:"))
    return int(tcp[tcp.index("inuse") + 1])


class Pair:
    def __init__(self, bench, index, connections, rate, seconds, other=None):
        """`other` gives the command of another server for a port."""
        self.port = free_port()
        address = f"127.0.0.1:{self.port}"
        server = other(self.port) if other else [
            bench, "server", "--listen", address, "--max-conns", str(connections + 10), "--cpu-iterations", "1000", "--io-workers", "1",
            "--idle-timeout", "10m"]
        self.server = subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        sources = ",".join(f"127.{index + 1}.0.{n + 1}" for n in range(-(-connections // PORTS_OF_A_SOURCE)))
        self.client = subprocess.Popen(
            [bench, "load", f"http://{address}/health", "-q", "-c", str(connections), "--spawn-rate", str(rate), "--think", "60s",
             "-d", f"{seconds}s", "--source", sources, "--timeout", "30s", "--json", "-"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )

    def memory(self):
        return rss(self.client.pid), rss(self.server.pid)

    def result(self):
        out, _ = self.client.communicate(timeout=600)
        return json.loads(out)

    def stop(self):
        for process in (self.client, self.server):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    # It waits until its result is read.
                    process.communicate(timeout=20)
                except subprocess.TimeoutExpired:
                    process.kill()


def single(bench, other=None):
    """Memory of a client and a server that share one connection."""
    pair = Pair(bench, 0, 1, 1, 3, other)
    try:
        time.sleep(2)
        return pair.memory()
    finally:
        pair.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--hold", type=int, default=20)
    parser.add_argument("--bench", default=str(ROOT / "target/release/sockbench"))
    parser.add_argument("--json")
    args = parser.parse_args()
    if not Path(args.bench).is_file():
        sys.exit(f"million.py: {args.bench}: not built: cargo build --release, or --bench FILE")
    limit, raised = raise_nofile()
    each = min(args.connections or limit - BESIDE, limit - BESIDE)
    if not 1 <= args.processes <= 200:
        sys.exit("million.py: --processes: not between 1 and 200")
    opening = each / args.rate
    client_one, server_one = single(args.bench)
    pages_before, slabs_before = kernel_bytes()
    open_before = established()
    pairs, wanted, began = [], 2 * each * args.processes, time.monotonic()
    try:
        for index in range(args.processes):
            pairs.append(Pair(args.bench, index, each, args.rate, round(opening * 3 + args.hold + 30)))
        most, opened_s = 0, None
        while time.monotonic() - began < opening * 3 + 30 and most < wanted:
            most = max(most, established() - open_before)
            opened_s = time.monotonic() - began
            time.sleep(0.1)
        time.sleep(min(args.hold, 5))
        memory = [pair.memory() for pair in pairs]
        pages, slabs = kernel_bytes()
        results = [pair.result() for pair in pairs]
    finally:
        for pair in pairs:
            pair.stop()
    count = most // 2 or 1
    client = sum(c - client_one for c, _ in memory) / count
    server = sum(s - server_one for _, s in memory) / count
    slab = sum(slabs.values()) - sum(slabs_before.values()) if slabs else None
    p99 = max((r["totals"]["latency_ms"] or {}).get("p99", 0) for r in results)
    failed = sum(r["totals"]["failures"] + r["totals"]["local_failures"] for r in results)
    print(f"connections open at once  {count:,} of {each * args.processes:,} asked for, {args.processes} pair{'s' * (args.processes > 1)} ({raised})")
    print(f"opened within             {opened_s:.1f} s, {args.rate * args.processes:,}/s asked for")
    print(f"client, bytes each        {client:,.0f} (one connection: {client_one / 1e6:.1f} MB in all)")
    print(f"server, bytes each        {server:,.0f} (one connection: {server_one / 1e6:.1f} MB in all)")
    print(f"kernel, bytes each        {'not readable: /proc/slabinfo' if slab is None else f'{slab / count:,.0f} in slabs'}, "
          f"{(pages - pages_before) / count:,.0f} in TCP's pages; both ends together")
    if slabs:
        grown = sorted(((slabs[n] - slabs_before.get(n, 0)) / count, n) for n in slabs)[::-1]
        print("  largest slabs           " + ", ".join(f"{name} {size:,.0f}" for size, name in grown[:7]))
    print(f"answers                   p99 {p99} ms, {failed:,} failed")
    if args.json:
        document = {"connections": count, "pairs": args.processes, "opened_s": opened_s, "client_bytes": client, "server_bytes": server,
                    "slab_bytes": None if slab is None else slab / count, "page_bytes": (pages - pages_before) / count, "p99_ms": p99,
                    "failed": failed, "nofile": raised}
        Path(args.json).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
