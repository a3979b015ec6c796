//! Pasted lists of sockets, in the formats of all systems: counted by destination, against a pool.

use sockbench::testing::explain::{Known, explain_text};

/// Ports in use when the list is full.
const POOL: u32 = 10;

fn read(text: &str, pool: Option<u32>) -> Vec<String> {
    let known = Known { pool, ..Known::default() };
    let words = |e: sockbench::testing::model::Explanation| {
        e.readings.iter().map(|r| format!("{} {} {}", r.call.word(), r.limit.word(), r.count)).collect()
    };
    explain_text(text, &known).map(words).unwrap_or_default()
}

fn list(head: &str, rows: u32, row: fn(u32) -> String) -> String {
    format!("{head}\n") + &(0..rows).map(|i| row(40_000 + i) + "\n").collect::<String>()
}

/// Name, head and row.
type Format = (&'static str, &'static str, fn(u32) -> String);

/// Ports from 40,000 on to one destination.
const FORMATS: &[Format] = &[
    ("ss -tan", "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process", |p| {
        format!("TIME-WAIT  0  0  10.0.0.2:{p}  10.0.0.1:8080  ")
    }),
    ("ss -tanp", "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process", |p| {
        format!("ESTAB 0 0 10.0.0.2:{p} 10.0.0.1:8080 users:((\"python3\",pid=1048,fd=9))")
    }),
    ("ss -tano", "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process", |p| {
        format!("TIME-WAIT 0 0 10.0.0.2:{p} 10.0.0.1:8080 timer:(timewait,41sec,0)")
    }),
    ("ss with a filter: no state", "Recv-Q Send-Q Local Address:Port  Peer Address:Port Process", |p| {
        format!("0      0         10.0.0.2:{p}     10.0.0.1:8080          ")
    }),
    ("ss of mapped addresses", "State", |p| format!("TIME-WAIT 0 0 [::ffff:10.0.0.2]:{p} [::ffff:10.0.0.1]:8080")),
    ("ss with an interface", "State", |p| format!("TIME-WAIT 0 0 10.0.0.2%eth0:{p} 10.0.0.1:8080")),
    ("netstat -tan", "Proto Recv-Q Send-Q Local Address Foreign Address State", |p| {
        format!("tcp        0      0 10.0.0.2:{p}          10.0.0.1:8080           TIME_WAIT  ")
    }),
    ("netstat -tanp", "", |p| format!("tcp  0  0 10.0.0.2:{p} 10.0.0.1:8080 ESTABLISHED 1048/python3        ")),
    ("netstat -tano", "", |p| format!("tcp  0  0 10.0.0.2:{p} 10.0.0.1:8080 TIME_WAIT   timewait (41.10/0/0)")),
    ("netstat -t: names", "", |p| format!("tcp  0  0 client.local:{p} server.local:http-alt TIME_WAIT")),
    ("netstat -ano, Windows", "  Proto  Local Address  Foreign Address  State  PID", |p| {
        format!("  TCP    127.0.0.1:{p}        127.0.0.1:5000         TIME_WAIT       0")
    }),
    ("netstat -an, German Windows", "Aktive Verbindungen", |p| format!("  TCP    127.0.0.1:{p}   127.0.0.1:5000   WARTEND")),
    ("netstat -an, French Windows", "Connexions actives", |p| format!("  TCP    127.0.0.1:{p}   127.0.0.1:5000   TIME_WAIT")),
    (
        "PowerShell",
        "LocalAddress LocalPort RemoteAddress RemotePort State AppliedSetting OwningProcess\n------------ --------- ------------- ---------- ----- -------------- -------------",
        |p| {
            format!(
                "127.0.0.1                           {p}     127.0.0.1                           5000       TimeWait                   0"
            )
        },
    ),
    ("netstat -an, macOS", "Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)", |p| {
        format!("tcp4       0      0  127.0.0.1.{p}        127.0.0.1.8080         TIME_WAIT  ")
    }),
    ("netstat -an, macOS, IPv6", "", |p| format!("tcp6       0      0  ::1.{p}              ::1.8080               TIME_WAIT")),
    ("lsof -i", "COMMAND   PID USER   FD   TYPE DEVICE SIZE/OFF NODE NAME", |p| {
        format!("python3  1048  app   10u  IPv4 110480      0t0  TCP 10.0.0.2:{p}->10.0.0.1:8080 (ESTABLISHED)")
    }),
    ("/proc/net/tcp", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", |p| {
        format!(
            "   0: 0200000A:{p:04X} 0100000A:1F90 06 00000000:00000000 03:00000104 00000000     0        0 0 3 0000000000000000"
        )
    }),
    ("conntrack -L", "", |p| {
        format!(
            "tcp      6 41 TIME_WAIT src=10.0.0.2 dst=10.0.0.1 sport={p} dport=8080 src=10.0.0.1 dst=10.0.0.2 sport=8080 dport={p} [ASSURED] mark=0 use=1"
        )
    }),
];

#[test]
fn a_full_list_is_ports_and_a_short_one_is_nothing_in_every_format() {
    for (name, head, row) in FORMATS {
        assert_eq!(read(&list(head, POOL, *row), Some(POOL)), [format!("connect local-ports {POOL}")], "{name}");
        assert_eq!(read(&list(head, POOL, *row), None), [""; 0], "{name}: far from the usual pool");
    }
}

#[test]
fn counts_of_states_are_added_up() {
    for (text, n) in [
        ("     11 CLOSE_WAIT\n    104 ESTABLISHED\n     24 LISTEN\n  27989 TIME_WAIT\n", 28_104),
        ("     12 ESTAB\n     24 LISTEN\n  28028 TIME-WAIT\n      1 State\n", 28_040),
        ("TIME_WAIT 28000\nESTABLISHED 104\nLISTEN 9\n", 28_104),
        ("TCP:   28399 (estab 104, closed 28240, orphaned 0, timewait 28240)\n", 28_240),
        ("  28104 10.0.0.1:8080 TIME_WAIT\n     11 10.0.0.3:5432 ESTABLISHED\n", 28_104),
        (
            "16104 TimeWait                  {MSFT_NetTCPConnection (InstanceID = ...), ...}\n   11 Established  {MSFT_NetTCPConnection}\n",
            16_115,
        ),
    ] {
        assert_eq!(read(text, None), [format!("connect local-ports {n}")], "{text}");
    }
}

/// A server's connections have one destination each: they use none of its own ports.
#[test]
fn a_servers_list_is_nothing() {
    for row in [
        (|p| format!("ESTAB 0 0 10.0.0.1:8080 10.0.0.2:{p}")) as fn(u32) -> String,
        |p| format!("TIME-WAIT 0 0 10.0.0.1:8080 10.0.0.2:{p}"),
        |p| format!("CLOSE-WAIT 1 0 10.0.0.1:8080 10.0.0.2:{p}"),
        |p| format!("tcp6 0 0 10.0.0.1:8080 10.0.0.2:{p} ESTABLISHED"),
    ] {
        assert_eq!(read(&list("State Recv-Q Send-Q", 20_000, row), None), [""; 0]);
    }
}

#[test]
fn full_queues_of_listeners_are_found() {
    let ss = "State  Recv-Q Send-Q Local Address:Port Peer Address:Port\nLISTEN 129    128          0.0.0.0:8080      0.0.0.0:*\nLISTEN 0      511          0.0.0.0:80        0.0.0.0:*\n";
    let mac = "Current listen queue sizes (qlen/incqlen/maxqlen)\nProto Listen         Local Address         \ntcp4  128/0/128      *.8080                 \ntcp46 0/0/100        *.80\n";
    for text in [ss, mac] {
        assert_eq!(read(text, None), ["accept backlog 1"], "{text}");
    }
    for text in [ss.replace("129", "12"), mac.replace("128/0", "12/0")] {
        assert_eq!(read(&text, None), [""; 0], "{text}");
    }
}

/// A list ends where other lines begin: these are read as lines.
#[test]
fn lines_behind_a_list_are_read() {
    let text = list("Recv-Q Send-Q Local Address:Port Peer Address:Port", 3, |p| format!("0 0 10.0.0.2:{p} 10.0.0.1:80"));
    assert_eq!(read(&(text + "all is well\nconnect: Connection refused\n"), None), ["connect refused 1"]);
}
