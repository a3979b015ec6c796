//! Names in a column that is narrower than they are: those that differ stay different.

use std::collections::HashMap;

use super::style::shortened;

/// Fewest characters that a path keeps beside its host; a host that leaves less gives way too.
const LEAST_PATH: usize = 6;

/// Each name in at most `width` characters. Of a URL, the scheme goes first, then the middle of its path. Different names
/// that would still be alike differ in a number at their end: `127.0.0.1:8080/a..~2`.
pub fn shortened_apart(names: impl IntoIterator<Item = impl AsRef<str>>, width: usize) -> Vec<String> {
    let names: Vec<_> = names.into_iter().collect();
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    let mut taken: HashMap<String, &str> = HashMap::new();
    // A name that fits keeps its words, whoever comes before it.
    for name in names.iter().filter(|name| name.chars().count() <= width) {
        taken.insert((*name).to_owned(), name);
    }
    let mut shown: HashMap<&str, String> = HashMap::new();
    for name in &names {
        if shown.contains_key(name) {
            continue;
        }
        let free = |text: &String| taken.get(text).is_none_or(|owner| owner == name);
        let numbered = |n: usize| {
            let number = format!("~{n}");
            let room = width.saturating_sub(number.len());
            format!("{}{number}", cut(name, room))
        };
        let text = Some(cut(name, width)).filter(free).or_else(|| (2..=names.len() + 1).map(numbered).find(free));
        let text = text.unwrap_or_else(|| cut(name, width));
        taken.insert(text.clone(), name);
        shown.insert(name, text);
    }
    names.into_iter().map(|name| shown[name].clone()).collect()
}

/// One name: of a URL, `host:port` whole and a path that is cut in its middle.
fn cut(name: &str, width: usize) -> String {
    if name.chars().count() <= width {
        return name.to_owned();
    }
    let (method, url) = match name.split_once(' ') {
        Some((method, url)) if method.bytes().all(|b| b.is_ascii_uppercase()) => (&name[..=method.len()], url),
        _ => ("", name),
    };
    let Some((_, rest)) = url.split_once("://") else { return shortened(name, width) };
    let host = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(host);
    let before = method.chars().count() + host.chars().count();
    match width.checked_sub(before) {
        Some(room) if room >= LEAST_PATH.min(path.chars().count()) => format!("{method}{host}{}", shortened(path, room)),
        _ => shortened(&format!("{method}{rest}"), width),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_its_host_and_port_and_both_ends_of_its_path() {
        let names = ["http://127.0.0.1:8080/a/long/path?q=1", "GET http://127.0.0.1:8080/a/long/path?q=1", "/health"];
        assert_eq!(shortened_apart(names, 24), ["127.0.0.1:8080/a/l..?q=1", "GET 127.0.0.1:8080/a..=1", "/health"]);
        assert_eq!(shortened_apart(["http://127.0.0.1:8080/health"], 20), ["127.0.0.1:8080/h..th"]);
    }

    /// Several hosts, ports and paths, that differ at their start, in their middle or at their end; widths of all tables.
    #[test]
    fn names_that_differ_stay_different_in_every_width() {
        let hosts = ["127.0.0.1:8080", "127.0.0.1:8081", "a-host-of-a-long-name.example:80", "[::1]:9000"];
        let paths = [
            "/",
            "/health",
            "/a/health",
            "/aaaaaaaaaaaaaaaaaaaaaaaa/1/aaaaaaaaaaaaaaaaaaaaaaaa",
            "/aaaaaaaaaaaaaaaaaaaaaaaa/2/aaaaaaaaaaaaaaaaaaaaaaaa",
        ];
        let urls = hosts.iter().flat_map(|host| paths.iter().map(move |path| format!("http://{host}{path}")));
        let names: Vec<String> = urls.chain(paths.iter().map(|path| (*path).to_owned())).collect();
        for width in 12..=60 {
            let shown = shortened_apart(names.iter().map(String::as_str), width);
            let different: std::collections::BTreeSet<&String> = shown.iter().collect();
            assert_eq!((shown.len(), different.len()), (names.len(), names.len()), "{width}: {shown:#?}");
            assert!(shown.iter().all(|text| text.chars().count() <= width), "{width}: {shown:#?}");
        }
        // The same name in two rows, as with two methods, reads the same.
        let twice = shortened_apart([names[3].as_str(), names[3].as_str()], 20);
        assert_eq!(twice[0], twice[1]);
    }
}
