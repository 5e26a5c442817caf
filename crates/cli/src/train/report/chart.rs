//! A chart of some series of numbers by their step, as SVG.

use std::ops::Range;

use plotters::{
    coord::{
        Shift,
        ranged1d::{AsRangedCoord, Ranged, ValueFormatter},
    },
    prelude::{
        BLACK, BindKeyPoints, ChartBuilder, Circle, Color, DrawingArea, HSLColor, IntoDrawingArea,
        IntoLogRange, PathElement, RGBAColor, SVGBackend, WHITE,
    },
};

use crate::failure::Outcome;

/// Quotient of the largest and the least value from which on an axis is logarithmic.
const MUCH: f64 = 4.0;

/// Marks of a logarithmic axis, at most.
const TICKS: usize = 8;

/// A step and a value.
pub(super) type Point = (f64, f64);

/// Width and height of a chart.
const SIZE: (u32, u32) = (560, 300);

/// Points of a series that are drawn: the means of as many stretches of steps.
const POINTS: usize = 400;

/// A line of a chart.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
}

/// A chart.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    /// Whether the vertical axis is logarithmic where values above 0 differ much.
    pub(super) log: bool,
    pub(super) series: Vec<Series>,
}

impl Chart<'_> {
    /// The picture; none without points.
    pub(super) fn svg(&self) -> Outcome<Option<String>> {
        let series: Vec<Series> = self.series.iter().map(Series::thinned).collect();
        let points = || series.iter().flat_map(|series| &series.points);
        let Some(steps) = range(points().map(|point| point.0)) else {
            return Ok(None);
        };
        let Some(values) = range(points().map(|point| point.1)) else {
            return Ok(None);
        };
        let mut picture = String::new();
        {
            let sheet = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
            sheet.fill(&WHITE)?;
            if self.log && values.start > 0.0 && values.end > MUCH * values.start {
                let axis = values.start / 1.1..values.end * 1.1;
                let ticks = ticks(&axis);
                let axis = axis.log_scale().with_key_points(ticks);
                self.draw(&sheet, &series, steps, axis)?;
            } else {
                let (Range { start, end }, least) = (values, 1e-9);
                let (span, size) = (end - start, start.abs().max(end.abs()));
                // What is nearly constant has room around it, so that the marks of the axis can be told apart.
                let margin = if span < 1e-3 * size {
                    0.5 * size
                } else {
                    0.05 * span
                };
                let margin = margin.max(least);
                self.draw(&sheet, &series, steps, start - margin..end + margin)?;
            }
            sheet.present()?;
        }
        Ok(Some(picture))
    }

    fn draw<Y>(
        &self,
        sheet: &DrawingArea<SVGBackend<'_>, Shift>,
        series: &[Series],
        steps: Range<f64>,
        values: Y,
    ) -> Outcome<()>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let mut chart = ChartBuilder::on(sheet)
            .caption(self.title, ("sans-serif", 15))
            .margin(8)
            .margin_right(20)
            .x_label_area_size(24)
            .y_label_area_size(64)
            .build_cartesian_2d(steps.start..steps.end.max(steps.start + 1.0), values)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(BLACK.mix(0.12))
            .x_labels(6)
            .y_labels(6)
            .x_label_formatter(&|step| format!("{step:.0}"))
            .y_label_formatter(&|value| number(*value))
            .draw()?;
        for (index, Series { points, .. }) in series.iter().enumerate() {
            let colour = colour(index, self.series.len());
            // A single point has no line.
            let dot = (points.len() == 1).then(|| Circle::new(points[0], 3, colour.filled()));
            chart.draw_series(dot)?;
            let line = PathElement::new(points.clone(), colour.stroke_width(2));
            chart.draw_series([line])?;
        }
        Ok(())
    }

    /// What the colours mean, as HTML; nothing for a single series.
    pub(super) fn legend(&self) -> String {
        let entry = |(index, series): (usize, &Series)| {
            let (red, green, blue) = colour(index, self.series.len()).rgb();
            format!(
                "<span style=\"color:rgb({red},{green},{blue})\">&#9632;</span> {} ",
                series.name
            )
        };
        match self.series.len() {
            1 => String::new(),
            _ => self.series.iter().enumerate().map(entry).collect(),
        }
    }
}

impl Series {
    pub(super) fn new(name: &str, points: Vec<Point>) -> Self {
        Self {
            name: name.to_owned(),
            points,
        }
    }

    /// With no more points than can be told apart.
    fn thinned(&self) -> Self {
        let stretch = self.points.len().div_ceil(POINTS).max(1);
        let mean = |points: &[Point]| {
            let count = points.len() as f64;
            let sum = points
                .iter()
                .fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
            (sum.0 / count, sum.1 / count)
        };
        Self {
            name: self.name.clone(),
            points: self.points.chunks(stretch).map(mean).collect(),
        }
    }
}

/// That of a series, from red to blue in their order.
fn colour(index: usize, count: usize) -> RGBAColor {
    let place = index as f64 / count.saturating_sub(1).max(1) as f64;
    HSLColor(0.65 * place, 0.8, 0.42).to_rgba()
}

/// 1, 2 and 5 times powers of ten; powers of ten alone where that is too many.
fn ticks(axis: &Range<f64>) -> Vec<f64> {
    let powers = axis.start.log10().floor() as i32..=axis.end.log10().ceil() as i32;
    let of = |factors: &'static [f64]| -> Vec<f64> {
        let all = powers
            .clone()
            .flat_map(|power| factors.iter().map(move |f| f * 10f64.powi(power)));
        all.filter(|tick| axis.contains(tick)).collect()
    };
    let fine = of(&[1.0, 2.0, 5.0]);
    if fine.len() <= TICKS {
        return fine;
    }
    let coarse = of(&[1.0]);
    let stride = coarse.len().div_ceil(TICKS).max(1);
    coarse.into_iter().step_by(stride).collect()
}

fn range(values: impl Iterator<Item = f64>) -> Option<Range<f64>> {
    values.fold(None, |range, value| {
        let Range { start, end } = range.unwrap_or(value..value);
        Some(start.min(value)..end.max(value))
    })
}

/// A short form of a number.
pub(super) fn number(value: f64) -> String {
    let short = |digits: &str| {
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        digits.to_owned()
    };
    if value == 0.0 || (1e-2..1e4).contains(&value.abs()) {
        return short(&format!("{value:.3}"));
    }
    let text = format!("{value:.2e}");
    match text.split_once('e') {
        Some((digits, power)) => format!("{}e{power}", short(digits)),
        None => text,
    }
}
