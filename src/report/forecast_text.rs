//! A forecast for the terminal: what the pool sustains, when it runs out, when failures come back, what was assumed.

use super::figures::{rate, seconds};
use super::style::{Style, Tone};
use crate::model::forecast::Forecast;

/// Echoes named one by one.
const ECHOES: usize = 4;

/// The forecast in a few lines.
pub fn render(f: &Forecast, style: Style) -> String {
    let mut out = style.paint(Tone::Heading, "Forecast") + "\n";
    let mut line = |name: &str, value: String| {
        out += &format!("  {}{}{value}\n", style.paint(Tone::Faint, name), " ".repeat(18_usize.saturating_sub(name.len())));
    };
    line("asked", format!("{} connections/s for {} s to one destination", rate(f.rate_cps), seconds(f.duration_s)));
    line("pool", format!("{} source ports, each held {} s after its connection", f.pool, seconds(f.hold_s)));
    line(
        "sustained",
        f.ceiling_cps
            .map_or_else(|| "no limit from ports: none stays held".into(), |c| format!("{}/s (pool / hold time)", rate(c))),
    );
    if let Some(search) = f.search_cps {
        line("port search", format!("dear above {}/s on Linux, where half of the pool is held", rate(search)));
    }
    line("share at the peak", share(f));
    match (f.exhausted_at_s, f.dead_s) {
        (Some(at), Some(dead)) => {
            let seen = if f.fails_within() { "" } else { " (this run ends before)" };
            line("exhausted", style.paint(Tone::Bad, &format!("after {at:.1} s{seen}")));
            line("nothing succeeds", format!("for {dead:.1} s, until {:.1} s", at + dead));
            line("failures return", echoes(f));
        }
        _ => line("exhausted", style.paint(Tone::Good, "never at this rate")),
    }
    line("failures", format!("{} within {} s", f.failures, seconds(f.duration_s)));
    line("successes", f.successes.to_string());
    line(
        "assumed",
        format!(
            "calls fail at {}/s while nothing succeeds; {}/s are asked after recovery",
            rate(f.assumed.fail_rate_cps),
            rate(f.assumed.recovered_rate_cps)
        ),
    );
    out
}

fn share(f: &Forecast) -> String {
    let percent = f.peak_share * 100.0;
    if f.peak_share > 1.0 {
        format!("{percent:.0} % wanted: more than there is")
    } else {
        format!("{percent:.0} % of the pool ({:.0} ports)", f.peak_share * f64::from(f.pool))
    }
}

fn echoes(f: &Forecast) -> String {
    let named: Vec<String> = f.echo_s.iter().take(ECHOES).map(|t| format!("{t:.1} s")).collect();
    let list = if named.is_empty() {
        format!("every {} s", seconds(f.hold_s))
    } else {
        format!("every {} s: at {}", seconds(f.hold_s), named.join(", "))
    };
    if f.echo_recovered_s.is_empty() && (f.assumed.recovered_rate_cps - f.rate_cps).abs() > 1e-9 {
        format!("{list}, if {}/s are asked again; not at {}/s", rate(f.rate_cps), rate(f.assumed.recovered_rate_cps))
    } else {
        list
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::diagnose::budget::Budget;

    #[test]
    fn the_experiment_is_told_with_its_figures() {
        let f = Budget::new(16384, 120.0).forecast(170.0, Duration::from_secs(180), Some(300.0), Some(120.0));
        let text = render(&f, Style::Plain);
        for figure in ["136.5/s", "after 96.4 s", "for 23.6 s", "at 216.4 s", "7087 within 180 s", "23584", "not at 120/s"] {
            assert!(text.contains(figure), "{figure}:\n{text}");
        }
    }

    #[test]
    fn a_rate_below_the_ceiling_never_fails() {
        let f = Budget::new(16384, 120.0).forecast(122.6, Duration::from_secs(180), None, None);
        let text = render(&f, Style::Plain);
        assert!(text.contains("90 % of the pool (14712 ports)") && text.contains("never at this rate"), "{text}");
    }
}
