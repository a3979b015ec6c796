//! The JSON Schema files in `docs/schema/`: written from the types (`UPDATE_DOCS=1`), and what is rendered fits them.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};

use crate::model::comparison::{COMPARE_SCHEMA, Comparison};
use crate::model::explanation::{EXPLAIN_SCHEMA, Explanation};
use crate::model::forecast::{FORECAST_SCHEMA, Forecast};
use crate::model::ports_report::{PORTS_SCHEMA, PortsReport};
use crate::model::rehearsal::{REHEARSAL_SCHEMA, Rehearsal};
use crate::model::result::{RunResult, SCHEMA};
use crate::model::study::{STUDY_SCHEMA, StudyResult};
use crate::model::watch::{WATCH_SCHEMA, WatchReport};
use crate::report::{fixture, json};

/// The schema of a document as it is written, by its name in `docs/schema/`.
fn schema<T: JsonSchema>(id: &str) -> serde_json::Value {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.inline_subschemas = false;
    let mut schema = SchemaGenerator::new(settings).into_root_schema_for::<T>();
    schema.insert("title".into(), id.into());
    // The types' own documentation is for readers of the code; docs/JSON.md describes each key.
    schema.remove("description");
    let mut schema = schema.to_value();
    schema["properties"]["schema"] = serde_json::json!({ "const": id });
    schema
}

fn all() -> [(&'static str, serde_json::Value); 8] {
    [
        ("run", schema::<RunResult>(SCHEMA)),
        ("study", schema::<StudyResult>(STUDY_SCHEMA)),
        ("rehearsal", schema::<Rehearsal>(REHEARSAL_SCHEMA)),
        ("ports", schema::<PortsReport>(PORTS_SCHEMA)),
        ("forecast", schema::<Forecast>(FORECAST_SCHEMA)),
        ("explain", schema::<Explanation>(EXPLAIN_SCHEMA)),
        ("compare", schema::<Comparison>(COMPARE_SCHEMA)),
        ("watch", schema::<WatchReport>(WATCH_SCHEMA)),
    ]
}

#[test]
fn the_schema_files_are_those_of_the_types() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
    for (name, schema) in all() {
        let file = dir.join(format!("{name}.schema.json"));
        let mut text = serde_json::to_string_pretty(&schema).unwrap();
        text.push('\n');
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(&file, &text).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(kept == text, "{} is not the schema of its type: UPDATE_DOCS=1 cargo test --lib schema", file.display());
    }
}

#[test]
fn each_run_of_the_fixtures_fits_and_a_wrong_one_does_not() {
    let run = jsonschema::validator_for(&schema::<RunResult>(SCHEMA)).unwrap();
    for f in [fixture::healthy(), fixture::broken()] {
        let mut document: serde_json::Value = serde_json::from_str(&json::render(&f.run).unwrap()).unwrap();
        let faults: Vec<_> = run.iter_errors(&document).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(faults.is_empty(), "{faults:?}");
        document["totals"]["requests"] = "many".into();
        assert!(!run.is_valid(&document), "a count that is a text");
        document.as_object_mut().unwrap().remove("totals");
        assert!(!run.is_valid(&document), "without totals");
    }
}
