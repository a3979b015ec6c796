//! The shape of a load as it is typed: stages, arrivals, pauses.

use super::Exit;
use crate::model::course::{LevelOf, Stage, Stages};
use crate::model::limits;
use crate::model::plan::{Arrivals, Think};
use crate::model::units;

/// `30s@50,1m@200,10s@0`: users; `30s@50/s`: requests per second. One unit for all; 0 needs none. k6 writes `30s:50`.
pub(crate) fn stages(text: &str) -> Result<Stages, String> {
    let (mut each, mut of) = (Vec::new(), None);
    for part in text.split(',').map(str::trim) {
        let (duration, level) = part.split_once(['@', ':']).ok_or_else(|| match part {
            "" => "a stage without a duration and a level".to_owned(),
            _ => format!("{part}: not DURATION@LEVEL"),
        })?;
        match (duration, level) {
            ("", _) => return Err(format!("{part}: no duration before the level")),
            (_, "") => return Err(format!("{part}: no level after the duration")),
            _ => {}
        }
        let is_rate = level.contains('/');
        let to = if is_rate { units::rate(level)? } else { units::count(level)? as f64 };
        if !(0.0..=limits::RATE_MAX).contains(&to) || (!is_rate && to > f64::from(limits::USERS_MAX)) {
            return Err(format!("{part}: more than {} users, or {}/s", limits::USERS_MAX, limits::RATE_MAX));
        }
        let this = if is_rate { LevelOf::Rate } else { LevelOf::Users };
        if to > 0.0 && *of.get_or_insert(this) != this {
            return Err(format!(
                "{text}: users and a rate\nhint: 50 are users, 50/s requests per second: one of the two for all stages"
            ));
        }
        each.push(Stage { duration: units::duration(duration)?, to });
    }
    let Some(of) = of else { return Err(format!("{text}: no stage asks for anything")) };
    if each.len() > limits::STAGES {
        return Err(format!("more than {} stages", limits::STAGES));
    }
    Ok(Stages { of, each })
}

/// `constant`, `poisson`, `burst:20`.
pub(crate) fn arrivals(text: &str) -> Result<Arrivals, String> {
    match (text, text.split_once(':')) {
        ("constant", _) => Ok(Arrivals::Constant),
        ("poisson", _) => Ok(Arrivals::Poisson),
        (_, Some(("burst", ""))) => Err(format!("{text}: no number of requests")),
        (_, Some(("burst", n))) => {
            let burst = u32::try_from(units::count(n)?).ok().filter(|n| (1..=limits::USERS_MAX).contains(n));
            burst.map(Arrivals::Burst).ok_or_else(|| format!("{n}: not between 1 and {}", limits::USERS_MAX))
        }
        _ => Err(format!("{text}: not constant, poisson or burst:N")),
    }
}

/// The most users at once: those asked for, or those of the stages. Errors: both, or too many.
pub(crate) fn users(conns: Option<u64>, stages: Option<&Stages>) -> Result<u32, Exit> {
    let of_stages = stages.filter(|s| s.of == LevelOf::Users).map(|s| s.peak() as u64);
    if let (Some(_), Some(n)) = (of_stages, conns) {
        return Err(Exit::usage(format!("--conns {n}: the stages say how many users there are"))
            .hint("leave --conns out; stages of a rate, such as 30s@50/s, take it as the most connections"));
    }
    let asked = of_stages.or(conns).unwrap_or(u64::from(limits::USERS));
    match u32::try_from(asked) {
        Ok(users @ 1..=limits::USERS_MAX) => Ok(users),
        _ => Err(Exit::usage(format!("--conns {asked}: not between 1 and {}", limits::USERS_MAX))
            .hint("one user is one connection; --rate N asks for more requests, not more users")),
    }
}

/// `100ms..500ms`, `100..500ms` in the unit of its end, one duration for a constant wait, `exp(300ms)` for an exponential one.
pub(crate) fn think(text: &str) -> Result<Think, String> {
    if let Some(mean) = text.strip_prefix("exp(").and_then(|rest| rest.strip_suffix(')')) {
        if mean.is_empty() {
            return Err(format!("{text}: no mean"));
        }
        return units::duration(mean).map(Think::exponential);
    }
    let (min, max) = match text.split_once("..") {
        Some((a, b)) => {
            let unit = b.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
            let a = if a.parse::<f64>().is_ok() { format!("{a}{unit}") } else { a.to_owned() };
            if a.is_empty() || b.is_empty() {
                return Err(format!("{text}: a range without one of its ends"));
            }
            (units::duration(&a)?, units::duration(b)?)
        }
        None => (units::duration(text)?, units::duration(text)?),
    };
    if min > max {
        return Err(format!("{text}: the shortest wait is longer than the longest"));
    }
    Ok(Think::uniform(min, max))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn think_times() {
        let t = think("100ms..500ms").expect("ok");
        assert_eq!(
            (t.min, t.max, t.mean()),
            (Duration::from_millis(100), Duration::from_millis(500), Duration::from_millis(300))
        );
        assert_eq!(think("40..60ms"), think("40ms..60ms"));
        assert_eq!(think("0.5..1.5"), think("500ms..1500ms"));
        assert_eq!(think("exp(300ms)"), Ok(Think::exponential(Duration::from_millis(300))));
        for typed in ["100ms..500ms", "exp(1.5s)", "2.5ms..7.5ms"] {
            assert_eq!(think(typed).map(Think::typed), Ok(typed.to_owned()));
        }
        assert!(think("exp(5").is_err() && think("5s..1s").is_err() && think("x").is_err());
    }

    #[test]
    fn stages_are_of_users_or_of_a_rate() {
        let users = stages("30s@50, 1m@1k,10s@0").expect("ok");
        assert_eq!((users.of, users.peak(), users.duration()), (LevelOf::Users, 1000.0, Duration::from_secs(100)));
        let rate = stages("0@50/s,1m@6k/m,10s@0").expect("ok");
        assert_eq!((rate.of, rate.to_string()), (LevelOf::Rate, "0s@50/s,60s@100/s,10s@0/s".to_owned()));
        assert_eq!(stages(&rate.to_string()), Ok(rate), "typed as it is read");
        assert_eq!(stages("30s:50,10s:0"), stages("30s@50,10s@0"));
        for bad in [
            "",
            "30s",
            "30s@",
            "@5",
            "30s@x",
            "30s@1.5",
            "30s@0",
            "30s@5,30s@5/s",
            "1s@-1/s",
            "1s@nan/s",
            "1s@200k",
            &"1s@1,".repeat(101),
        ] {
            assert!(stages(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn arrivals_are_named() {
        assert_eq!(
            ["constant", "poisson", "burst:20"].map(|t| arrivals(t).map(|a| a.to_string())),
            ["constant", "poisson", "burst:20"].map(|t| Ok(t.to_owned()))
        );
        for bad in ["", "burst", "burst:0", "burst:x", "uniform"] {
            assert!(arrivals(bad).is_err(), "{bad}");
        }
    }
}
