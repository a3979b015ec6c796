//! What is asked for: paths below the target, or whole URLs where a run has several names or destinations.

use super::LoadPlan;

/// How an entry begins that is a whole URL.
const SCHEME: &str = "http://";

/// One entry of the mix.
#[apply(record)]
pub struct MixEntry {
    /// request target: path and query, joined to the target URL's authority; or an http:// URL with an authority of its own
    pub path: String,
    /// weight, not necessarily adding up to 100
    pub weight: u32,
}

impl MixEntry {
    /// It is a whole URL.
    pub fn is_url(&self) -> bool {
        self.path.starts_with(SCHEME)
    }

    /// The Host field and the request target (RFC 9112 section 3.2.1); `authority` is the target's, for entries that have
    /// none of their own.
    pub fn host_and_path<'a>(&'a self, authority: &'a str) -> (&'a str, &'a str) {
        let Some(rest) = self.path.strip_prefix(SCHEME) else { return (authority, &self.path) };
        rest.find('/').map_or((rest, "/"), |at| rest.split_at(at))
    }

    /// The whole URL, with `authority` where it has none of its own.
    #[must_use]
    pub fn as_url(&self, authority: &str) -> Self {
        Self { path: whole(&self.path, authority), weight: self.weight }
    }
}

impl LoadPlan {
    /// The URL of the endpoint called `name`: an entry of the mix.
    pub fn url_of(&self, name: &str) -> String {
        whole(name, &self.target.authority)
    }
}

fn whole(name: &str, authority: &str) -> String {
    if name.starts_with(SCHEME) { name.to_owned() } else { format!("{SCHEME}{authority}{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_a_host_of_its_own_or_the_targets() {
        for (path, host, target, url) in [
            ("/a?b=c", "t:1", "/a?b=c", "http://t:1/a?b=c"),
            ("http://h:8080/a", "h:8080", "/a", "http://h:8080/a"),
            ("http://[::1]:1/", "[::1]:1", "/", "http://[::1]:1/"),
            ("http://h", "h", "/", "http://h"),
        ] {
            let entry = MixEntry { path: path.into(), weight: 3 };
            assert_eq!(entry.host_and_path("t:1"), (host, target), "{path}");
            assert_eq!(entry.as_url("t:1"), MixEntry { path: url.into(), weight: 3 }, "{path}");
        }
    }
}
