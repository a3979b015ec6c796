//! What a chart draws: one column of values, with its colour, axis and shape.

/// The palette of Okabe and Ito (2008), told apart with all common kinds of colour blindness, and a grey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "colours by name")]
pub enum Color {
    Blue,
    Vermillion,
    Green,
    Orange,
    Sky,
    Purple,
    Grey,
}

impl Color {
    /// For series that name no colour of their own, in this order.
    pub const CYCLE: [Self; 6] = [Self::Blue, Self::Vermillion, Self::Green, Self::Orange, Self::Sky, Self::Purple];
}

/// Which vertical axis a series or reference line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AxisSide {
    /// the left one
    #[default]
    Left,
    /// the right one
    Right,
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// a line from point to point
    #[default]
    Line,
    /// a line over a faint filling
    Area,
    /// a dashed line
    Dashed,
    /// points alone
    Dots,
}

/// What lies between the two sides of a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gaps {
    /// nothing: there was no value
    #[default]
    Open,
    /// a value that nobody read: a faint dashed line joins the sides
    Joined,
}

/// Where and how much, in rising order of x; without a value a gap.
pub type Points = Vec<(f64, Option<f64>)>;

/// One series. A point without a value leaves a gap.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// name in the legend
    pub name: String,
    /// its colour
    pub color: Color,
    /// its axis
    pub side: AxisSide,
    /// how it is drawn
    pub shape: Shape,
    /// what it draws
    pub points: Points,
    /// what a point without a value means
    pub gaps: Gaps,
}

impl Series {
    /// A line on the left axis.
    pub fn line(name: impl Into<String>, color: Color, points: Points) -> Self {
        Self { name: name.into(), color, side: AxisSide::Left, shape: Shape::Line, points, gaps: Gaps::Open }
    }

    /// The same with its gaps joined by a dashed line.
    #[must_use]
    pub fn joined(mut self) -> Self {
        self.gaps = Gaps::Joined;
        self
    }

    /// The same on the right axis.
    #[must_use]
    pub fn on_right(mut self) -> Self {
        self.side = AxisSide::Right;
        self
    }

    /// The same in another shape.
    #[must_use]
    pub fn shaped(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }
}
