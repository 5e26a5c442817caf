//! A chart of some series of numbers by their step, as SVG.

use std::ops::Range;

use plotters::{
    coord::{
        Shift,
        ranged1d::{AsRangedCoord, DefaultFormatting, KeyPointHint, Ranged, ValueFormatter},
    },
    prelude::{
        BLACK, BindKeyPoints, ChartBuilder, Circle, Color, DrawingArea, HSLColor, IntoDrawingArea,
        IntoLogRange, PathElement, RGBAColor, SVGBackend, WHITE,
    },
};

use crate::failure::Outcome;

/// Quotient of the largest and the least value from which on an axis is logarithmic.
const MUCH: f64 = 4.0;

/// Marks of a logarithmic axis, and of that of steps, at most.
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
    /// What is drawn, with its unit.
    pub(super) title: &'a str,
    /// What there is to be known of it.
    pub(super) note: &'a str,
    /// Whether the vertical axis is logarithmic where values above 0 differ much.
    pub(super) log: bool,
    pub(super) series: Vec<Series>,
}

impl Chart<'_> {
    /// The picture; none without points.
    pub(super) fn svg(&self) -> Outcome<Option<String>> {
        let series: Vec<Series> = self.series.iter().map(Series::thinned).collect();
        let points = || series.iter().flat_map(|series| &series.points);
        let last = points().map(|point| point.0).reduce(f64::max);
        let (Some(last), Some(values)) = (last, range(points().map(|point| point.1))) else {
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
                self.draw(&sheet, &series, last, axis, 0.0)?;
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
                let axis = start - margin..end + margin;
                self.draw(&sheet, &series, last, axis, 1e-6 * (span + margin))?;
            }
            sheet.present()?;
        }
        Ok(Some(picture))
    }

    /// `last` is the last step; on the axis of `values` what is below `least` in size is a 0 that was rounded.
    fn draw<Y>(
        &self,
        sheet: &DrawingArea<SVGBackend<'_>, Shift>,
        series: &[Series],
        last: f64,
        values: Y,
        least: f64,
    ) -> Outcome<()>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let mut chart = ChartBuilder::on(sheet)
            .caption(self.title, ("sans-serif", 15))
            .margin(8)
            .margin_right(20)
            .x_label_area_size(38)
            .y_label_area_size(64)
            .build_cartesian_2d(
                Steps {
                    last: last.max(1.0),
                },
                values,
            )?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(BLACK.mix(0.12))
            .x_labels(TICKS)
            .y_labels(6)
            .x_desc("step")
            .x_label_formatter(&|step| format!("{step:.0}"))
            .y_label_formatter(&|value| match value.abs() < least {
                true => number(0.0),
                false => number(*value),
            })
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

    /// What the colours mean, as HTML, of the series that have a name and are drawn; and the note.
    pub(super) fn caption(&self) -> String {
        let entry = |(index, series): (usize, &Series)| {
            let (red, green, blue) = colour(index, self.series.len()).rgb();
            let is_shown = !series.name.is_empty() && !series.points.is_empty();
            is_shown.then(|| {
                format!(
                    "<span style=\"color:rgb({red},{green},{blue})\">&#9632;</span> {} ",
                    series.name
                )
            })
        };
        let entries = self.series.iter().enumerate().filter_map(entry);
        entries.chain([self.note.to_owned()]).collect()
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

/// The axis of steps, from 0 to the last, with marks at whole steps.
struct Steps {
    last: f64,
}

impl Ranged for Steps {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, step: &f64, (left, right): (i32, i32)) -> i32 {
        left + (f64::from(right - left) * step / self.last).round() as i32
    }

    /// Multiples of 1, 2 or 5 times a power of ten.
    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        let strides = (0..).flat_map(|power| [1.0, 2.0, 5.0].map(|f| f * 10f64.powi(power)));
        let fits = |stride: &f64| self.last / stride < TICKS as f64;
        let stride = strides.into_iter().find(fits).unwrap_or(self.last);
        (0..=(self.last / stride) as u64)
            .map(|place| place as f64 * stride)
            .collect()
    }

    fn range(&self) -> Range<f64> {
        0.0..self.last
    }
}

fn range(values: impl Iterator<Item = f64>) -> Option<Range<f64>> {
    values.fold(None, |range, value| {
        let Range { start, end } = range.unwrap_or(value..value);
        Some(start.min(value)..end.max(value))
    })
}

/// A short form of a number: some four digits of it.
pub(super) fn number(value: f64) -> String {
    let short = |digits: &str| {
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        digits.to_owned()
    };
    if value == 0.0 {
        return "0".to_owned();
    }
    if (1e-4..1e4).contains(&value.abs()) {
        let decimals = (3.0 - value.abs().log10().floor()).max(1.0) as usize;
        return short(&format!("{value:.decimals$}"));
    }
    let text = format!("{value:.2e}");
    match text.split_once('e') {
        Some((digits, power)) => format!("{}e{power}", short(digits)),
        None => text,
    }
}
