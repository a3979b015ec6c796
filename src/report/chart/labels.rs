//! Where the labels of a chart's lines go: the first place of a list that covers no curve, else the one that covers
//! least. Pixels, y downwards.

/// The plot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

/// Height of a label above its base line, and below it.
const ASCENT: f64 = 10.0;
const DESCENT: f64 = 3.0;
/// Kept free around a label.
const AIR: f64 = 3.0;
/// Between a line and its label.
const OFF: f64 = 7.0;
/// Between two places that are tried.
const STEP: f64 = 16.0;

/// A box that a label would take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    /// left end of the base line
    x: f64,
    y: f64,
    width: f64,
}

impl Place {
    fn at(x: f64, y: f64, width: f64) -> Self {
        Self { x, y, width }
    }

    /// left, top, right, bottom, with air
    fn edges(self) -> (f64, f64, f64, f64) {
        (self.x - AIR, self.y - ASCENT - AIR, self.x + self.width + AIR, self.y + DESCENT + AIR)
    }
}

/// Places for the label of a horizontal line at `y`: above and below it, from the right end to the left.
pub(super) fn along(plot: &Frame, y: f64, width: f64) -> Vec<Place> {
    let steps = ((plot.right - plot.left - width) / STEP).max(0.0) as usize;
    let xs = (0..=steps).map(|i| plot.right - OFF - width - i as f64 * STEP);
    let rows = [y - OFF, y + OFF + ASCENT];
    xs.flat_map(|x| rows.map(|row| Place::at(x, row, width))).filter(|p| within(plot, *p)).collect()
}

/// Places for the label of a vertical line at `x`: to its right and left, from the top downwards.
pub(super) fn beside(plot: &Frame, x: f64, width: f64) -> Vec<Place> {
    let rows = ((plot.bottom - plot.top) / STEP).max(1.0) as usize;
    let sides = [x + OFF, x - OFF - width];
    let at = |row: usize| plot.top + 14.0 + row as f64 * STEP;
    (0..rows).flat_map(|row| sides.map(|x| Place::at(x, at(row), width))).filter(|p| within(plot, *p)).collect()
}

fn within(plot: &Frame, p: Place) -> bool {
    p.x >= plot.left && p.x + p.width <= plot.right && p.y - ASCENT >= plot.top && p.y + DESCENT <= plot.bottom
}

/// What labels must not cover: curves, lines, other labels.
#[derive(Debug, Default)]
pub(super) struct Ground {
    segments: Vec<((f64, f64), (f64, f64))>,
    labels: Vec<Place>,
}

impl Ground {
    /// Adds a path.
    pub(super) fn cover(&mut self, path: &[(f64, f64)]) {
        if let [only] = path {
            self.segments.push((*only, *only));
        }
        self.segments.extend(path.windows(2).map(|w| (w[0], w[1])));
    }

    /// Takes the first free of `places`, else the one that covers least; the left end of its base line.
    pub(super) fn place(&mut self, places: Vec<Place>) -> (f64, f64) {
        // The first of equals wins. A label on a label is unreadable, one on a curve is not.
        let cost = |p: &Place| {
            let lines = self.segments.iter().filter(|s| crosses(**s, *p)).count();
            lines + 1000 * self.labels.iter().filter(|l| overlap(**l, *p)).count()
        };
        let Some(best) = places.into_iter().min_by_key(cost) else { return (0.0, 0.0) };
        self.labels.push(best);
        (best.x, best.y)
    }
}

fn overlap(a: Place, b: Place) -> bool {
    let ((al, at, ar, ab), (bl, bt, br, bb)) = (a.edges(), b.edges());
    al < br && bl < ar && at < bb && bt < ab
}

/// Whether a segment touches the box of a label: clipped by its four edges, something is left (Liang and Barsky, 1984).
fn crosses((from, to): ((f64, f64), (f64, f64)), label: Place) -> bool {
    let (left, top, right, bottom) = label.edges();
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (mut enters, mut leaves) = (0.0_f64, 1.0_f64);
    for (step, room) in [(-dx, from.0 - left), (dx, right - from.0), (-dy, from.1 - top), (dy, bottom - from.1)] {
        if step == 0.0 {
            if room < 0.0 {
                return false;
            }
        } else if step < 0.0 {
            enters = enters.max(room / step);
        } else {
            leaves = leaves.min(room / step);
        }
    }
    enters <= leaves
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLOT: Frame = Frame { left: 0.0, right: 400.0, top: 0.0, bottom: 200.0 };

    #[test]
    fn a_label_goes_where_no_curve_is() {
        let mut ground = Ground::default();
        assert_eq!(ground.place(along(&PLOT, 100.0, 50.0)), (343.0, 93.0), "at the right end, above");
        ground.cover(&[(300.0, 90.0), (400.0, 90.0)]);
        ground.labels.clear();
        assert_eq!(ground.place(along(&PLOT, 100.0, 50.0)), (343.0, 117.0), "below, where a curve runs above");
        ground.cover(&[(200.0, 200.0), (400.0, 0.0)]);
        let (x, _) = ground.place(along(&PLOT, 100.0, 50.0));
        assert!(x < 300.0, "moved out of the way: {x}");
    }

    #[test]
    fn labels_do_not_lie_on_each_other_nor_leave_the_plot() {
        let mut ground = Ground::default();
        let placed: Vec<_> = [100.0, 104.0, 399.0].iter().map(|x| ground.place(beside(&PLOT, *x, 60.0))).collect();
        assert_eq!(placed, [(107.0, 14.0), (37.0, 14.0), (332.0, 14.0)]);
    }

    #[test]
    fn where_all_is_covered_the_least_is_taken() {
        let mut ground = Ground::default();
        for y in 0..200 {
            ground.cover(&[(0.0, f64::from(y)), (400.0, f64::from(y))]);
        }
        let (x, y) = ground.place(beside(&PLOT, 200.0, 60.0));
        assert!((0.0..=400.0).contains(&x) && (0.0..=200.0).contains(&y));
        assert_eq!(ground.place(Vec::new()), (0.0, 0.0));
    }

    #[test]
    fn segments_and_boxes() {
        let label = Place::at(10.0, 20.0, 30.0);
        assert!(crosses(((0.0, 15.0), (100.0, 15.0)), label));
        assert!(crosses(((20.0, 15.0), (20.0, 15.0)), label), "a point inside");
        assert!(!crosses(((0.0, 50.0), (100.0, 50.0)), label));
        assert!(!crosses(((0.0, 0.0), (5.0, 100.0)), label));
        assert!(!crosses(((60.0, 0.0), (50.0, 100.0)), label));
    }
}
