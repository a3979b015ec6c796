#!/usr/bin/env python3
"""What `sockbench watch` costs: its own CPU while a command has 28,000 ports in TIME_WAIT and 1,000 connections open.

The command makes these in a private network namespace and then does nothing. The CPU of the watching process alone, without
the command's, is read from /proc at the beginning and at the end of the time. The exit code is 1 above the limit.

usage: scripts/watch-cost.py [--seconds S] [--limit PERCENT] [--binary FILE]
needs: a kernel that lets this user make private namespaces. Nothing of this host is changed.
"""

import argparse
import os
import subprocess
import sys
import time

HOLD = r"""
import resource, socket, sys, threading, time
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, max(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
def listener():
    s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(512); return s
short, long, kept = listener(), listener(), []
def serve():
    while True:
        c, _ = short.accept()
        c.recv(1)
        c.close()
threading.Thread(target=serve, daemon=True).start()
for _ in range(1000):
    kept.append(socket.create_connection(long.getsockname())); kept.append(long.accept()[0])
for _ in range(28000):
    c = socket.create_connection(short.getsockname()); c.shutdown(socket.SHUT_WR); c.recv(1); c.close()
words = open("/proc/net/sockstat").read().split()
print("ready", words[words.index("tw") + 1], len(kept) // 2, flush=True)
time.sleep(float(sys.argv[1]))
"""


def cpu_s(pid):
    """Of the process itself: children that have ended are counted apart."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--limit", type=float, default=2.0)
    parser.add_argument("--binary", default="target/release/sockbench")
    args = parser.parse_args()
    command = [args.binary, "watch", "-q", "--sandbox", "--sysctl", "net.ipv4.tcp_tw_reuse=0"]
    command += ["--", sys.executable, "-c", HOLD, str(args.seconds + 2)]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    word, *counts = child.stdout.readline().split() or ["", "the command said nothing"]
    if word != "ready":
        sys.exit(f"watch-cost.py: {' '.join(counts)}")
    before, began = cpu_s(child.pid), time.monotonic()
    time.sleep(args.seconds)
    used, over = cpu_s(child.pid) - before, time.monotonic() - began
    child.wait(60)
    percent = 100 * used / over
    print(f"watching {int(counts[0]):,} in TIME_WAIT and {int(counts[1]):,} open connections: {used:.2f} s of CPU in "
          f"{over:.1f} s, {percent:.2f} % of one core (limit {args.limit:g} %)")
    sys.exit(percent > args.limit)


if __name__ == "__main__":
    main()
