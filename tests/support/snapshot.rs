//! Wording in snapshots: `INSTA_UPDATE=always cargo test --test pure` accepts a new one.

/// Compares `text` with `tests/snapshots/FOLDER/NAME.snap`, where spaces and commas of the name are dashes.
pub(crate) fn matches(folder: &str, name: &str, text: &str) {
    let words: Vec<&str> = name.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(format!("{}/tests/snapshots/{folder}", env!("CARGO_MANIFEST_DIR")));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(words.join("-"), text));
}
