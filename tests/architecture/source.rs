//! Reading Rust sources as text, as far as the architecture test needs it: code without prose, and its paths.

/// The source with comments and the contents of literals blanked, line breaks kept.
pub(crate) fn blanked(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut i = 0;
    let blank = |out: &mut String, c: char| out.push(if c == '\n' { '\n' } else { ' ' });
    while i < chars.len() {
        let next = chars.get(i + 1).copied();
        match chars[i] {
            '/' if next == Some('/') => {
                while i < chars.len() && chars[i] != '\n' {
                    out.push(' ');
                    i += 1;
                }
            }
            '/' if next == Some('*') => {
                let mut depth = 0;
                while i < chars.len() {
                    let pair = (chars[i], chars.get(i + 1).copied());
                    depth += match pair {
                        ('/', Some('*')) => 1,
                        ('*', Some('/')) => -1,
                        _ => 0,
                    };
                    let step = if matches!(pair, ('/', Some('*')) | ('*', Some('/'))) { 2 } else { 1 };
                    (i..(i + step).min(chars.len())).for_each(|k| blank(&mut out, chars[k]));
                    i += step;
                    if depth == 0 {
                        break;
                    }
                }
            }
            'r' if raw_string_at(&chars, i).is_some() => {
                let end = raw_string_at(&chars, i).unwrap_or(i + 1);
                (i..end).for_each(|k| blank(&mut out, chars[k]));
                i = end;
            }
            '"' => {
                out.push(' ');
                i += 1;
                while i < chars.len() && chars[i] != '"' {
                    if chars[i] == '\\' {
                        out.push(' ');
                        i += 1;
                    }
                    if i < chars.len() {
                        blank(&mut out, chars[i]);
                        i += 1;
                    }
                }
                out.push(' ');
                i += 1;
            }
            // A character literal, not a lifetime: 'x' or '\...'.
            '\'' if next == Some('\\') || chars.get(i + 2) == Some(&'\'') => {
                let mut end = i + if next == Some('\\') { 3 } else { 2 };
                while end < chars.len() && chars[end] != '\'' {
                    end += 1;
                }
                (i..=end.min(chars.len() - 1)).for_each(|_| out.push(' '));
                i = end + 1;
            }
            c => {
                out.push(c);
                i += 1;
            }
        }
    }
    out
}

/// The end of a raw string that begins at `i`.
fn raw_string_at(chars: &[char], i: usize) -> Option<usize> {
    if i > 0 && (chars[i - 1].is_alphanumeric() || chars[i - 1] == '_') {
        return None;
    }
    let hashes = chars[i + 1..].iter().take_while(|c| **c == '#').count();
    if chars.get(i + 1 + hashes) != Some(&'"') {
        return None;
    }
    let body = i + 2 + hashes;
    let closes = |k: usize| chars[k] == '"' && chars[k + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    (body..chars.len()).find(|k| closes(*k)).map(|k| k + 1 + hashes)
}

/// Every path in the code: unfolded `use` trees and paths written in place. `super` and `self` are resolved against
/// the file's place; names brought in by `use` are resolved one level deep.
pub(crate) fn paths_used(code: &str, file: &str) -> Vec<String> {
    let module = module_of(file);
    let mut paths = Vec::new();
    let mut rest = String::new();
    let mut at = 0;
    while let Some(found) = find_use(&code[at..]) {
        let start = at + found;
        let end = code[start..].find(';').map_or(code.len(), |n| start + n);
        rest.push_str(&code[at..start]);
        unfold(&code[start + 4..end], "", &mut paths);
        at = end;
    }
    rest.push_str(&code[at..]);
    let imported: Vec<(String, String)> =
        paths.iter().filter_map(|p| p.rsplit("::").next().map(|last| (last.to_owned(), p.clone()))).collect();
    for path in written_paths(&rest) {
        let (first, tail) = path.split_once("::").unwrap_or((&path, ""));
        match imported.iter().find(|(name, _)| name == first) {
            Some((_, full)) => paths.push(format!("{full}::{tail}")),
            None => paths.push(path),
        }
    }
    paths.into_iter().map(|p| resolved(&p, &module)).collect()
}

/// `load/user.rs` is `crate::load::user`; `load/mod.rs` is `crate::load`.
fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    std::iter::once("crate").chain(path.split('/')).map(str::to_owned).collect()
}

fn resolved(path: &str, module: &[String]) -> String {
    let mut base = module.to_vec();
    let mut parts = path.split("::").peekable();
    match parts.peek() {
        Some(&"self") => {
            parts.next();
        }
        Some(&"super") => {
            while parts.peek() == Some(&"super") {
                parts.next();
                base.pop();
            }
        }
        _ => return path.to_owned(),
    }
    // A test module inside the file reaches one further up than the file itself; never above the crate.
    if base.is_empty() {
        base.push("crate".to_owned());
    }
    base.into_iter().chain(parts.map(str::to_owned)).collect::<Vec<_>>().join("::")
}

fn find_use(code: &str) -> Option<usize> {
    code.match_indices("use ").map(|(at, _)| at).find(|at| {
        let before = code[..*at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn unfold(tree: &str, prefix: &str, into: &mut Vec<String>) {
    let tree = tree.trim();
    let join = |tail: &str| {
        let tail = tail.split(" as ").next().unwrap_or(tail).trim().trim_start_matches("::");
        match (prefix.is_empty(), tail) {
            (_, "self") => prefix.to_owned(),
            (true, tail) => tail.to_owned(),
            (false, tail) => format!("{prefix}::{tail}"),
        }
    };
    let Some((head, tail)) = tree.split_once('{') else {
        if !tree.is_empty() {
            into.push(join(tree));
        }
        return;
    };
    let head = head.trim().trim_end_matches("::");
    let prefix = if head.is_empty() { prefix.to_owned() } else { join(head) };
    let inner = tail.trim_end().strip_suffix('}').unwrap_or(tail);
    let mut depth = 0;
    let mut from = 0;
    for (i, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                unfold(&inner[from..i], &prefix, into);
                from = i + 1;
            }
            _ => {}
        }
    }
    unfold(&inner[from..], &prefix, into);
}

/// `a::b::c` wherever written; a single name is no path.
fn written_paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut current = String::new();
    for c in code.chars().chain([' ']) {
        if c.is_alphanumeric() || c == '_' || c == ':' {
            current.push(c);
        } else {
            let path = current.trim_matches(':');
            if path.contains("::") {
                paths.push(path.to_owned());
            }
            current.clear();
        }
    }
    paths
}
