//! What a Locust master loads so that it leads workers of sockbench: classes without content, and a field for flags.

use super::message::FLAGS_OPTION;
use crate::model::plan::MixEntry;

/// The class whose users run the whole mix.
pub const WHOLE_MIX: &str = "Sockbench";

/// What users of a class ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// the whole mix, by its weights
    Mix,
    /// this entry of the mix
    Entry(usize),
}

/// The classes of a mix: the one that runs all of it, and one for each entry, named after its path.
///
/// ```
/// use sockbench::testing::dist::locustfile::{Asks, classes};
/// use sockbench::testing::model::MixEntry;
/// let mix = ["/", "/api/v1?q=1"].map(|path| MixEntry { path: path.into(), weight: 1 });
/// let named: Vec<(String, Asks)> = classes(&mix);
/// let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
/// assert_eq!(names, ["Sockbench", "root", "api_v1_q_1"]);
/// assert_eq!(named[2].1, Asks::Entry(1));
/// ```
pub fn classes(mix: &[MixEntry]) -> Vec<(String, Asks)> {
    let mut all = vec![(WHOLE_MIX.to_owned(), Asks::Mix)];
    for (n, entry) in mix.iter().enumerate() {
        let name = class_name(&entry.path);
        let is_taken = |name: &str| all.iter().any(|(taken, _)| taken == name);
        let free = (2..).map(|more| format!("{name}_{more}"));
        let name = std::iter::once(name.clone()).chain(free).find(|name| !is_taken(name)).unwrap_or(name);
        all.push((name, Asks::Entry(n)));
    }
    all
}

/// A name that Python takes for a class.
fn class_name(path: &str) -> String {
    let words: Vec<&str> = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    match words.join("_") {
        name if name.is_empty() => "root".to_owned(),
        name if name.starts_with(|c: char| c.is_ascii_digit()) || PYTHON.contains(&name.as_str()) => format!("path_{name}"),
        name => name,
    }
}

/// Words that Python or the file keeps for itself.
const PYTHON: &[&str] = &[
    "False", "None", "True", "User", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif",
    "else", "events", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not",
    "or", "pass", "raise", "return", "task", "try", "while", "with", "yield",
];

/// The file. `flags` are what the workers get as long as nobody types others; `command` made it.
pub fn render(mix: &[MixEntry], flags: &str, class_each: bool, command: &str) -> String {
    let named = classes(mix);
    let wanted = named.iter().filter(|(_, asks)| class_each != (*asks == Asks::Mix));
    let body: Vec<String> = wanted
        .map(|(name, asks)| {
            let weight = match asks {
                Asks::Mix => 1,
                Asks::Entry(n) => mix[*n].weight,
            };
            format!("class {name}(User):\n    weight = {weight}\n\n    @task\n    def is_of_sockbench(self):\n        raise NotImplementedError(ONLY)\n")
        })
        .collect();
    format!(
        "# Made by: {}\n\
         #\n\
         #   locust --master -f FILE --host http://TARGET:PORT\n\
         #   sockbench worker --master-host HOST\n\
         \n\
         from locust import User, events, task\n\
         \n\
         ONLY = \"users of this class are sockbench's: start workers with sockbench worker, not with locust --worker\"\n\
         \n\
         \n\
         @events.init_command_line_parser.add_listener\n\
         def add_flags(parser):\n    \
             parser.add_argument(\n        \
                 \"--{FLAGS_OPTION}\",\n        \
                 type=str,\n        \
                 env_var=\"LOCUST_SOCKBENCH\",\n        \
                 default={},\n        \
                 help=\"flags of sockbench load for the workers, such as --no-keepalive --think 1s\",\n    \
             )\n\
         \n\
         \n{}",
        // A carriage return ends a line of Python too.
        command.replace(char::is_control, " "),
        serde_json::Value::from(flags),
        body.join("\n\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(paths: &[&str]) -> Vec<MixEntry> {
        paths.iter().zip(1..).map(|(path, weight)| MixEntry { path: (*path).into(), weight }).collect()
    }

    #[test]
    fn classes_have_names_that_python_takes_and_no_two_the_same() {
        let named = classes(&mix(&["/a/b", "/a-b", "/a_b_2", "/1", "/class", "/Sockbench", "/%C3%A9"]));
        let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Sockbench", "a_b", "a_b_2", "a_b_2_2", "path_1", "path_class", "Sockbench_2", "C3_A9"]);
    }

    #[test]
    fn no_character_of_a_command_ends_its_comment() {
        let odd: String = (0..0x20).chain(0x7f..0xa0).filter_map(char::from_u32).collect();
        let file = render(&mix(&["/"]), &odd, false, &format!("sockbench locustfile --body {odd}import os"));
        let first = file.split(|c: char| c.is_control()).next().unwrap_or_default();
        assert!(first.starts_with("# Made by: ") && first.ends_with("import os"), "{first:?}");
    }

    #[test]
    fn the_file_is_as_a_reader_would_write_it() {
        let mix = mix(&["/health", "/io"]);
        insta::assert_snapshot!("whole", render(&mix, "--mix /health=1,/io=2 -H 'X-A: \"b\"'", false, "sockbench locustfile"));
        insta::assert_snapshot!("each", render(&mix, "--mix /health=1,/io=2", true, "sockbench locustfile --class-each"));
    }
}
