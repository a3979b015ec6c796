//! A long series in few points: of each column of pixels its lowest and its highest, so that no peak is lost.

/// `run` in rising order of x, with at most two points for each `column` pixels besides its ends.
pub(super) fn thinned(run: &[(f64, f64)], column: f64) -> Vec<(f64, f64)> {
    let column_of = |point: &(f64, f64)| (point.0 / column).floor();
    let groups: Vec<&[(f64, f64)]> = run.chunk_by(|a, b| column_of(a) == column_of(b)).collect();
    let mut out = Vec::with_capacity(run.len().min(groups.len() * 2 + 2));
    for group in groups {
        let extreme = |better: fn(f64, f64) -> bool| {
            (0..group.len()).reduce(|best, i| if better(group[i].1, group[best].1) { i } else { best }).unwrap_or(0)
        };
        let (low, high) = (extreme(|a, b| a > b), extreme(|a, b| a < b));
        out.extend(group.get(low.min(high)));
        if low != high {
            out.extend(group.get(low.max(high)));
        }
    }
    // A curve begins and ends where it did.
    let (first, last) = (run.first(), run.last());
    if out.first() != first {
        out.splice(0..0, first.copied());
    }
    if out.last() != last {
        out.extend(last);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::thinned;

    #[test]
    fn few_points_stay_as_they_are() {
        let run: Vec<(f64, f64)> = (0..180).map(|i| (f64::from(i) * 2.0, f64::from(i % 7))).collect();
        assert_eq!(thinned(&run, 0.5), run);
        assert_eq!(thinned(&[], 0.5), []);
    }

    #[test]
    fn each_column_keeps_its_extremes() {
        let mut run: Vec<(f64, f64)> = (0..36_000).map(|i| (f64::from(i) / 100.0, 50.0 + f64::from(i % 11))).collect();
        run[12_345].1 = -400.0;
        run[20_001].1 = 900.0;
        let few = thinned(&run, 0.5);
        assert!(few.len() <= 2 * 720 + 2, "{}", few.len());
        assert!(few.contains(&run[12_345]) && few.contains(&run[20_001]));
        assert_eq!((few.first(), few.last()), (run.first(), run.last()));
        assert!(few.windows(2).all(|w| w[0].0 <= w[1].0), "in the order of time");
    }
}
