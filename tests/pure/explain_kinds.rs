//! What a reading rests on beside its line: where connections go, which counter it is, what the program and the line name.

use sockbench::testing::explain::{Known, explain_text};
use sockbench::testing::model::explanation::{Certainty, Exactly, Explanation, Limit, Os};
use sockbench::testing::model::finding::Remedy;
use sockbench::testing::report::text::{Page, render_explanation};

fn explained(text: &str) -> Explanation {
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

/// The server's own log of a client that went away is no failure of the server's connections.
#[test]
fn a_client_that_went_away_from_a_server_is_not_put_down_to_the_target() {
    for text in [
        "org.apache.catalina.connector.ClientAbortException: java.io.IOException: Broken pipe",
        "uwsgi_response_write_body_do(): Broken pipe [core/writer.c line 341] during GET / (10.0.0.1)",
        "2026/11/29 08:27:11 [info] 1#1: *6 client 10.0.0.9 closed keepalive connection (104: Connection reset by peer)",
    ] {
        assert!(explain_text(text, &Known::default()).is_none(), "{text}");
    }
}
