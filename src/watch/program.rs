//! Load generators and libraries that are recognised by how they are started.

/// A program whose habits are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// as reports name it, and as the remedies know it
    pub name: &'static str,
    /// words that start it
    starts: &'static [&'static str],
    pub(super) keeps: Keeps,
    /// arguments that turn that round
    unless: &'static [&'static str],
    /// arguments that name a script or a list of requests, with headers of its own
    script: &'static [&'static str],
}

/// Whether a program keeps its connections when nothing says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    Yes,
    /// unless its script says otherwise, which is not seen
    ByDefault,
    No,
    /// it depends on its code
    Unknown,
}

const fn known(name: &'static str, starts: &'static [&'static str], keeps: Keeps, unless: &'static [&'static str]) -> Known {
    Known { name, starts, keeps, unless, script: &[] }
}

impl Known {
    const fn scripted(self, script: &'static [&'static str]) -> Self {
        Self { script, ..self }
    }
}

/// The first that fits: tools before languages.
const PROGRAMS: &[Known] = &[
    known("Locust", &["locust"], Keeps::ByDefault, &[]),
    known("k6", &["k6"], Keeps::ByDefault, &["--no-connection-reuse", "--no-vu-connection-reuse"]),
    known("wrk", &["wrk", "wrk2"], Keeps::Yes, &["connection: close"]).scripted(&["-s", "--script"]),
    known("h2load", &["h2load"], Keeps::Yes, &["connection: close"]),
    known("ab", &["ab"], Keeps::No, &["-k"]),
    known("hey", &["hey"], Keeps::Yes, &["-disable-keepalive", "connection: close"]),
    known("oha", &["oha"], Keeps::Yes, &["--disable-keepalive", "connection: close"]),
    known("vegeta", &["vegeta"], Keeps::Yes, &["-keepalive=false", "connection: close"]).scripted(&["-targets"]),
    known("bombardier", &["bombardier"], Keeps::Yes, &["connection: close"]),
    known("siege", &["siege"], Keeps::Unknown, &[]),
    known("JMeter", &["jmeter", "jmeter.sh", "ApacheJMeter.jar"], Keeps::Unknown, &[]),
    known("Gatling", &["gatling", "gatling.sh"], Keeps::Unknown, &[]),
    known("Python requests", &["python", "python2", "python3", "pypy3"], Keeps::Unknown, &[]),
    known("Node.js", &["node", "nodejs"], Keeps::Unknown, &[]),
    known("Java", &["java"], Keeps::Unknown, &[]),
    // Often a script's way to wait for the server.
    known("curl", &["curl"], Keeps::Unknown, &[]),
];

/// The name of a program without its directory and what a shell has around it.
fn bare(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word).trim_matches(['\'', '"', ';', '(', ')'])
}

/// The program that these words start, also inside `sh -c '...'`; none where it is not known.
pub fn program_of(words: &[String]) -> Option<&'static Known> {
    let all: Vec<&str> = words.iter().flat_map(|word| word.split_whitespace()).collect();
    let names: Vec<&str> = all.iter().map(|word| bare(word)).collect();
    // python3.11 is a python3.
    let is = |name: &str, start: &str| name == start || start == "python3" && name.starts_with("python3.");
    PROGRAMS.iter().find(|p| p.starts.iter().any(|start| names.iter().any(|n| is(n, start))))
}

impl Known {
    /// Its own arguments: in a shell's line other programs have theirs, before it and after it.
    fn own_words<'a>(&self, words: &'a [String]) -> Vec<&'a str> {
        let all = words.iter().flat_map(|word| word.split_whitespace());
        let own = all.skip_while(|word| !self.starts.contains(&bare(word)));
        own.take_while(|word| !matches!(*word, "&" | "&&" | "|" | "||" | ";")).collect()
    }

    /// What it does with its connections when it is started with `words`.
    pub(super) fn keeps_with(&self, words: &[String]) -> Keeps {
        let text = self.own_words(words).join(" ").to_lowercase();
        let is_turned = self.unless.iter().any(|flag| match flag.strip_prefix("connection") {
            Some(_) => text.contains(flag),
            None => text.split_whitespace().any(|word| word == *flag),
        });
        let flag_of = |word: &str| word.split('=').next().unwrap_or_default().to_owned();
        let is_scripted = text.split_whitespace().any(|word| self.script.contains(&flag_of(word).as_str()));
        match (self.keeps, is_turned) {
            (Keeps::Yes | Keeps::ByDefault, true) => Keeps::No,
            (Keeps::No, true) => Keeps::Yes,
            (Keeps::Yes, false) if is_scripted => Keeps::ByDefault,
            (keeps, _) => keeps,
        }
    }

    /// The program of this name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        PROGRAMS.iter().find(|p| p.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn programs_are_recognised_also_behind_a_shell_and_an_interpreter() {
        for (line, name) in [
            ("/usr/bin/wrk -c 10 http://127.0.0.1:80/", Some("wrk")),
            ("/tmp/venv/bin/python3 /tmp/venv/bin/locust --headless", Some("Locust")),
            ("python3.11 load.py", Some("Python requests")),
            ("java -jar ApacheJMeter.jar -n", Some("JMeter")),
            ("true", None),
        ] {
            assert_eq!(program_of(&words(line)).map(|p| p.name), name, "{line}");
        }
        let shell = ["sh", "-c", "ulimit -n 64; exec ab -n 10 http://h/"].map(str::to_owned);
        assert_eq!(program_of(&shell).map(|p| p.name), Some("ab"));
    }

    #[test]
    fn what_they_do_with_connections_depends_on_their_flags() {
        let keeps = |line: &str| program_of(&words(line)).map(|p| p.keeps_with(&words(line)));
        assert_eq!([keeps("ab -n 9 URL"), keeps("ab -k URL")], [Some(Keeps::No), Some(Keeps::Yes)]);
        assert_eq!([keeps("locust -H http://h"), keeps("k6 run s.js"), keeps("wrk -s x.lua URL")], [Some(Keeps::ByDefault); 3]);
        assert_eq!(
            [keeps("vegeta attack -targets=list"), keeps("k6 run --no-connection-reuse s.js")],
            [Some(Keeps::ByDefault), Some(Keeps::No)]
        );
        let shell =
            ["bash", "-c", "until curl -s -k http://h/; do sleep 1; done; wrk http://h/ & ab -s 9 http://h/"].map(str::to_owned);
        let keeps_in_shell = |name: &str| Known::named(name).map(|p| p.keeps_with(&shell));
        assert_eq!([keeps_in_shell("wrk"), keeps_in_shell("ab")], [Some(Keeps::Yes), Some(Keeps::No)], "curl's -s and -k");
        assert_eq!([keeps("wrk URL"), keeps("wrk -H 'Connection: Close' URL")], [Some(Keeps::Yes), Some(Keeps::No)]);
    }
}
