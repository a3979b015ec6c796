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
/// the module that the path is in; names brought in by `use` are resolved one level deep.
pub(crate) fn paths_used(code: &str, file: &str) -> Vec<String> {
    let module = module_of(file);
    let depths = inline_depths(code);
    let mut paths = Vec::new();
    let mut rest = code.to_owned();
    let mut at = 0;
    while let Some(found) = find_use(&code[at..]) {
        let start = at + found;
        let end = code[start..].find(';').map_or(code.len(), |n| start + n);
        let mut unfolded = Vec::new();
        unfold(&code[start + 4..end], "", &mut unfolded);
        paths.extend(unfolded.iter().map(|p| resolved(p, &module, depths[start])));
        rest.replace_range(start..end, &" ".repeat(end - start));
        at = end;
    }
    let imported: Vec<(String, String)> =
        paths.iter().filter_map(|p| p.rsplit("::").next().map(|last| (last.to_owned(), p.clone()))).collect();
    for (at, path) in written_paths(&rest) {
        let (first, tail) = path.split_once("::").unwrap_or((&path, ""));
        match imported.iter().find(|(name, _)| name == first) {
            Some((_, full)) => paths.push(format!("{full}::{tail}")),
            None => paths.push(resolved(&path, &module, depths[at])),
        }
    }
    paths
}

/// For each byte, how many inline modules (`mod tests {`) it lies in.
fn inline_depths(code: &str) -> Vec<usize> {
    let mut depths = Vec::with_capacity(code.len() + 1);
    let mut blocks: Vec<bool> = Vec::new();
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '{' => {
                let opens_module = head_before(&code[..at]).split_whitespace().rev().nth(1) == Some("mod");
                depth += usize::from(opens_module);
                blocks.push(opens_module);
            }
            '}' => depth -= usize::from(blocks.pop() == Some(true)),
            _ => {}
        }
        depths.extend(std::iter::repeat_n(depth, c.len_utf8()));
    }
    depths.push(depth);
    depths
}

/// What is between the last block or statement and a brace.
fn head_before(code: &str) -> &str {
    code.rfind(['{', '}', ';']).map_or(code, |at| &code[at + 1..])
}

/// `load/user.rs` is `crate::load::user`; `load/mod.rs` is `crate::load`.
fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    std::iter::once("crate").chain(path.split('/')).map(str::to_owned).collect()
}

/// A path with `self` and `super` replaced, as seen `inline` modules deep inside a file's module.
fn resolved(path: &str, module: &[String], inline: usize) -> String {
    let mut parts = path.split("::").peekable();
    if !matches!(parts.peek(), Some(&("self" | "super"))) {
        return path.to_owned();
    }
    let mut base: Vec<&str> = module.iter().map(String::as_str).chain(std::iter::repeat_n("(inline)", inline)).collect();
    while let Some(step) = parts.next_if(|p| matches!(*p, "self" | "super")) {
        if step == "super" {
            base.pop();
        }
    }
    base.into_iter().chain(parts).collect::<Vec<_>>().join("::")
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

/// `a::b::c` wherever written, with its place; a single name is no path.
fn written_paths(code: &str) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    let mut current = String::new();
    for (at, c) in code.char_indices().chain([(code.len(), ' ')]) {
        if c.is_alphanumeric() || c == '_' || c == ':' {
            current.push(c);
        } else {
            let path = current.trim_matches(':');
            if path.contains("::") {
                paths.push((at - current.len(), path.to_owned()));
            }
            current.clear();
        }
    }
    paths
}
