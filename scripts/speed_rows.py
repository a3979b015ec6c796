"""What scripts/speed.py measures: servers, clients, and the kinds that are more than CPU per request of a client and a server.

Each kind yields (who, how, what gives its figure). Run as a program it is the inside of a private namespace (`ring`): it
starts the server and the clients of its argument, a JSON object, and prints what each client took.
"""

import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import million

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = str(CORES[0]), str(CORES[-1])
# Requests a second of the open loop.
OPEN_RATE = 10_000
# With more connections than this a run takes so many seconds at least: wrk needs 5 of them to open 19,000 whose ports were in TIME_WAIT.
MANY_CONNS, MANY_S = 10_000, 12
# Requests a second of the open loop whose first second is looked at, and its connections.
FIRST_RATE, FIRST_CONNS = 100_000, 500
# Connections of all pairs together.
PAIRS_CONNS = 100
# Connections of each of two programs that run at once; of the two floors.
BESIDE_CONNS, RUST_CONNS = (1, 10, 50, 100, 500, 1000, 8000), 50
# Rates of the open loop whose lateness is looked at, and its connections.
LATE_RATES, LATE_CONNS = (30_000, 60_000), 100
# Idle connections of one server, where the limit of descriptors allows them, and how many are opened a second.
IDLE_CONNS, IDLE_RATE = 19_000, 8000
# Sockets in TIME_WAIT below which a single request is measured, and lateness, whose own runs leave some; s that are waited for it,
# the kernel's time and a bit.
FEW_TIME_WAIT, FEW_FOR_LATE, TIME_WAIT_S = 100, 2000, 65
# The floors send when they come by, up to a millisecond late; this one when a request is due.
TIMED_FLOOR = "floor with a timerfd"
FRESH_PORTS = "fresh ports, the kernel's choice"
# Of the connections that the client closes: how many, how many before them on the ring, how many at once, and the ring.
RING_REQUESTS, RING_WEARING, RING_CONNS, RING_PORTS = 20_000, 8000, 50, "10000-13999"


free_port = million.free_port


def cpu_s(pid):
    """CPU seconds that all threads of a process have used (schedstat's first figure, ns)."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


class Server:
    def __init__(self, name, command, port, core=SERVER_CORE):
        self.name, self.port = name, port
        self.process = subprocess.Popen(["taskset", "-c", core, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        sys.exit(f"speed.py: {name} does not listen")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(15)


def start_client(command, core):
    return subprocess.Popen(["taskset", "-c", core, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(child):
    """Output and CPU seconds of a client, when it has ended."""
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"speed.py: {' '.join(child.args)}: exit {child.returncode}: {out[-300:]}")
    return out, usage.ru_utime + usage.ru_stime


def run_client(command, server, core):
    """Runs a client on a core; its output, its CPU seconds, the server's CPU seconds meanwhile, its wall seconds."""
    before, began = cpu_s(server.process.pid), time.monotonic()
    out, cpu = finish(start_client(command, core))
    return out, cpu, cpu_s(server.process.pid) - before, time.monotonic() - began


class Clients:
    """Each method gives (requests, client CPU s, server CPU s, wall s)."""

    def __init__(self, bench, seconds):
        self.bench, self.seconds = bench, seconds

    def length(self, conns):
        return max(self.seconds, MANY_S) if conns > MANY_CONNS else self.seconds

    def sockbench(self, server, kind, conns, core):
        args = {"short": ["--no-keepalive", "--closer", "server"], "open": ["-R", str(OPEN_RATE)]}.get(kind, [])
        command = [self.bench, "load", f"http://127.0.0.1:{server.port}/health", "-c", str(conns), "-d", f"{self.length(conns)}s"]
        out, *rest = run_client([*command, *args, "--quiet", "--json", "-"], server, core)
        return json.loads(out[out.index("{"):])["totals"]["requests"], *rest

    def wrk(self, server, kind, conns, core):
        args = ["-H", "Connection: close"] if kind == "short" else []
        command = ["wrk", "-t1", f"-c{conns}", f"-d{self.length(conns)}s", *args, f"http://127.0.0.1:{server.port}/health"]
        out, *rest = run_client(command, server, core)
        return int(re.search(r"(\d+) requests in", out).group(1)), *rest

    def ab(self, server, kind, conns, core):
        args = [] if kind == "short" else ["-k"]
        command = ["ab", "-q", "-r", "-t", str(self.length(conns)), "-n", "100000000", "-c", str(conns), *args]
        out, *rest = run_client([*command, f"http://127.0.0.1:{server.port}/health"], server, core)
        return int(re.search(r"Complete requests:\s+(\d+)", out).group(1)), *rest

    def h2load(self, server, _kind, conns, core):
        command = ["h2load", "--h1", "-t1", f"-c{conns}", f"-D{self.length(conns)}", f"http://127.0.0.1:{server.port}/health"]
        out, *rest = run_client(command, server, core)
        return int(re.search(r"(\d+) succeeded", out).group(1)), *rest

    def floor_of(self, folder, *more):
        """A floor's client; short connections are closed by the server (-e)."""
        def run(server, kind, conns, core):
            args = {"short": ["-e"], "open": ["-q", str(OPEN_RATE), *more]}.get(kind, [])
            command = [f"{folder}/floor_client", str(server.port), "-c", str(conns), "-d", str(self.length(conns)), *args]
            out, *rest = run_client(command, server, core)
            return int(re.search(r"done=(\d+)", out).group(1)), *rest
        return run


def first_seconds(bench, floor, servers):
    """(who, part of the run, what gives its p99.9 in ms)."""
    url = f"http://127.0.0.1:{servers['sockbench'].port}/health"

    def sockbench(seconds, warmup, part):
        command = [bench, "load", url, "-R", str(FIRST_RATE), "-c", str(FIRST_CONNS), "-d", f"{seconds}s", "--warmup", f"{warmup}s"]
        out, *_ = run_client([*command, "--quiet", "--json", "-"], servers["sockbench"], CLIENT_CORE)
        totals = json.loads(out[out.index("{"):])["totals"]
        return part(totals)["latency_ms"]["p99_9"]

    yield "sockbench", "first second", lambda: sockbench(1, 0, lambda totals: totals)
    yield "sockbench", "after it", lambda: sockbench(3, 1, lambda totals: totals["steady"])

    def of_floor(seconds):
        command = [f"{floor}/floor_client", str(servers["sockbench"].port), "-c", str(FIRST_CONNS), "-q", str(FIRST_RATE), "-d", str(seconds)]
        out, *_ = run_client(command, servers["sockbench"], CLIENT_CORE)
        return float(re.search(r"p99\.9=([\d.]+)", out).group(1))

    # Its connections are open before its clock starts.
    yield "floor", "first second", lambda: of_floor(1)
    yield "floor", "three seconds", lambda: of_floor(3)


def pairs(bench, floor, seconds):
    """(who, how its ends lie on the cores, what gives their requests/s)."""
    def client(port, conns, core, *more):
        load = [bench, "load", f"http://127.0.0.1:{port}/health", "-c", str(conns), "-d", f"{seconds}s", *more, "--quiet", "--json", "-"]
        return ["taskset", "-c", core, *load]

    def floor_client(port, conns, core):
        return ["taskset", "-c", core, f"{floor}/floor_client", str(port), "-c", str(conns), "-d", str(seconds)]

    def sockbench_server(port, *more):
        return [bench, "server", "--listen", f"127.0.0.1:{port}", "--cpu-iterations", "1000", *more]

    def requests(out):
        return json.loads(out[out.index("{"):])["totals"]["requests"] if "{" in out else int(re.search(r"done=(\d+)", out).group(1))

    def rate(*ends):
        """All pairs at once: each is a server's command and core, and what gives the client's command for a port."""
        servers, children = [], []
        try:
            for command, core, _ in ends:
                port = free_port()
                servers.append(Server("a pair's server", command(port), port, core))
            for server, (_, _, load) in zip(servers, ends):
                children.append(subprocess.Popen(load(server.port), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
            outs = [child.communicate(timeout=seconds + 30)[0] for child in children]
        finally:
            for server in servers:
                server.stop()
        return sum(map(requests, outs)) / seconds

    everywhere, half = ",".join(map(str, CORES)), PAIRS_CONNS // 2
    floor_server = lambda port: [f"{floor}/floor_server", str(port), "-m", "ka"]
    yield "sockbench", "one pair, an end a core", lambda: rate(
        (sockbench_server, SERVER_CORE, lambda port: client(port, PAIRS_CONNS, CLIENT_CORE)))
    yield "sockbench", "2 threads, 2 event loops", lambda: rate(
        (lambda port: sockbench_server(port, "--reactors", "2"), everywhere, lambda port: client(port, PAIRS_CONNS, everywhere, "--threads", "2")))
    yield "sockbench", "the same with --pin auto on both sides", lambda: rate(
        (lambda port: sockbench_server(port, "--reactors", "2", "--pin", "auto"), everywhere,
         lambda port: client(port, PAIRS_CONNS, everywhere, "--threads", "2", "--pin", "auto")))
    yield "sockbench", "two pairs, one a core", lambda: rate(
        *((sockbench_server, core, lambda port, core=core: client(port, half, core)) for core in (SERVER_CORE, CLIENT_CORE)))
    yield "floor", "one pair, an end a core", lambda: rate(
        (floor_server, SERVER_CORE, lambda port: floor_client(port, PAIRS_CONNS, CLIENT_CORE)))
    yield "floor", "two pairs, one a core", lambda: rate(
        *((floor_server, core, lambda port, core=core: floor_client(port, half, core)) for core in (SERVER_CORE, CLIENT_CORE)))


def time_wait():
    """Sockets in TIME_WAIT in this network namespace."""
    tcp = next(line.split() for line in Path("/proc/net/sockstat").read_text().splitlines() if line.startswith("TCP:"))
    return int(tcp[tcp.index("tw") + 1])


def settled(few=FEW_TIME_WAIT):
    """Waits for few sockets in TIME_WAIT, each of which makes a look at the kernel's tables longer; how many there are then."""
    until = time.monotonic() + TIME_WAIT_S
    while (count := time_wait()) >= few and time.monotonic() < until:
        time.sleep(0.5)
    return count


def small(bench, floor, server, wrk):
    """(who, what, what gives it): one request in ms, and a client's memory in MiB. `wrk`: it is there."""
    url = f"http://127.0.0.1:{server.port}"

    def one_request(*more):
        settled()
        took = []
        for _ in range(5):
            began = time.monotonic()
            subprocess.run([bench, "load", f"{url}/health", "-n", "1", *more], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            took.append((time.monotonic() - began) * 1e3)
        return statistics.median(took)

    yield "the host", "sockets in TIME_WAIT", settled
    for more in ([], ["--no-observe"]):
        yield "sockbench", f"`{' '.join(['load -n 1', *more])}`, ms, median of five", lambda more=more: one_request(*more)

    def memory(*command):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # ru_maxrss would count this script's own pages, which the child had before it became another program.
        time.sleep(1.5)
        status = Path(f"/proc/{child.pid}/status").read_text()
        if child.wait(30):
            sys.exit(f"speed.py: {' '.join(command)}: exit {child.returncode}")
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024

    for endpoints in (1, 50):
        mix = ",".join(f"/health?{n}=1" for n in range(endpoints))
        command = [bench, "load", url, "--mix", mix, "-c", "100", "-d", "2s", "--quiet", "--json", "-"]
        yield ("sockbench", f"memory of the client, MiB, 100 users, {endpoints} endpoint{'s' * (endpoints > 1)}",
               lambda command=command: memory(*command))
    how = "memory of the client, MiB, 100 connections"
    if wrk:
        yield "wrk", how, lambda: memory("wrk", "-t1", "-c100", "-d2s", f"{url}/health")
    yield "floor", how, lambda: memory(f"{floor}/floor_client", str(server.port), "-c", "100", "-d", "2")


def idle(bench, folder, nginx, limit):
    """(who, how, what gives the bytes of an idle kept connection in its server's memory). `nginx`: it is there."""
    count = min(IDLE_CONNS, limit - million.BESIDE)

    def each(other):
        _, one = million.single(bench, other)
        pair = million.Pair(bench, 0, count, IDLE_RATE, 60, other)
        try:
            open_files, until = Path(f"/proc/{pair.server.pid}/fd"), time.monotonic() + 20
            while (opened := len(list(open_files.iterdir()))) < count and time.monotonic() < until:
                time.sleep(0.1)
            if opened < count:
                sys.exit(f"speed.py: idle: {opened:,} of {count:,} descriptors are open after 20 s")
            # The last answers.
            time.sleep(1)
            return (pair.memory()[1] - one) / (count - 1)
        finally:
            pair.stop()

    yield "sockbench", f"{count:,} connections", lambda: each(None)
    if nginx:
        yield "nginx", f"{count:,} connections", lambda: each(lambda port: nginx_conf(folder, port))


def late(bench, built, server, seconds):
    """(who, how, what gives its p99 lateness in us): from the time at which a request was due until it was sent."""
    for rate in LATE_RATES:
        how = f"{rate:,} requests a second"

        def sockbench(rate=rate):
            command = [bench, "load", f"http://127.0.0.1:{server.port}/health", "-R", str(rate), "-c", str(LATE_CONNS), "-d", f"{seconds}s"]
            settled(FEW_FOR_LATE)
            out, *_ = run_client([*command, "--quiet", "--json", "-"], server, CLIENT_CORE)
            return json.loads(out[out.index("{"):])["totals"]["lag_p99_ms"] * 1e3

        def timed(rate=rate):
            command = [f"{built}/floor_client", str(server.port), "-c", str(LATE_CONNS), "-q", str(rate), "-t", "-d", str(seconds)]
            out, *_ = run_client(command, server, CLIENT_CORE)
            return float(re.search(r"late_us .*p99=(\d+)", out).group(1))

        yield "sockbench", how, sockbench
        yield TIMED_FLOOR, how, timed


def ring(bench, floor):
    """(who, whose ports, what gives the client's CPU us for a connection that it closes first), each in a namespace of its own."""
    def took(*clients):
        """Of the last one."""
        argument = {"server": [f"{floor}/floor_server", "9000", "-m", "cclose"], "port": 9000, "clients": clients}
        settings = ["--sysctl", "net.ipv4.tcp_tw_reuse=0", "--sysctl", "net.ipv4.ip_local_port_range=10000 60999"]
        command = [bench, "sandbox", *settings, "--", sys.executable, __file__, json.dumps(argument)]
        child = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if child.returncode:
            sys.exit(f"speed.py: ring: exit {child.returncode}: {child.stderr[-300:]}")
        out, cpu = json.loads(child.stdout)[-1]
        if "{" not in out:
            return cpu / int(re.search(r"done=(\d+)", out).group(1)) * 1e6
        result = json.loads(out[out.index("{"):])
        if result["closes"]["client"] != (requests := result["totals"]["requests"]):
            sys.exit(f"speed.py: ring: the client did not close all of {requests:,} connections: {result['closes']}")
        return cpu / requests * 1e6

    def load(requests, *more):
        return [bench, "load", "http://127.0.0.1:9000/health", "--requests", str(requests), "-c", str(RING_CONNS), "--no-keepalive", *more,
                "--quiet", "--json", "-"]

    on_ring = ("--port-mode", "ring", "--port-range", RING_PORTS, "--reuse-addr")
    yield "sockbench", FRESH_PORTS, lambda: took(load(RING_REQUESTS))
    yield "sockbench", "a ring of 4,000, all in TIME_WAIT", lambda: took(load(RING_WEARING, *on_ring), load(RING_REQUESTS, *on_ring))
    yield "floor", FRESH_PORTS, lambda: took([f"{floor}/floor_client", "9000", "-c", str(RING_CONNS), "-d", "1", "-n"])


def inside(asked):
    server = Server("the server", asked["server"], asked["port"])
    try:
        took = [run_client(command, server, CLIENT_CORE)[:2] for command in asked["clients"]]
    finally:
        server.stop()
    print(json.dumps(took))


def beside(floor, rust, bench, folder, peers, seconds):
    """(who, which end and kind, what gives its CPU per request as a part of the floor's). Both at once on the same core, so that what
    disturbs one disturbs the other. The other ends are floors."""
    def floor_server(where, mode="ka"):
        return lambda port: [f"{where}/floor_server", str(port), "-m", mode]

    def floor_client(where, conns, *more):
        return lambda port: [f"{where}/floor_client", str(port), "-c", str(conns), "-d", str(seconds), *more]

    def sockbench(conns):
        return lambda port: [bench, "load", f"http://127.0.0.1:{port}/health", "-c", str(conns), "-d", f"{seconds}s", "--quiet", "--json", "-"]

    def requests(out):
        if "{" in out:
            return json.loads(out[out.index("{"):])["totals"]["requests"]
        return int(re.search(r"done=(\d+)|(\d+) requests in", out).group(1, 2)[" requests in" in out])

    def part(what, pairs):
        """Of two pairs (the server's command for a port, the client's) what the first takes, as a part of the second."""
        servers, children, spent = [], [], []
        try:
            for server, _ in pairs:
                port = free_port()
                servers.append(Server("one of two", server(port), port))
            before = [cpu_s(server.process.pid) for server in servers]
            for (_, client), server in zip(pairs, servers):
                children.append(start_client(client(server.port), CLIENT_CORE))
            for child, server, used in zip(children, servers, before):
                out, cpu = finish(child)
                spent.append((cpu if what == "client" else cpu_s(server.process.pid) - used) / requests(out))
        finally:
            for server in servers:
                server.stop()
        return spent[0] / spent[1]

    def rows():
        for conns in BESIDE_CONNS:
            pair = (floor_server(floor), floor_client(floor, conns))
            how = f"kept, {conns:,} connection{'s' * (conns > 1)}"
            yield "sockbench", "server", how, (lambda port: [bench, "server", "--listen", f"127.0.0.1:{port}", "--cpu-iterations", "1000"], pair[1]), pair
            if "nginx" in peers:
                yield "nginx", "server", how, (lambda port: nginx_conf(folder, port), pair[1]), pair
            yield "sockbench", "client", how, (pair[0], sockbench(conns)), pair
            if "wrk" in peers:
                wrk = lambda port, conns=conns: ["wrk", "-t1", f"-c{conns}", f"-d{seconds}s", f"http://127.0.0.1:{port}/health"]
                yield "wrk", "client", how, (pair[0], wrk), pair
        if not rust:
            return
        ways = {"kept": ("ka", ()), "a connection a request": ("sclose", ("-e",)), f"open loop, {OPEN_RATE:,} requests a second": ("ka", ("-q", str(OPEN_RATE)))}
        for kind, (mode, more) in ways.items():
            pair = (floor_server(floor, mode), floor_client(floor, RUST_CONNS, *more))
            how = f"{kind}, {RUST_CONNS} connections"
            yield "floor in Rust", "server", how, (floor_server(rust, mode), pair[1]), pair
            yield "floor in Rust", "client", how, (pair[0], floor_client(rust, RUST_CONNS, *more)), pair

    for who, what, how, mine, pair in rows():
        yield who, f"{what}, {how}", lambda what=what, mine=mine, pair=pair: part(what, (mine, pair))


def nginx_conf(folder, port):
    path = Path(folder) / f"nginx-{port}.conf"
    path.write_text(
        f"daemon off; master_process off; pid {folder}/nginx-{port}.pid; error_log {folder}/error.log crit;\n"
        # It closes idle connections while fewer than a sixteenth of these are free (ngx_drain_connections), and only warns where there
        # are more than descriptors.
        "events { worker_connections 24000; }\n"
        "http { access_log off; keepalive_requests 1000000000; keepalive_timeout 75s; tcp_nodelay on; default_type application/json;\n"
        f"  server {{ listen 127.0.0.1:{port} backlog=4096;\n"
        "    location / { return 200 '{\"status\":\"healthy\"}\\n'; } } }\n"
    )
    return ["nginx", "-p", str(folder), "-c", str(path)]


if __name__ == "__main__":
    inside(json.loads(sys.argv[1]))
