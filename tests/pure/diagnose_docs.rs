//! docs/FINDINGS.md is what the rules say. `UPDATE_DOCS=1` writes it again.

use std::path::Path;

#[test]
fn the_findings_page_is_in_step_with_the_rules() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FINDINGS.md");
    let wanted = sockbench::testing::diagnose::findings_markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(file.parent().expect("docs/ has a parent")).expect("docs/ can be made");
        std::fs::write(&file, &wanted).expect("docs/FINDINGS.md can be written");
    }
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(there == wanted, "docs/FINDINGS.md is behind the rules: UPDATE_DOCS=1 cargo test --test pure");
}
