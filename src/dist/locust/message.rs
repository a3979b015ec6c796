//! Messages: msgpack arrays of type, data and the sender's node id. One encoder: a master dies of a message that is cut off.

use std::time::Duration;

use rmpv::Value;

/// Longest `stop_timeout` that is believed.
const STOP_TIMEOUT_MAX: Duration = Duration::from_secs(3600);
/// Most classes of users in one message.
pub(super) const CLASSES: usize = 4096;

/// What a master says.
#[derive(Debug, Clone, PartialEq)]
pub enum FromMaster {
    /// this worker is registered
    Ack,
    /// from now on there are to be these users
    Spawn(Spawn),
    /// the ramp is over
    SpawningComplete,
    /// end the test, and be ready for the next
    Stop,
    /// end the test and the process
    Quit,
    /// the answer to a heartbeat
    Heartbeat,
    /// close the connection and open another
    Reconnect,
    /// something that a worker of this kind does not know
    Other(String),
}

/// The users that this worker is to have.
#[derive(Debug, Clone, PartialEq)]
pub struct Spawn {
    /// rises with each such message of a master
    pub timestamp: f64,
    /// by class: the absolute number
    pub users: Vec<(String, u32)>,
    /// the target's URL
    pub host: Option<String>,
    /// how long users may go on after a stop
    pub stop_timeout: Duration,
    /// flags of sockbench, as typed into the master's field or command line
    pub flags: String,
    /// statistics begin again when the ramp is over
    pub reset_stats: bool,
}

/// Why a message of the master is of no use. Each is one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// not msgpack, or more than one value
    #[error("a message of the master that is not msgpack")]
    NotMsgpack,
    /// not what Locust sends
    #[error("a message of the master without its {0}")]
    Lacks(&'static str),
    /// more than a mix can have
    #[error("a message of the master with more than {CLASSES} classes")]
    Classes,
}

/// The name of the option that carries flags of sockbench (see [`super::locustfile`]).
pub const FLAGS_OPTION: &str = "sockbench";

/// Reads one message.
pub fn decode(mut bytes: &[u8]) -> Result<FromMaster, BadMessage> {
    let value = rmpv::decode::read_value_with_max_depth(&mut bytes, 32).map_err(|_| BadMessage::NotMsgpack)?;
    let parts = value.as_array().filter(|_| bytes.is_empty()).ok_or(BadMessage::NotMsgpack)?;
    let [kind, data, ..] = &parts[..] else { return Err(BadMessage::Lacks("type and data")) };
    Ok(match kind.as_str().ok_or(BadMessage::Lacks("type"))? {
        "ack" => FromMaster::Ack,
        "spawn" => FromMaster::Spawn(spawn(data)?),
        "spawning_complete" => FromMaster::SpawningComplete,
        "stop" => FromMaster::Stop,
        "quit" => FromMaster::Quit,
        "heartbeat" => FromMaster::Heartbeat,
        "reconnect" => FromMaster::Reconnect,
        other => FromMaster::Other(other.chars().take(80).collect()),
    })
}

fn spawn(data: &Value) -> Result<Spawn, BadMessage> {
    let field = |name| entry(data, name);
    let timestamp = field("timestamp").and_then(Value::as_f64).filter(|t| t.is_finite()).ok_or(BadMessage::Lacks("timestamp"))?;
    let counts = field("user_classes_count").and_then(Value::as_map).ok_or(BadMessage::Lacks("user_classes_count"))?;
    if counts.len() > CLASSES {
        return Err(BadMessage::Classes);
    }
    let users = counts
        .iter()
        .map(|(name, n)| Some((name.as_str()?.to_owned(), u32::try_from(n.as_u64()?).ok()?)))
        .collect::<Option<Vec<_>>>()
        .ok_or(BadMessage::Lacks("counts of users"))?;
    let seconds = field("stop_timeout").and_then(Value::as_f64).filter(|s| *s > 0.0).unwrap_or(0.0);
    let options = field("parsed_options");
    let option = |name| options.and_then(|o| entry(o, name));
    Ok(Spawn {
        timestamp,
        users,
        host: field("host").and_then(Value::as_str).filter(|h| !h.is_empty()).map(str::to_owned),
        stop_timeout: Duration::try_from_secs_f64(seconds).unwrap_or(STOP_TIMEOUT_MAX).min(STOP_TIMEOUT_MAX),
        flags: option(FLAGS_OPTION).and_then(Value::as_str).unwrap_or_default().to_owned(),
        reset_stats: option("reset_stats").and_then(Value::as_bool).unwrap_or(false),
    })
}

fn entry<'a>(map: &'a Value, name: &str) -> Option<&'a Value> {
    map.as_map()?.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

/// One message to the master, whole.
pub fn encode(kind: &str, data: Value, node_id: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let message = Value::Array(vec![kind.into(), data, node_id.into()]);
    rmpv::encode::write_value(&mut bytes, &message).expect("a Vec takes every byte");
    bytes
}

/// A map with text as keys.
pub fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) fn spawn_bytes(data: Value) -> Vec<u8> {
        encode("spawn", data, "master")
    }

    fn whole() -> Value {
        map([
            ("timestamp", 1_700_000_000.5.into()),
            ("user_classes_count", map([("Sockbench", 7.into()), ("io", 0.into())])),
            ("host", "http://127.0.0.1:8080".into()),
            ("stop_timeout", 2.5.into()),
            (
                "parsed_options",
                map([("sockbench", "--think 1s".into()), ("reset_stats", true.into()), ("web_port", 8089.into())]),
            ),
        ])
    }

    #[test]
    fn the_bytes_of_a_message_are_those_that_locust_reads() {
        // msgpack.dumps(("client_ready", -1, "h_1")) of Python
        assert_eq!(encode("client_ready", (-1).into(), "h_1"), b"\x93\xacclient_ready\xff\xa3h_1");
        // msgpack.dumps(("heartbeat", {"state": "ready", "current_cpu_usage": 1.5}, "h_1"))
        let beat = encode("heartbeat", map([("state", "ready".into()), ("current_cpu_usage", 1.5.into())]), "h_1");
        assert_eq!(beat, b"\x93\xa9heartbeat\x82\xa5state\xa5ready\xb1current_cpu_usage\xcb\x3f\xf8\0\0\0\0\0\0\xa3h_1");
    }

    #[test]
    fn a_spawn_is_read_and_what_is_absent_has_a_default() {
        let users = vec![("Sockbench".to_owned(), 7), ("io".to_owned(), 0)];
        let spawn = Spawn {
            timestamp: 1_700_000_000.5,
            users: users.clone(),
            host: Some("http://127.0.0.1:8080".into()),
            stop_timeout: Duration::from_millis(2500),
            flags: "--think 1s".into(),
            reset_stats: true,
        };
        assert_eq!(decode(&spawn_bytes(whole())), Ok(FromMaster::Spawn(spawn)));
        let least = map([("timestamp", 3.into()), ("user_classes_count", map([("a", 1.into())])), ("host", Value::Nil)]);
        let Ok(FromMaster::Spawn(least)) = decode(&spawn_bytes(least)) else { panic!("it has what is needed") };
        assert_eq!((least.timestamp, least.host, least.stop_timeout, least.reset_stats), (3.0, None, Duration::ZERO, false));
        for (name, kind) in [("ack", FromMaster::Ack), ("stop", FromMaster::Stop), ("what", FromMaster::Other("what".into()))] {
            assert_eq!(decode(&encode(name, Value::Nil, "master")), Ok(kind));
        }
    }

    #[test]
    fn wrong_types_are_one_line() {
        let with = |count: Value| spawn_bytes(map([("timestamp", 1.0.into()), ("user_classes_count", count)]));
        let two = encode("ack", Value::Nil, "x");
        for bytes in [
            vec![],
            b"\x93\xa3ack".to_vec(),
            [&two[..], &two].concat(),
            b"\x91\xa3ack".to_vec(),
            b"\x93\x01\xc0\xc0".to_vec(),
            spawn_bytes(Value::Nil),
            with(Value::Nil),
            with(Value::Map((0..=CLASSES).map(|n| (n.to_string().into(), 1.into())).collect())),
            spawn_bytes(map([("timestamp", f64::INFINITY.into()), ("user_classes_count", map([("a", 1.into())]))])),
            with(map([("a", (-1).into())])),
            with(map([("a", "many".into())])),
            vec![0x91; 4096],
            // an array and a text that claim 4 GiB
            b"\xdd\xff\xff\xff\xff".to_vec(),
            b"\x93\xdb\xff\xff\xff\xff".to_vec(),
        ] {
            let why = decode(&bytes).expect_err("not a message").to_string();
            assert!(why.starts_with("a message of the master") && !why.contains('\n'), "{why}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_a_line(noise in prop::collection::vec(any::<u8>(), 0..200), keep in 0_usize..200) {
            let mut bytes = spawn_bytes(whole());
            bytes.truncate(keep);
            bytes.extend(&noise);
            let _ = decode(&bytes);
            let _ = decode(&noise);
        }
    }
}
