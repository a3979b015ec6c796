#!/usr/bin/env python3
"""Raw requests against sockbench's server, nginx and Python's http.server, side by side: each whole, and cut in two at every
byte. A case says which statuses RFC 9110 and 9112 allow; `-` stands for an end without an answer.

usage: scripts/conformance.py [--write] [BINARY]    default: target/release/sockbench; --write: docs/CONFORMANCE.md
Exit 0: sockbench gives an allowed answer to each case, and the same at every cut; 1: it does not."""

import collections, os, shutil, socket, subprocess, sys, tempfile, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

START, HOST = b"GET /health HTTP/1.1\r\n", b"Host: a\r\n"
HEAD = START + HOST
OK, BAD, NOT_IMPLEMENTED = "200", "400", "400 501"
REFUSED = "400 -"


def cases():
    """(group, name, bytes, allowed statuses)"""
    def all_of(group, rows):
        for name, text, allowed in rows:
            yield group, name, text if isinstance(text, bytes) else text.encode("latin-1"), allowed

    line = lambda text: text.encode("latin-1") + b"\r\n" + HOST + b"\r\n"
    field = lambda text: HEAD + text.encode("latin-1") + b"\r\n\r\n"
    body = lambda fields, text: HEAD + fields.encode() + b"\r\n\r\n" + text.encode("latin-1")
    chunked = lambda text: body("Transfer-Encoding: chunked", text)
    yield from all_of("request line", [
        ("origin form", line("GET /health HTTP/1.1"), OK), ("query", line("GET /health?a=b HTTP/1.1"), OK), ("absolute form", line("GET http://a/health HTTP/1.1"), OK),
        ("absolute form with a port", line("GET http://a:80/health HTTP/1.1"), OK), ("HEAD", line("HEAD /health HTTP/1.1"), OK), ("HTTP/1.0", line("GET /health HTTP/1.0"), OK),
        ("HTTP/1.0 without Host", b"GET /health HTTP/1.0\r\n\r\n", OK), ("one empty line before", b"\r\n" + HEAD + b"\r\n", OK), ("percent-encoded path", line("GET /%68ealth HTTP/1.1"), "200 404"),
        ("two blanks before the target", line("GET  /health HTTP/1.1"), "200 400"), ("two blanks before the version", line("GET /health  HTTP/1.1"), "200 400"), ("a tab", line("GET\t/health HTTP/1.1"), BAD),
        ("blank at the end", line("GET /health HTTP/1.1 "), "200 400"), ("no version", line("GET /health"), REFUSED), ("no target", line("GET HTTP/1.1"), BAD), ("no method", line(" /health HTTP/1.1"), BAD),
        ("lower-case version", line("GET /health http/1.1"), BAD), ("HTTP/1.2", line("GET /health HTTP/1.2"), "200 505"), ("HTTP/1.10", line("GET /health HTTP/1.10"), "400 505"), ("HTTP/2.0", line("GET /health HTTP/2.0"), "400 505"),
        ("HTTP/0.9", line("GET /health HTTP/0.9"), "400 505"), ("HTTP/11", line("GET /health HTTP/11"), "400 505"), ("HTTPS/1.1", line("GET /health HTTPS/1.1"), "400 505"), ("method with a control character", line("G\x01T /health HTTP/1.1"), BAD),
        ("method with a parenthesis", line("G(T /health HTTP/1.1"), NOT_IMPLEMENTED), ("unknown method", line("FROB /health HTTP/1.1"), "405 501"), ("lower-case method", line("get /health HTTP/1.1"), "400 405 501"), ("NUL in the target", line("GET /he\0alth HTTP/1.1"), BAD),
        ("DEL in the target", line("GET /he\x7falth HTTP/1.1"), "400 404"), ("CR in the target", line("GET /he\ralth HTTP/1.1"), BAD), ("a fragment", line("GET /health#x HTTP/1.1"), "200 400"), ("target without a slash", line("GET health HTTP/1.1"), BAD),
        ("asterisk form with GET", line("GET * HTTP/1.1"), BAD), ("asterisk form with OPTIONS", line("OPTIONS * HTTP/1.1"), "200 204 400 405 501"), ("CONNECT", line("CONNECT a:80 HTTP/1.1"), "400 405 501"), ("TRACE", line("TRACE /health HTTP/1.1"), "200 405 501"),
        ("bare LF after the line", b"GET /health HTTP/1.1\nHost: a\r\n\r\n", "200 400"), ("bare CR after the line", b"GET /health HTTP/1.1\rHost: a\r\n\r\n", BAD), ("all in LF", b"GET /health HTTP/1.1\nHost: a\n\n", "200 400"), ("target of 9,000 bytes", line("GET /" + "a" * 9000 + " HTTP/1.1"), "404 414"),
    ])
    yield from all_of("Host", [
        ("missing", START + b"\r\n", BAD), ("twice", START + HOST + HOST + b"\r\n", BAD), ("twice, different", START + HOST + b"Host: b\r\n\r\n", BAD), ("empty", START + b"Host:\r\n\r\n", "200 400"),
        ("with a port", START + b"Host: a:8080\r\n\r\n", OK), ("IPv6", START + b"Host: [::1]:80\r\n\r\n", OK), ("with a blank", START + b"Host: a b\r\n\r\n", BAD), ("with a slash", START + b"Host: a/b\r\n\r\n", BAD),
        ("with a user", START + b"Host: u@a\r\n\r\n", BAD), ("a list", START + b"Host: a, b\r\n\r\n", BAD), ("port that is no number", START + b"Host: a:x\r\n\r\n", BAD), ("upper-case name", START + b"HOST: a\r\n\r\n", OK),
        ("with a control character", START + b"Host: a\x01\r\n\r\n", BAD), ("absolute form and another Host", b"GET http://a/health HTTP/1.1\r\nHost: b\r\n\r\n", "200 400"), ("absolute form without Host", b"GET http://a/health HTTP/1.1\r\n\r\n", BAD),
    ])
    yield from all_of("fields", [
        ("no blank after the colon", field("A:b"), OK), ("tabs around the value", field("A:\tb\t"), OK), ("empty value", field("A:"), OK), ("a list", field("A: b, c"), OK), ("obs-text in a value", field("A: \xe4"), OK), ("every token character", field("!#$%&'*+-.^_`|~9z: b"), OK),
        ("blank before the colon", field("A : b"), BAD), ("tab before the colon", field("A\t: b"), BAD), ("blank before the name", START + b" A: b\r\n" + HOST + b"\r\n", BAD), ("no colon", field("Ab"), BAD), ("no name", field(": b"), BAD), ("folded", field("A: b\r\n c"), "200 400"),
        ("folded at the start", START + b" folded\r\n" + HOST + b"\r\n", BAD), ("NUL in a value", field("A: b\0c"), BAD), ("CR in a value", field("A: b\rc"), BAD), ("bell in a value", field("A: b\x07c"), "200 400"), ("NUL in a name", field("A\0: b"), BAD), ("umlaut in a name", field("\xc4: b"), BAD),
        ("parenthesis in a name", field("A(: b"), BAD), ("bare LF after a field", HEAD + b"A: b\nC: d\r\n\r\n", "200 400"), ("bare CR after a field", HEAD + b"A: b\rC: d\r\n\r\n", BAD), ("LF CR at the end", HEAD + b"A: b\n\r\n", "200 400"), ("101 fields", HEAD + b"A: b\r\n" * 100 + b"\r\n", "200 400 431"), ("a value of 40,000 bytes", field("A: " + "b" * 40000), "400 431"),
        ("Connection: close", field("Connection: close"), OK), ("Connection: keep-alive, close", field("Connection: keep-alive, close"), OK), ("Connection: Upgrade without a wish", field("Connection: Upgrade\r\nUpgrade: h2c"), OK), ("Expect: tea", field("Expect: tea"), "200 417"), ("Expect: 100-continue without a body", field("Expect: 100-continue"), "100 200"),
    ])
    yield from all_of("Content-Length", [
        ("0", body("Content-Length: 0", ""), OK), ("3", body("Content-Length: 3", "abc"), OK), ("leading zeros", body("Content-Length: 003", "abc"), "200 400"), ("blanks around", body("Content-Length:  3 ", "abc"), OK), ("negative", body("Content-Length: -1", ""), BAD), ("with a plus", body("Content-Length: +3", "abc"), BAD),
        ("hexadecimal", body("Content-Length: 0x3", "abc"), BAD), ("a fraction", body("Content-Length: 3.0", "abc"), BAD), ("an exponent", body("Content-Length: 3e0", "abc"), BAD), ("empty", body("Content-Length:", ""), BAD), ("text", body("Content-Length: abc", ""), BAD), ("with a blank inside", body("Content-Length: 1 2", "abc"), BAD),
        ("a list, equal", body("Content-Length: 3, 3", "abc"), "200 400"), ("a list, different", body("Content-Length: 3, 4", "abc"), BAD), ("twice, equal", body("Content-Length: 3\r\nContent-Length: 3", "abc"), "200 400"), ("twice, different", body("Content-Length: 3\r\nContent-Length: 4", "abc"), BAD), ("2^64", body("Content-Length: 18446744073709551616", ""), "400 413"),
        ("2^63", body("Content-Length: 9223372036854775808", ""), "400 413"), ("100 digits", body("Content-Length: " + "9" * 100, ""), "400 413"), ("with an underscore", body("Content-Length: 1_0", "abc"), BAD), ("with a comma at the end", body("Content-Length: 3,", "abc"), BAD), ("with a NUL", body("Content-Length: 3\0", "abc"), BAD), ("Arabic digits", body("Content-Length: \xd9\xa3", "abc"), BAD),
    ])
    yield from all_of("Transfer-Encoding", [
        ("chunked", chunked("0\r\n\r\n"), OK), ("Chunked", body("Transfer-Encoding: Chunked", "0\r\n\r\n"), OK), ("tab before", body("Transfer-Encoding:\tchunked", "0\r\n\r\n"), OK), ("and Content-Length", body("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), "200 400"), ("and Content-Length after it", body("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"), "200 400"),
        ("twice", body("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), NOT_IMPLEMENTED), ("chunked, chunked", body("Transfer-Encoding: chunked, chunked", "0\r\n\r\n"), NOT_IMPLEMENTED), ("gzip, chunked", body("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"), "200 400 501"), ("chunked, gzip", body("Transfer-Encoding: chunked, gzip", "0\r\n\r\n"), NOT_IMPLEMENTED), ("gzip", body("Transfer-Encoding: gzip", ""), NOT_IMPLEMENTED),
        ("identity", body("Transfer-Encoding: identity", ""), "200 400 501"), ("xchunked", body("Transfer-Encoding: xchunked", "0\r\n\r\n"), NOT_IMPLEMENTED), ("chunkedx", body("Transfer-Encoding: chunkedx", "0\r\n\r\n"), NOT_IMPLEMENTED), ("quoted", body('Transfer-Encoding: "chunked"', "0\r\n\r\n"), NOT_IMPLEMENTED), ("with a parameter", body("Transfer-Encoding: chunked;a=b", "0\r\n\r\n"), "200 400 501"), ("empty", body("Transfer-Encoding:", ""), "200 400 501"),
        ("vertical tab before", body("Transfer-Encoding: \x0bchunked", "0\r\n\r\n"), NOT_IMPLEMENTED), ("blank before the colon", body("Transfer-Encoding : chunked", "0\r\n\r\n"), BAD), ("HTTP/1.0", b"GET /health HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "200 400"), ("folded", body("Transfer-Encoding:\r\n chunked", "0\r\n\r\n"), "200 400 501"),
    ])
    yield from all_of("chunks", [
        ("one", chunked("3\r\nabc\r\n0\r\n\r\n"), OK), ("two", chunked("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"), OK), ("upper-case size", chunked("A\r\n0123456789\r\n0\r\n\r\n"), OK), ("leading zeros", chunked("0003\r\nabc\r\n0\r\n\r\n"), OK), ("extension", chunked("3;a=b\r\nabc\r\n0\r\n\r\n"), OK), ("quoted extension", chunked('3;a="b;c"\r\nabc\r\n0\r\n\r\n'), OK), ("trailer", chunked("0\r\nA: b\r\n\r\n"), OK),
        ("zeros as the last", chunked("000\r\n\r\n"), OK), ("no size", chunked("\r\nabc\r\n0\r\n\r\n"), BAD), ("size that is no number", chunked("zz\r\nabc\r\n0\r\n\r\n"), BAD), ("0x", chunked("0x3\r\nabc\r\n0\r\n\r\n"), BAD), ("negative", chunked("-3\r\nabc\r\n0\r\n\r\n"), BAD), ("plus", chunked("+3\r\nabc\r\n0\r\n\r\n"), BAD), ("blank before", chunked(" 3\r\nabc\r\n0\r\n\r\n"), BAD), ("blank after", chunked("3 \r\nabc\r\n0\r\n\r\n"), "200 400"),
        ("17 digits", chunked("10000000000000003\r\nabc\r\n0\r\n\r\n"), "400 413"), ("2^63", chunked("8000000000000000\r\nabc"), "400 413"), ("LF after the size", chunked("3\nabc\r\n0\r\n\r\n"), "200 400"), ("CR after the size", chunked("3\rabc\r\n0\r\n\r\n"), BAD), ("too long", chunked("3\r\nabcd\r\n0\r\n\r\n"), BAD), ("LF after the data", chunked("3\r\nabc\n0\r\n\r\n"), "200 400"), ("nothing after the data", chunked("3\r\nabc0\r\n\r\n"), BAD),
        ("control character in an extension", chunked("3;\x01\r\nabc\r\n0\r\n\r\n"), "200 400"), ("LF in an extension", chunked("3;a\nb\r\nabc\r\n0\r\n\r\n"), "200 400"), ("trailer without a colon", chunked("0\r\nAb\r\n\r\n"), "200 400"), ("trailer with a blank name", chunked("0\r\n : b\r\n\r\n"), "200 400"), ("underscore in the size", chunked("1_0\r\nabc\r\n0\r\n\r\n"), BAD),
    ])
    yield from all_of("other protocols", [
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", REFUSED), ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 505 -"), ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", REFUSED), ("PROXY", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n" + HEAD + b"\r\n", REFUSED), ("only line ends", b"\r\n" * 20, REFUSED), ("NULs", b"\0" * 20 + b"\r\n\r\n", REFUSED), ("a long line", b"A" * 40000 + b"\r\n\r\n", "400 414 431 -"),
    ])


def ask(port, pieces):
    """The status of the first answer; `-` for none. The request ends with the client's FIN, so that nobody waits for more."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for i, piece in enumerate(pieces):
                if i:
                    time.sleep(0.0005)
                s.sendall(piece)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        got = b""
        try:
            while b"\r\n" not in got and len(got) < 100000:
                more = s.recv(65536)
                if not more:
                    break
                got += more
        except OSError:
            pass
    words = got.split(b" ", 2)
    return words[1][:3].decode() if got.startswith(b"HTTP/") and len(words) > 1 else ("0.9" if got else "-")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0)) if (self.headers.get("Content-Length") or "").isdigit() else None
        self.send_response(200 if "health" in self.path else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


class Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass


def servers(binary, work):
    ours = subprocess.Popen([binary, "server", "--listen", "127.0.0.1:0", "--cpu-iterations", "1000"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    yield "sockbench", int(ours.stdout.readline().rsplit(":", 1)[1]), ours.terminate
    if shutil.which("nginx"):
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        with open(f"{work}/nginx.conf", "w") as f:
            f.write(f"daemon off; worker_processes 1; pid {work}/pid; error_log /dev/null; events {{}} http {{ access_log off; client_body_temp_path {work}/body;"
                    f" server {{ listen 127.0.0.1:{port}; location /health {{ return 200 ok; }} location / {{ return 404; }} }} }}")
        nginx = subprocess.Popen(["nginx", "-p", work, "-c", f"{work}/nginx.conf"], stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield "nginx", port, nginx.terminate
    server = Quiet(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "http.server", server.server_address[1], server.shutdown


def main():
    words = [w for w in sys.argv[1:] if w != "--write"]
    if any(w in ("-h", "--help") for w in words):
        print(__doc__)
        return 0
    binary = words[0] if words else "target/release/sockbench"
    table = list(cases())
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755)
        rows, right, steady = [], collections.Counter(), collections.Counter()
        running = []
        try:
            running.extend(servers(binary, work))
            for group, name, data, allowed in table:
                row = []
                for who, port, _ in running:
                    whole = ask(port, [data])
                    # A request that is long is cut where it is interesting: at its beginning and its end.
                    cuts = range(1, len(data)) if len(data) < 300 else [*range(1, 100), *range(len(data) - 100, len(data))]
                    others = sorted({ask(port, [data[:cut], data[cut:]]) for cut in cuts} - {whole})
                    right[who] += whole in allowed.split() and all(o in allowed.split() for o in others)
                    steady[who] += not others
                    row.append((whole, others))
                rows.append((group, name, allowed, row))
        finally:
            for _, _, stop in running:
                stop()
    names = [who for who, _, _ in running]
    out = ["# Conformance of the server", "",
           f"{len(table)} raw requests, each whole and cut in two at every byte (of 300 bytes or more: at the first and the last 100). *Allowed* are the statuses that RFC 9110 and 9112 leave open; `-` is an end without an",
           "answer, `0.9` an answer without a head, `!` something else. `400/200` changes with the cut: nginx' `return` answers once the head is whole, and",
           "sees a fault only in what has come of the body by then; http.server knows no chunks. Made by `scripts/conformance.py --write`.", "",
           "| | " + " | ".join(names) + " |", "|---|" + "---|" * len(names),
           "| allowed, at every cut | " + " | ".join(f"{right[n]} of {len(table)}" for n in names) + " |",
           "| the same at every cut | " + " | ".join(f"{steady[n]} of {len(table)}" for n in names) + " |"]
    last = None
    for group, name, allowed, row in rows:
        if group != last:
            out += ["", f"## {group}", "", "| case | allowed | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names)]
            last = group
        shown = ["/".join([whole, *others]) + ("" if whole in allowed.split() and set(others) <= set(allowed.split()) else " !") for whole, others in row]
        out.append(f"| {name.replace('|', '')} | {allowed.replace(' ', ', ')} | " + " | ".join(shown) + " |")
    text = "\n".join(out) + "\n"
    if "--write" in sys.argv:
        with open("docs/CONFORMANCE.md", "w") as f:
            f.write(text)
    print(*out[5:9], sep="\n")
    for group, name, allowed, row in rows:
        if row[0][1] or row[0][0] not in allowed.split():
            print(f"{group}, {name}: allowed {allowed}, sockbench {row[0]}")
    return 0 if right["sockbench"] == steady["sockbench"] == len(table) else 1


sys.exit(main())
