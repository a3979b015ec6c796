//! Thresholds as JUnit XML: a suite for each run, a case for each threshold. Escaping is the crate's.

use std::io;
use std::time::Duration;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::gates_text::{JudgedRun, actual};
use super::style::visible;
use crate::gates::Judged;

type Xml = Writer<Vec<u8>>;

/// The document. Errors: it cannot be written.
pub fn render(runs: &[JudgedRun]) -> io::Result<String> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 4);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let [tests, failures] = counts(runs.iter().flat_map(|run| &run.thresholds));
    xml.create_element("testsuites")
        .with_attributes([("name", "sockbench"), ("tests", &tests), ("skipped", "0"), ("failures", &failures), ("errors", "0")])
        .write_inner_content(|xml| runs.iter().try_for_each(|run| suite(xml, run)))?;
    xml.write_indent()?;
    String::from_utf8(xml.into_inner()).map_err(io::Error::other)
}

fn suite(xml: &mut Xml, run: &JudgedRun) -> io::Result<()> {
    let name = visible(run.step.as_deref().unwrap_or("load"));
    let [tests, failures] = counts(&run.thresholds);
    let time = format!("{:.3}", Duration::try_from_secs_f64(run.duration_s).unwrap_or_default().as_secs_f64());
    xml.create_element("testsuite")
        .with_attributes([("name", &*name), ("tests", &tests), ("skipped", "0"), ("errors", "0"), ("failures", &failures)])
        .with_attribute(("time", &*time))
        .write_inner_content(|xml| {
            run.thresholds.iter().try_for_each(|judged| case(xml, &name, judged))?;
            output(xml, &visible(&run.verdict))
        })?;
    Ok(())
}

fn case(xml: &mut Xml, suite: &str, judged: &Judged) -> io::Result<()> {
    let was = visible(&format!("{} in this run", actual(&judged.actual)));
    let (name, class) = (visible(&judged.text), format!("sockbench.{suite}"));
    xml.create_element("testcase")
        .with_attributes([("name", &*name), ("classname", &class), ("time", "0.000")])
        .write_inner_content(|xml| {
            if !judged.passed {
                xml.create_element("failure").with_attributes([("message", &*was), ("type", "threshold")]).write_empty()?;
            }
            output(xml, &was)
        })?;
    Ok(())
}

fn output(xml: &mut Xml, text: &str) -> io::Result<()> {
    xml.create_element("system-out").write_text_content(BytesText::new(text)).map(|_| ())
}

/// How many, and how many of them failed.
fn counts<'a>(all: impl IntoIterator<Item = &'a Judged>) -> [String; 2] {
    let (mut tests, mut failures) = (0, 0);
    for judged in all {
        tests += 1;
        failures += u32::from(!judged.passed);
    }
    [tests, failures].map(|n: u32| n.to_string())
}
