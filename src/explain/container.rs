//! Whether a text shows that the program ran in a container, whose loopback is its own.

use memchr::memmem;

/// What only texts of container programs say, and their prefixes of lines.
const WORDS: [&str; 9] =
    ["docker ", "docker:", "docker-", "Docker", "podman", "kubectl", "containerd", " container", "container "];

pub(super) fn shows(text: &[u8]) -> bool {
    WORDS.iter().any(|word| memmem::find(text, word.as_bytes()).is_some()) || is_of_compose(text)
}

/// The first line begins as `docker compose` writes it: `k6-1  | `, `load_test_1 | `.
fn is_of_compose(text: &[u8]) -> bool {
    let Some(bar) = memmem::find(text, b" | ") else { return false };
    let name = text[..bar].trim_ascii_end();
    let digits = name.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let Some((dash, service)) = name[..name.len() - digits].split_last() else { return false };
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || b"_-.".contains(b);
    digits > 0 && matches!(dash, b'-' | b'_') && !service.is_empty() && service.iter().all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_known_by_their_programs_and_by_compose() {
        for text in [
            "$ docker run --rm grafana/k6 run -",
            "docker: Error response from daemon",
            "k6-1  | WARN[0002] Request Failed",
            "load_test_1 | dial tcp 127.0.0.1:80",
            "kubectl logs k6",
        ] {
            assert!(shows(text.as_bytes()), "{text}");
        }
        for text in [
            "dial tcp 127.0.0.1:8080: connect: connection refused",
            "GET 1 | 2",
            "-1 | x",
            "a b-1 | x",
            "ServletContainer.java",
            "",
        ] {
            assert!(!shows(text.as_bytes()), "{text}");
        }
    }
}
