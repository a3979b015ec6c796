#!/usr/bin/env python3
"""A server under honest and hostile clients at once: no honest request may fail, and memory and descriptors at the end are
those of the first part of the run, within 2 %.

usage: scripts/soak.py [-d SECONDS] [BINARY]      default: 600 s, target/release/sockbench
The end, its last tenth, is compared with the second half of the first tenth: of ten minutes, the second half of minute one.
Exit 0: it held; 1: it did not."""

import argparse, json, os, random, re, select, signal, socket, struct, subprocess, sys, threading, time

GARBAGE = [
    b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET /health HTTP/1.1\nHost: a\n\n", b"POST /cpu HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
    b"GET /io?ms=50 HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /cpu HTTP/1.1\r\nHost: a\r\n\r\n" * 20, b"X" * 40000, b"GET /health HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 200,
]


def attack(address, stop, counts):
    """Connects, sends something rude whole or in drops, and leaves in one of the ways there are."""
    rng = random.Random(threading.get_ident())
    while not stop.is_set():
        try:
            with socket.create_connection(address, timeout=2) as s:
                rude = rng.choice(GARBAGE)
                size = 7 if len(rude) < 200 and rng.random() < 0.5 else len(rude)
                for at in range(0, len(rude), size):
                    s.send(rude[at : at + size])
                way = rng.randrange(4)
                if way == 0:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                elif way == 1:
                    s.shutdown(socket.SHUT_WR)
                    s.settimeout(0.3)
                    s.recv(4096)
                elif way == 2:
                    stop.wait(rng.random() / 5)
        except OSError:
            pass
        counts[0] += 1


def look(pid):
    with open(f"/proc/{pid}/statm") as f:
        rss = int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return rss, len(os.listdir(f"/proc/{pid}/fd"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-d", type=float, default=600, dest="seconds")
    parser.add_argument("binary", nargs="?", default="target/release/sockbench")
    args = parser.parse_args()
    server = subprocess.Popen([args.binary, "server", "--listen", "127.0.0.1:0", "--io-workers", "16", "--cpu-work", "1ms", "--io-sleep", "5ms"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    port = int(re.search(r":(\d+)$", server.stdout.readline()).group(1))
    load = subprocess.Popen([args.binary, "load", f"http://127.0.0.1:{port}", "--mix", "/health=8,/io=1,/cpu=1", "-c", "8", "--think", "5ms", "--timeout", "30s",
                             "-d", f"{args.seconds}s", "-q", "--json", "-"], stdout=subprocess.PIPE, text=True)
    stop, counts = threading.Event(), [0]
    threads = [threading.Thread(target=attack, args=(("127.0.0.1", port), stop, counts)) for _ in range(6)]
    for thread in threads:
        thread.start()
    begun, looks = time.monotonic(), []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        while load.poll() is None and time.monotonic() - begun < args.seconds + 30:
            time.sleep(0.2)
            if server.poll() is not None:
                sys.exit(f"soak.py: the server ended with {server.returncode} after {time.monotonic() - begun:.0f} s")
            looks.append((time.monotonic() - begun, *look(server.pid)))
            if select.select([load.stdout], [], [], 0)[0]:
                break
        text, _ = load.communicate(timeout=30)
    finally:
        stop.set()
        load.kill()
        for thread in threads:
            thread.join()
        server.terminate()
        server.wait(30)
    totals = json.loads(text)["totals"]
    failed = totals["failures"] + totals["local_failures"]
    part = lambda span, column: max(l[column] for l in looks if span[0] <= l[0] <= span[1])
    early, late = ([share * args.seconds for share in span] for span in ((0.05, 0.1), (0.9, 1.0)))
    ok = failed == 0
    print(f"{totals['requests']:,} honest requests, {failed} failed; {counts[0]:,} attacks in {args.seconds:g} s; server ended with {server.returncode}")
    for name, column, slack in (("RSS, bytes", 1, 65536), ("descriptors", 2, 2)):
        first, last = part(early, column), part(late, column)
        held = last <= first * 1.02 + slack
        ok &= held
        print(f"{name}: at most {first:,} from {early[0]:g} to {early[1]:g} s, {last:,} from {late[0]:g} to {late[1]:g} s{'' if held else ': GREW'}")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
