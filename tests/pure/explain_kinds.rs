//! What a reading rests on beside its line: where connections go, which counter it is, what the program and the line name.

use sockbench::testing::explain::{Known, explain_text};
use sockbench::testing::model::{Certainty, Exactly, Explanation, Limit, Os, Remedy, Side};
use sockbench::testing::report::{Page, render_explanation};

use crate::explain_answers::refused;

pub(crate) fn explained(text: &str) -> Explanation {
    explain_text(text, &Known::default()).unwrap_or_else(|| panic!("{text}: not explained"))
}

fn commands(e: &Explanation) -> String {
    let one = |r: &Remedy| format!("{} {} {}", r.action, r.change.as_deref().unwrap_or_default(), r.command);
    e.remedies.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// T is 1 s to loopback by the kernel's default, unless this host is set otherwise; bind() never profits from it.
#[test]
fn ports_to_loopback_are_free_again_after_1_s() {
    let hold = |text: &str, tw_reuse| {
        let known = Known { tw_reuse, ..Known::default() };
        explain_text(text, &known).and_then(|e| e.arithmetic).map(|a| a.hold_s)
    };
    for (text, hold_s) in [
        ("connect() to 127.0.0.1:9000 failed (99: Cannot assign requested address) while connecting to upstream", 1.0),
        ("Get \"http://localhost:80/\": dial tcp 127.0.0.1:8080: connect: cannot assign requested address", 1.0),
        ("dial tcp [::1]:8080: connect: cannot assign requested address", 1.0),
        ("dial tcp 10.0.0.1:80: connect: cannot assign requested address", 60.0),
        ("OSError: [Errno 99] Cannot assign requested address", 60.0),
        ("dial tcp 127.0.0.1:0->127.0.0.1:80: bind: address already in use", 60.0),
        ("dial tcp 127.0.0.1:80: connectex: Only one usage of each socket address", 120.0),
    ] {
        assert_eq!(hold(text, None), Some(hold_s), "{text}");
        assert_eq!(hold(text, Some(2)), Some(hold_s), "{text}");
        assert_eq!(hold(text, Some(0)), Some(hold_s.max(60.0)), "{text}");
    }
    let e = explained("dial tcp 127.0.0.1:8080: connect: cannot assign requested address");
    assert!(e.remedies.iter().all(|r| r.name.as_deref() != Some("tw-reuse")), "nothing to gain");
    assert!(e.arithmetic.as_ref().is_some_and(|a| a.doubts.len() == 1), "28,232/s are rarely reached");
}

/// What P and T are taken for is on the screen, whatever the text.
#[test]
fn the_screen_says_what_is_assumed() {
    for (text, says) in [
        ("dial tcp 10.0.0.1:80: connect: cannot assign requested address", "pool and hold time by default of Linux"),
        ("OSError: [Errno 99] Cannot assign requested address", "by default of Linux (to loopback 1 s)"),
        ("dial tcp 127.0.0.1:80: connect: cannot assign requested address", "by default of Linux to loopback"),
        ("dial tcp 10.0.0.1:80: connectex: Only one usage of each socket address", "by default of Windows"),
    ] {
        let shown = render_explanation(&explained(text), &Page::plain());
        let flat = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(says), "{shown}");
    }
}

/// ListenDrops counts overflows and more; all of these count since the machine started.
#[test]
fn counters_of_the_kernel_are_what_they_count() {
    let read = |text: &str| {
        let e = explained(text);
        (e.readings.len(), e.readings[0].limit, e.readings[0].certainty, e.readings[0].count)
    };
    let (certain, open) = (Certainty::Certain, Certainty::Ambiguous);
    assert_eq!(read("TcpExtListenOverflows 10 0.0\nTcpExtListenDrops 500 0.0\n"), (1, Limit::Backlog, certain, 10));
    assert_eq!(read("TcpExtListenOverflows 0 0.0\nTcpExtListenDrops 500 0.0\n"), (1, Limit::Hidden, open, 500));
    assert_eq!(
        read("    12 times the listen queue of a socket overflowed\n    20 SYNs to LISTEN sockets dropped\n"),
        (1, Limit::Backlog, certain, 12)
    );
    for counter in
        ["TcpExtListenOverflows 10 0.0", "    20 SYNs to LISTEN sockets dropped", "TCPTimeWaitOverflow: 3", "TCPReqQFullDrop: 3"]
    {
        assert!(explained(counter).readings[0].says.contains("since it started"), "{counter}");
    }
    for line in
        ["TCP: time wait bucket table overflow", "TCP: request_sock_TCP: Possible SYN flooding on port 80. Sending cookies."]
    {
        assert!(!explained(line).readings[0].says.contains("since it started"), "{line}: one event");
    }
}

/// A limit of the kernel that the line names is the one that is explained, and no other.
#[test]
fn the_table_that_a_line_names_is_named_alone() {
    let settings = ["tcp_mem", "tcp_max_orphans", "net.ipv4.neigh", "net.ipv6.neigh", "net.ipv6.route"];
    for (text, setting) in [
        ("TCP: out of memory -- consider tuning tcp_mem", "tcp_mem"),
        ("TCP: too many orphaned sockets", "tcp_max_orphans"),
        ("neighbour: arp_cache: neighbor table overflow!", "net.ipv4.neigh"),
        ("neighbour: ndisc_cache: neighbor table overflow!", "net.ipv6.neigh"),
        ("Route cache is full: consider increasing sysctl net.ipv6.route.max_size.", "net.ipv6.route"),
    ] {
        let e = explained(text);
        let all = format!("{}\n{}", e.readings[0].says, commands(&e));
        let named: Vec<&str> = settings.into_iter().filter(|s| all.contains(s)).collect();
        assert_eq!(named, [setting], "{all}");
        assert_eq!((e.readings[0].exactly, e.readings[0].table.is_some()), (Some(Exactly::KernelTable), true), "{text}");
    }
}

/// accept() is a server's: its own settings, not a shell's limit, and not a smaller load.
#[test]
fn descriptors_of_a_server_are_raised_in_the_server() {
    for (text, first) in [
        ("2024/05/01 10:00:00 [crit] 7#7: accept4() failed (24: Too many open files)", "worker_rlimit_nofile"),
        ("http: Accept error: accept tcp [::]:8080: accept4: too many open files; retrying in 1s", "prlimit"),
        ("io.netty.channel.unix.Errors$NativeIoException: accept(..) failed: Too many open files", "prlimit"),
    ] {
        let all = commands(&explained(text));
        assert!(all.lines().next().is_some_and(|l| l.contains(first)), "{all}");
        assert!(all.contains("LimitNOFILE") && !all.contains("sockbench load") && !all.contains(" ulimit -n 65536"), "{all}");
    }
    assert!(commands(&explained("dial tcp 10.0.0.1:80: socket: too many open files")).contains("ulimit -n 65536"));
}

/// A client that is never idle lost no idle connection.
#[test]
fn resets_of_a_busy_client_are_not_put_down_to_idle_timeouts() {
    for text in ["  Socket errors: connect 0, read 4901, write 0, timeout 0", "apr_socket_recv: Connection reset by peer (104)"] {
        let e = explained(text);
        let all = format!("{}\n{}", e.readings[0].says, commands(&e));
        assert!(!all.contains("keepalive_timeout") && all.contains("worker_connections"), "{all}");
    }
    assert!(commands(&explained("read tcp 10.0.0.2:5->10.0.0.1:80: read: connection reset by peer")).contains("IdleConnTimeout"));
}

/// What the address of the text already answers is not advised.
#[test]
fn a_text_with_an_ipv4_address_is_not_sent_to_ipv4() {
    for text in [
        "dial tcp 10.0.0.5:80: connect: network is unreachable",
        "Error: connect ENETUNREACH 10.0.0.5:80",
        "connect to 10.0.0.5 port 80 failed: Network is unreachable",
    ] {
        let e = explained(text);
        let all = format!("{}\n{}", e.readings[0].says, commands(&e));
        assert!(!all.contains("IPv6") && !all.contains("curl -4"), "{all}");
    }
    assert!(commands(&explained("dial tcp [2001:db8::1]:80: connect: network is unreachable")).contains("curl -4"));
    let refused = |text: &str| commands(&explained(text)).contains("curl -6");
    assert!(
        !refused("dial tcp 10.0.0.5:80: connect: connection refused")
            && refused("dial tcp 127.0.0.1:80: connect: connection refused")
    );
}

/// Commands of other systems are shown only where the text shows none.
#[test]
fn commands_are_those_of_the_texts_system() {
    for (text, os) in [
        ("connect() to 10.0.0.1:9000 failed (99: Cannot assign requested address) while connecting to upstream", Some(Os::Linux)),
        ("TCP: too many orphaned sockets", Some(Os::Linux)),
        ("WSAECONNREFUSED 10061 at connect", Some(Os::Windows)),
        ("connect: Can't assign requested address", Some(Os::Macos)),
        ("connect: connection refused", None),
    ] {
        let e = explained(text);
        assert_eq!(e.readings[0].os, os, "{text}");
        let has = |of: Os| {
            e.remedies.iter().any(|r| match of {
                Os::Windows => r.windows_command.is_some(),
                Os::Macos => r.macos_command.is_some(),
                Os::Linux => !r.command.is_empty() && !r.command.starts_with("sockbench "),
            })
        };
        for system in [Os::Linux, Os::Windows, Os::Macos] {
            assert!(!has(system) || os.is_none_or(|os| os == system), "{text}: commands of {system:?}");
        }
    }
}

/// Limits of a load tool, a server or a machine: what kind it is, and one thing to do that names it.
#[test]
fn limits_without_a_failed_call_say_what_they_are() {
    for (text, exactly, advice) in [
        ("no live upstreams while connecting to upstream, client: 10.0.0.9", Exactly::AllDown, "max_fails=0"),
        (
            "2024 [error] 7#7: *9 limiting requests, excess: 10.020 by zone \"one\", client: 10.0.0.9",
            Exactly::RateLimit,
            "limit_req",
        ),
        (
            "level=warning msg=\"Insufficient VUs, reached 50 active VUs and cannot initialize more\"",
            Exactly::ToolUsers,
            "maxVUs",
        ),
        ("host/WARNING/root: CPU usage above 90%! This may constrain your throughput", Exactly::ToolCpu, "locust --processes"),
        ("java.lang.OutOfMemoryError: unable to create native thread", Exactly::Threads, "pids.max"),
        ("oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),task=wrk,pid=12,uid=0", Exactly::Memory, "memory.max"),
    ] {
        let e = explained(text);
        let r = &e.readings[0];
        assert_eq!((r.exactly, r.limit, r.certainty), (Some(exactly), Limit::Hidden, Certainty::Certain), "{text}");
        assert!(commands(&e).contains(advice), "{text}: {}", commands(&e));
    }
    // The kernel says one kill on several lines.
    let kill = "wrk invoked oom-killer: gfp_mask=0xcc0, order=0\noom-kill:constraint=CONSTRAINT_MEMCG,task=wrk,pid=12,uid=0\nMemory cgroup out of memory: Killed process 12 (wrk) total-vm:1kB\n";
    assert_eq!((explained(kill).readings.len(), explained(kill).readings[0].count), (1, 1));
}

/// A message that a program broke inside its parentheses is one failure; two messages are two.
#[test]
fn a_message_over_two_lines_is_counted_once() {
    let count = |text: &str| explained(text).readings.iter().map(|r| r.count).sum::<u64>();
    for text in [
        "OSError(10048, 'Only one usage of each socket address\n  (protocol/network address/port) is normally permitted')",
        "OSError(10048, '[WinError 10048] Only one usage of each socket address (protocol/network\n    address/port) is normally permitted')",
        "Error (connect EADDRNOTAVAIL\n  10.0.0.1:80: Cannot assign requested address)",
    ] {
        assert_eq!(count(text), 1, "{text}");
    }
    assert_eq!(count("connect EADDRNOTAVAIL 10.0.0.1:80\n  connect EADDRNOTAVAIL 10.0.0.1:80"), 2);
}

/// A server's own lines about its client, alone or as a trace: no failure of its connections, and one line says whose.
#[test]
fn a_client_that_went_away_from_a_server_is_not_put_down_to_the_target() {
    let python = |inner: &str, error: &str| {
        format!(
            "Traceback (most recent call last):\n  File \"/usr/lib/python3.11/socketserver.py\", line 691, in process_request_thread\n    \
             self.finish_request(request, client_address)\n{inner}{error}\n"
        )
    };
    let write = "  File \"/usr/lib/python3.11/socketserver.py\", line 826, in write\n    self._sock.sendall(b)\n";
    let read = "  File \"/usr/lib/python3.11/http/server.py\", line 404, in handle_one_request\n    self.rfile.readline(65537)\n  File \
                \"/usr/lib/python3.11/socket.py\", line 706, in readinto\n    return self._sock.recv_into(b)\n";
    let announced = "Exception occurred during processing of request from ('127.0.0.1', 56650)\n";
    let java = "java.io.IOException: Broken pipe\n\tat java.base/sun.nio.ch.SocketDispatcher.write0(Native Method)\n\tat \
                org.apache.tomcat.util.net.NioChannel.write(NioChannel.java:135)\n";
    for text in [
        python(write, "BrokenPipeError: [Errno 32] Broken pipe"),
        announced.to_owned() + &python(write, "BrokenPipeError: [Errno 32] Broken pipe"),
        python(read, "ConnectionResetError: [Errno 104] Connection reset by peer"),
        java.to_owned(),
        "org.apache.catalina.connector.ClientAbortException: java.io.IOException: Broken pipe".into(),
        "uwsgi_response_write_body_do(): Broken pipe [core/writer.c line 341] during GET / (10.0.0.1)".into(),
        "SIGPIPE: writing to a closed pipe/socket/fd (probably the client disconnected) on request / (ip 10.0.0.1) !!!".into(),
        "2026/11/29 [info] 7#7: *1 writev() failed (32: Broken pipe) while sending to client, client: 10.0.0.9".into(),
        "2026/11/29 write tcp 10.0.0.2:8080->10.0.0.1:51234: write: broken pipe".into(),
        "[info] 7#7: *1 epoll_wait() reported that client prematurely closed connection, so upstream connection is closed too while \
         sending request to upstream, client: 10.0.0.9, upstream: \"http://10.0.0.5:80/\""
            .into(),
        "[info] 7#7: *1 writev() failed (32: Broken pipe) while sending to client, client: 10.0.0.9, upstream: \"http://10.0.0.5:80/\"".into(),
    ] {
        let said = refused(&text);
        assert!(said.contains("its client had gone"), "{text}: {said}");
    }
    for text in [
        "2026/11/29 08:27:11 [info] 1#1: *6 client 10.0.0.9 closed keepalive connection (104: Connection reset by peer)",
        "2026/11/29 [info] 7#7: *5 client timed out (110: Connection timed out) while waiting for request, client: 10.0.0.9",
    ] {
        assert!(refused(text).contains("harmless"), "{text}: {}", refused(text));
    }
    // What a proxy says of the server behind it, and a program of its own, in the same words.
    for text in [
        "[error] 7#7: *1 upstream prematurely closed connection while sending to client, client: 10.0.0.9, upstream: \"http://10.0.0.5:80/\"",
        "[error] 7#7: *1 recv() failed (104: Connection reset by peer) while sending to client, client: 10.0.0.9, upstream: \"http://10.0.0.5:80/\"",
        "[error] 7#7: *1 readv() failed (104: Connection reset by peer) while reading client request, upstream: \"http://10.0.0.5:80/\"",
        "[error] 7#7: *1 upstream timed out (110: Connection timed out) while sending to client, upstream: \"http://10.0.0.5:80/\"",
        "processing of request from queue failed: Connection reset by peer (redis)",
        "dial tcp 10.0.0.5:80: i/o timeout: while keepalive",
    ] {
        assert!(!explained(text).readings.is_empty(), "{text}");
    }
    // The same words of a client's own sockets, inside a server too.
    let outgoing = "  File \"/app/views.py\", line 3, in get\n    requests.get(URL)\n  File \
                    \"/usr/lib/python3/dist-packages/requests/adapters.py\", line 501, in send\n    raise\n";
    for text in [
        python(outgoing, "ConnectionResetError: [Errno 104] Connection reset by peer"),
        "write tcp 10.0.0.1:51234->10.0.0.2:8080: write: broken pipe".into(),
        java.replace("org.apache.tomcat.util.net.NioChannel", "org.apache.http.impl.Channel"),
    ] {
        assert_eq!(explained(&text).readings[0].limit, Limit::Reset, "{text}");
    }
}

/// More exactly than the limit: why a name gave no address, and who ended a connection or did not.
#[test]
fn what_a_limit_is_more_exactly() {
    for (text, limit, exactly) in [
        ("socket.gaierror: [Errno -2] Name or service not known", Limit::NameResolution, Some(Exactly::UnknownName)),
        ("socket.gaierror: [Errno -3] Temporary failure in name resolution", Limit::NameResolution, Some(Exactly::NameServer)),
        ("dial tcp: lookup api.test: no such host", Limit::NameResolution, Some(Exactly::UnknownName)),
        ("dial tcp: lookup api.test on 10.0.0.2:53: server misbehaving", Limit::NameResolution, Some(Exactly::NameServer)),
        (
            "dial tcp: lookup api.test on 10.0.0.2:53: read udp 10.0.0.9:4242->10.0.0.2:53: i/o timeout",
            Limit::NameResolution,
            Some(Exactly::NameServer),
        ),
        ("Error: getaddrinfo EAI_AGAIN api.test", Limit::NameResolution, Some(Exactly::NameServer)),
        ("Error: getaddrinfo ENOTFOUND api.test", Limit::NameResolution, Some(Exactly::UnknownName)),
        ("curl: (6) Could not resolve host: api.test", Limit::NameResolution, None),
        ("Get \"https://x/\": http2: client connection lost", Limit::TimedOut, Some(Exactly::PingLost)),
        (
            "rpc error: code = Unavailable desc = keepalive ping failed to receive ACK within timeout",
            Limit::TimedOut,
            Some(Exactly::PingLost),
        ),
        ("http: server closed idle connection", Limit::Reset, Some(Exactly::IdleClosed)),
        ("FATAL:  sorry, too many clients already", Limit::Hidden, Some(Exactly::ServerLimit)),
        ("SQLSTATE[HY000] [1040] Too many connections", Limit::Hidden, Some(Exactly::ServerLimit)),
    ] {
        let e = explained(text);
        let r = &e.readings[0];
        assert_eq!((r.limit, r.exactly, r.certainty, r.count), (limit, exactly, Certainty::Certain, 1), "{text}");
        assert!(!e.remedies.is_empty(), "{text}");
    }
}

/// A worker that passed its server's own time limit: the target's program ended it. What it waited for is not in the line.
#[test]
fn a_worker_that_its_server_ended_is_late_for_a_reason_that_is_not_said() {
    for text in [
        "[CRITICAL] WORKER TIMEOUT (pid:456)",
        "[2026-01-01 10:00:00 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:456)",
        "worker=0 PID:123 timeout (61s > 60s), killing",
        "E, [2026-01-01T10:00:00 #7] ERROR -- : worker=0 PID:123 timeout (61s > 60s), killing",
        "[7] ! Terminating timed out worker (worker failed to check in within 60 seconds): 123",
        "*** HARAKIRI ON WORKER 3 (pid: 7, try: 1) ***",
        "HARAKIRI triggered by worker 3 core 0",
        "WARNING: [pool www] child 21, script '/index.php' (request: \"GET /index.php\") execution timed out (30.0 sec), terminating",
        "PHP Fatal error:  Maximum execution time of 30 seconds exceeded in /a.php on line 3",
        "2026-11-28T09:00:00.000Z 7f3c-11 Task timed out after 3.00 seconds",
        "mod_wsgi (pid=7): Daemon process deadlock timer expired, stopping process 'x'.",
    ] {
        let e = explained(text);
        let r = &e.readings[0];
        assert_eq!((r.limit, r.exactly, r.side), (Limit::TimedOut, Some(Exactly::WorkerKilled), Some(Side::Server)), "{text}");
        assert_eq!((r.certainty, r.count, e.readings.len()), (Certainty::Likely, 1, 1), "{text}");
        assert!(!r.alternatives.is_empty() && !e.remedies.is_empty(), "{text}");
        assert!(e.remedies.iter().any(|remedy| remedy.action.contains("raise the limit")), "{text}: {:?}", e.remedies);
    }
    // Its server guesses at memory; beside its own time limit that is no second cause.
    let killed = "[2026-01-01 10:00:01 +0000] [7] [ERROR] Worker (pid:456) was sent SIGKILL! Perhaps out of memory?";
    let alone = explained(killed);
    assert_eq!((alone.readings[0].exactly, alone.readings[0].certainty), (Some(Exactly::Memory), Certainty::Likely));
    let both = explained(&format!("[2026-01-01 10:00:00 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:456)\n{killed}"));
    assert!(both.readings.iter().all(|r| r.exactly == Some(Exactly::WorkerKilled)), "{:?}", both.readings);
}

/// wrk has one count for connections that ended and for answers that it could not parse.
#[test]
fn failed_reads_of_wrk_may_be_answers_that_are_not_http() {
    for counts in ["connect 0, read 236, write 0, timeout 0", "connect 0, read 3268, write 0, timeout 48"] {
        let e = explain_text(&format!("  Socket errors: {counts}\n"), &Known::default()).unwrap();
        assert_eq!((e.readings[0].limit, e.readings[0].certainty), (Limit::Reset, Certainty::Likely), "{counts}");
        assert!(
            e.readings[0].alternatives.iter().any(|a| a.tell.contains("could not parse")),
            "{:?}",
            e.readings[0].alternatives
        );
    }
}

/// What refused at loopback may be the container's own: then another reading fits, and it is not certain.
#[test]
fn a_refusal_at_the_loopback_of_a_container_is_not_certain() {
    let refused = "dial tcp 127.0.0.1:8080: connect: connection refused";
    let read = |text: &str| explain_text(text, &Known::default()).unwrap().readings.remove(0);
    for shown in ["$ docker run --rm grafana/k6 run -\n", "k6-1  | ", "kubectl logs job/k6\n", "INFO container started\n"] {
        let r = read(&format!("{shown}{refused}\n"));
        assert_eq!((r.limit, r.certainty, r.alternatives.len()), (Limit::Refused, Certainty::Likely, 1), "{shown}");
        assert!(r.alternatives[0].tell.contains("--network host"), "{:?}", r.alternatives);
    }
    // Nothing else fits without a container, at another address, or where the port itself was taken.
    for text in [
        refused,
        "docker run k6: dial tcp 10.0.0.5:80: connect: connection refused",
        "docker: listen tcp4 127.0.0.1:8080: bind: address already in use.",
    ] {
        let r = read(text);
        assert_eq!((r.certainty, r.alternatives.len()), (Certainty::Certain, 0), "{text}");
    }
}
