//! The durable form: pretty JSON, keys in the order of the contract (the order of the structs).

use crate::model::by_name;
use crate::model::result::RunResult;
use crate::model::study::StudyResult;

/// The document of a run, with a newline at its end.
///
/// A document whose nulls are not all explained is a defect of whoever filled it: a debug build stops there, a
/// release build still writes the result, because a measurement is worth more than a missing reason.
///
/// # Panics
/// In debug builds, when a null has no row in `unavailable`.
pub fn render(run: &RunResult) -> Result<String, serde_json::Error> {
    debug_assert!(run.unexplained_nulls().is_empty(), "nulls without a reason: {:?}", run.unexplained_nulls());
    Ok(serde_json::to_string_pretty(run)? + "\n")
}

/// The document of a study, `sockbench-study/1`, pretty-printed.
///
/// Errors: a figure that JSON cannot hold.
pub fn render_study(study: &StudyResult) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(study)? + "\n")
}

/// Reads a document back. Errors name the line and column, or the schema that was found instead.
pub fn parse(text: &str) -> Result<RunResult, ParseError> {
    let head: Head = by_name::read(text)?;
    if head.schema != crate::model::result::SCHEMA {
        return Err(ParseError::Schema(head.schema));
    }
    let mut run: RunResult = by_name::read(text)?;
    run.explain_later_keys();
    Ok(run)
}

/// What is read first, so that another schema is called by its name.
#[derive(serde::Deserialize)]
struct Head {
    schema: String,
}

/// Why a document is not a run.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// not JSON, or not in the shape of a run
    #[error("not a run result: {0}")]
    Shape(#[from] serde_json::Error),
    /// another schema
    #[error("schema `{0}`: this version reads `{schema}`", schema = crate::model::result::SCHEMA)]
    Schema(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_run_survives_writing_and_reading() {
        let run = fixture::broken().run;
        assert_eq!(parse(&render(&run).unwrap()).unwrap(), run);
    }

    #[test]
    fn another_schema_is_named() {
        let message = parse(r#"{"schema": "sockbench-study/1", "steps": []}"#).unwrap_err().to_string();
        assert_eq!(message, "schema `sockbench-study/1`: this version reads `sockbench/1`");
    }

    #[test]
    fn keys_come_in_the_order_of_the_contract() {
        let text = render(&fixture::healthy().run).unwrap();
        let at = |key: &str| text.find(&format!("\n  \"{key}\":")).unwrap();
        let keys = [
            "schema",
            "tool",
            "command",
            "started_at",
            "duration_s",
            "host",
            "plan",
            "validity",
            "unavailable",
            "totals",
            "endpoints",
            "errors",
            "closes",
            "ports",
            "resources",
            "series",
            "findings",
        ];
        assert!(keys.windows(2).all(|k| at(k[0]) < at(k[1])));
    }
}
