use proptest::prelude::*;

use super::*;
use crate::model::course::{Course, LevelOf, Stage, Stages};

/// The experiment's pool and hold time.
fn windows() -> Budget {
    Budget::new(16384, 120.0)
}

fn close(a: f64, b: f64, within: f64) {
    assert!((a - b).abs() <= within, "{a} is not {b} within {within}");
}

#[test]
fn the_experiment_is_reproduced() {
    let b = windows();
    close(b.ceiling_cps(), 136.5, 0.05);
    let f = b.forecast(170.0, Duration::from_mins(3), Some(300.0), Some(120.0));
    close(f.exhausted_at_s.unwrap(), 96.4, 0.05);
    close(f.dead_s.unwrap(), 23.6, 0.05);
    assert_eq!(f.failures, 7087);
    assert_eq!(f.successes, 23584);
    close(f.echo_s[0], 216.4, 0.05);
    assert_eq!(f.echo_recovered_s, Vec::<f64>::new(), "120/s stays inside the pool");
    let plain = b.forecast(170.0, Duration::from_mins(3), None, None);
    assert_eq!(plain.successes, 26584);
    assert_eq!(plain.echo_s, plain.echo_recovered_s);
}

#[test]
fn fifty_users_stood_at_ninety_percent() {
    let b = windows();
    assert_eq!(b.held_at(122.6).round() as u32, 14712);
    let f = b.forecast(122.6, Duration::from_mins(3), None, None);
    close(f.peak_share, 0.90, 0.005);
    assert!(f.exhausted_at_s.is_none() && f.echo_s.is_empty());
    assert_eq!((f.failures, f.successes), (0, 22068));
}

#[test]
fn no_other_hold_time_fits_the_experiment() {
    let (measured, three_minutes) = (7046.0, Duration::from_mins(3));
    let off = |hold: f64| {
        let f = Budget::new(16384, hold).forecast(170.0, three_minutes, Some(300.0), Some(120.0));
        (f.failures as f64 - measured).abs() / measured
    };
    assert!(off(120.0) < 0.01);
    for hold in [30.0, 60.0, 240.0] {
        assert!(off(hold) > 0.5, "T = {hold} must not fit");
    }
    for hold in [30.0, 60.0, 240.0] {
        assert!(hold_rejected(Budget::new(16384, hold), 170.0, 300.0, three_minutes, measured, 0.05).is_some());
    }
    assert_eq!(hold_rejected(windows(), 170.0, 300.0, three_minutes, measured, 0.05), None);
    // T solved backwards: the pool ran out after P/r, and the dead time is the failures over their rate.
    let solved = 16384.0 / 170.0 + measured / 300.0;
    assert!((119.8..=120.0).contains(&solved), "{solved}");
    assert_eq!(format!("{solved:.1}"), "119.9");
}

#[test]
fn a_playback_longer_than_its_pieces_still_counts_to_the_end() {
    let f = Budget::new(1000, 0.1).forecast(20_000.0, Duration::from_hours(1), None, None);
    close(f.successes as f64, 36e6, 36e4);
    close(f.failures as f64, 36e6, 36e4);
}

#[test]
fn what_a_pool_sustains_it_sustains_for_ever() {
    let b = Budget::new(6000, 60.0);
    assert_eq!((b.exhausted_at(100.0), b.dead_for(100.0)), (None, None));
    close(b.exhausted_at(100.1).unwrap(), 59.94, 0.01);
    // Where TIME_WAIT is capped above half of the pool, the search for a port still slows down.
    let search = |cap| Budget::new(6000, 60.0).capped_at(Some(cap)).search_cps();
    assert_eq!((search(4000), search(3000), search(2999)), (50.0, 50.0, f64::INFINITY));
}

#[test]
fn seconds_until_the_pool_is_used_up() {
    let from = |pool, timed, rate, hold_s| {
        Budget::new(pool, hold_s).exhausted_from(rate, InUse { timed, first_free_s: 30.0, last_free_s: 50.0, open: 0 })
    };
    assert_eq!(from(28232, 0, 470.0, 60.0), None, "below the ceiling");
    close(from(28232, 14116, 1000.0, 60.0).unwrap(), 14.1, 0.05);
    assert_eq!(from(100, 200, 50.0, 60.0), Some(0.0));
    assert_eq!(from(100, 0, 50.0, 0.0), None, "no port is in use");
}

proptest! {
    /// Plain playback against the law itself: per period of T exactly P successes, at P/r + kT failures begin.
    #[test]
    fn playback_keeps_the_law(pool in 1_u32..60_000, hold in 0.5_f64..240.0, over in 1.05_f64..20.0, periods in 1_u32..6) {
        let b = Budget::new(pool, hold);
        let (hold, rate) = (b.hold.as_secs_f64(), b.ceiling_cps() * over);
        let f = b.forecast(rate, b.hold * periods, None, None);
        let held = f64::from(pool) * f64::from(periods);
        prop_assert!((f.successes as f64 - held).abs() <= 1.0 + held * 1e-6, "{} of {held}", f.successes);
        prop_assert!((f.failures as f64 - (rate * hold * f64::from(periods) - held)).abs() <= 2.0 + held * 1e-5);
        for (k, at) in f.echo_s.iter().enumerate() {
            let want = f64::from(pool) / rate + hold * (k + 1) as f64;
            prop_assert!((at - want).abs() < 1e-3 * hold, "recurrence {k}: {at}, not {want}");
        }
        prop_assert!(!f.echo_s.is_empty());
    }

    #[test]
    fn no_input_panics_and_nothing_succeeds_beyond_the_pool(
        pool in any::<u32>(), hold in any::<f64>(), rate in any::<f64>(), d in 0.0_f64..1e5, fail in any::<f64>(), rec in any::<f64>()
    ) {
        let f = Budget::new(pool, hold).forecast(rate, Duration::from_secs_f64(d), Some(fail), Some(rec));
        prop_assert!(f.echo_s.len() <= RECURRENCES_MAX);
        prop_assert!(f.exhausted_at_s.is_none_or(|t| t <= f.hold_s));
    }
}

#[test]
fn the_rate_that_used_the_pool_up_is_that_before_the_first_refusal() {
    // 50 ports gone after 0.2 s, five made again later in the same second, pauses after it.
    assert_eq!(rate_until([55, 0, 0], 0.2, Some(50)), Some(250.0));
    assert_eq!(rate_until([100, 40, 0], 1.4, Some(140)), Some(100.0));
    assert_eq!(rate_until([100, 90, 0], 1.4, None), Some(100.0), "whole seconds, where ports came back");
    assert_eq!(rate_until([30, 0], 0.5, None), Some(30.0));
    for nothing in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(rate_until([5], nothing, Some(5)), None);
    }
    assert_eq!(rate_until([], 3.0, None), None);
}

#[test]
fn ports_that_are_held_already_bring_the_first_failure_forward_and_come_back() {
    let left = InUse { timed: 600, first_free_s: 55.0, last_free_s: 58.0, open: 0 };
    let b = Budget::new(1000, 60.0);
    let f = b.forecast_from(left, 150.0, Duration::from_secs(5), None, None);
    close(f.exhausted_at_s.unwrap(), 400.0 / 150.0, 1e-6);
    close(f.dead_s.unwrap(), 55.0 - 400.0 / 150.0, 1e-6);
    assert_eq!((f.successes, f.failures), (400, 350));
    // At 10/s 400 free ports last 40 s: 15 s before the first of the others is free. At 7/s they last 57 s.
    close(b.exhausted_from(10.0, left).unwrap(), 40.0, 1e-6);
    assert_eq!(b.exhausted_from(7.0, left), None, "below P/T, and the others are back in time");
    let all = InUse { timed: 50, first_free_s: 57.0, last_free_s: 59.0, open: 0 };
    let f = Budget::new(50, 60.0).forecast_from(all, 30.0, Duration::from_secs(5), None, None);
    assert_eq!((f.exhausted_at_s, f.successes), (Some(0.0), 0));
    close(f.dead_s.unwrap(), 57.0, 1e-6);
}

#[test]
fn open_connections_of_others_are_no_part_of_the_pool() {
    let open = InUse { open: 400, ..InUse::default() };
    let f = Budget::new(1000, 60.0).forecast_from(open, 150.0, Duration::from_secs(5), None, None);
    close(f.exhausted_at_s.unwrap(), 4.0, 1e-9);
    close(f.dead_s.unwrap(), 56.0, 1e-9);
    assert_eq!(Budget::new(1000, 60.0).exhausted_from(11.0, open).map(f64::round), Some(55.0), "600/60 s sustain 10/s");
}

#[test]
fn both_limits_and_a_forecast() {
    let b = Budget::new(28232, 60.0);
    close(b.limit_cps().unwrap(), 470.53, 0.01);
    close(b.search_limit_cps(PortMode::Auto).unwrap(), 235.27, 0.01);
    assert_eq!(b.search_limit_cps(PortMode::Ring), None);
    assert_eq!(Budget::new(28232, 0.0).limit_cps(), None);
    let left = |timed| InUse { timed, first_free_s: 100.0, last_free_s: 110.0, open: 0 };
    let at = |n, rate| windows().port_forecast(left(n), &Demand::Level(rate), Duration::from_mins(3)).map(|f| f.exhausted_at_s);
    close(at(0, 170.0).unwrap(), 96.4, 0.1);
    close(at(1000, 170.0).unwrap(), 90.5, 0.1);
    assert_eq!(at(1000, 136.0), None, "what was in use comes free: the ceiling is the whole pool's");
}

fn stages(of: LevelOf, each: &[(u64, f64)]) -> Course {
    let each = each.iter().map(|(s, to)| Stage { duration: Duration::from_secs(*s), to: *to }).collect();
    Stages { of, each }.course()
}

#[test]
fn the_forecast_of_a_ramp_follows_the_ramp() {
    // 2t connections a second are t^2 at t: 6,400 ports last 80 s where none comes back, and 106.7 s where T is 60 s (60 (2t - 60)).
    let course = stages(LevelOf::Rate, &[(200, 400.0)]);
    let at = |hold: f64, each_cps| {
        let demand = Demand::Course { course: course.clone(), each_cps };
        Budget::new(6400, hold).port_forecast(InUse::default(), &demand, Duration::from_secs(200))
    };
    let early = at(90.0, 1.0).expect("it runs out");
    close(early.exhausted_at_s, 80.0, 0.1);
    close(early.dead_s, 10.0, 0.1);
    close(early.rate_cps, 160.0, 1.0);
    close(at(60.0, 0.5).map_or(0.0, |f| f.exhausted_at_s), 6400.0 / 60.0 + 30.0, 0.1);
    assert_eq!(at(60.0, 0.1), None, "40 a second at the most");
}

#[test]
fn stages_that_pause_let_the_ports_come_back() {
    // 100 a second for 10 s, a pause longer than T, and again: each time 800 ports last 8 s.
    let course = stages(LevelOf::Rate, &[(0, 100.0), (10, 100.0), (0, 0.0), (30, 0.0), (0, 100.0), (10, 100.0)]);
    let demand = Demand::Course { course, each_cps: 1.0 };
    let f = Budget::new(800, 20.0).port_forecast(InUse::default(), &demand, Duration::from_secs(50)).expect("it runs out");
    close(f.exhausted_at_s, 8.0, 1e-6);
    close(f.dead_s, 12.0, 1e-6);
    assert_eq!(f.echo_s.len(), 1, "{f:?}");
    close(f.echo_s[0], 48.0, 1e-6);
}
