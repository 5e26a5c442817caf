//! The table as a picture: a panel for each number of pixels, a line for each method, a colour for each number of measurements.

use std::{fs, path::Path};

use plotters::prelude::{
    ChartBuilder, Circle, Color, IntoDrawingArea, IntoLogRange, IntoSegmentedCoord, Palette,
    Palette99, PathElement, SVGBackend, SegmentValue, SeriesLabelPosition, WHITE,
};

use super::Row;
use crate::failure::Outcome;

/// Pixels of a panel's width.
const PANEL: u32 = 620;

/// Pixels of a line's height.
const LINE: u32 = 24;

/// Distances shown: those of methods that ran away lie beyond.
const SHOWN: std::ops::Range<f64> = 0.02..50.0;

/// Writes `rows` as an SVG picture; of a method with several numbers of steps, the most.
pub(super) fn save(rows: &[Row], path: &Path) -> Outcome<()> {
    let dims = distinct(rows.iter().map(|row| row.d));
    // The axis points upwards.
    let methods = distinct(rows.iter().rev().map(|row| row.method));
    let size = (PANEL * dims.len() as u32, LINE * (methods.len() as u32 + 4));
    let mut picture = String::new();
    {
        let sheet = SVGBackend::with_string(&mut picture, size).into_drawing_area();
        sheet.fill(&WHITE)?;
        for (panel, &d) in sheet.split_evenly((1, dims.len())).iter().zip(&dims) {
            let rows: Vec<&Row> = rows.iter().filter(|row| row.d == d).collect();
            let mut chart = ChartBuilder::on(panel)
                .caption(format!("{d} pixels, sliced W1"), ("sans-serif", 16))
                .margin(8)
                .x_label_area_size(2 * LINE)
                .y_label_area_size(PANEL / 2)
                .build_cartesian_2d(SHOWN.log_scale(), methods.as_slice().into_segmented())?;
            chart
                .configure_mesh()
                .disable_y_mesh()
                .y_labels(methods.len() + 1)
                .y_label_formatter(&|level| match level {
                    SegmentValue::Exact(name) | SegmentValue::CenterOf(name) => name.to_string(),
                    SegmentValue::Last => String::new(),
                })
                .draw()?;
            for (index, dy) in distinct(rows.iter().map(|row| row.dy))
                .into_iter()
                .enumerate()
            {
                let colour = Palette99::pick(index).to_rgba();
                let marks = rows
                    .iter()
                    .filter(|row| row.dy == dy && is_last(row, &rows));
                let marks: Vec<(&Row, f64, f64)> = marks.filter_map(|row| mark(row)).collect();
                let level = |row: &Row| {
                    let name = methods.iter().find(|name| **name == row.method);
                    name.map_or(SegmentValue::Last, SegmentValue::CenterOf)
                };
                chart.draw_series(marks.iter().map(|&(row, sw, half)| {
                    let ends = [sw - half, sw + half].map(|end| (shown(end), level(row)));
                    PathElement::new(ends.to_vec(), colour.stroke_width(2))
                }))?;
                chart
                    .draw_series(marks.iter().map(|&(row, sw, _)| {
                        Circle::new((shown(sw), level(row)), 4, colour.filled())
                    }))?
                    .label(format!("{dy} measured"))
                    .legend(move |at| Circle::new(at, 4, colour.filled()));
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::LowerRight)
                .background_style(WHITE.mix(0.7))
                .draw()?;
        }
        sheet.present()?;
    }
    fs::write(path, picture)?;
    Ok(())
}

/// A row with its figure, if it has one.
fn mark(row: &Row) -> Option<(&Row, f64, f64)> {
    Some((row, row.sw?, row.half_width?))
}

fn shown(distance: f64) -> f64 {
    distance.clamp(SHOWN.start, SHOWN.end)
}

/// Whether no other row of the same method and problem has more steps.
fn is_last(row: &Row, rows: &[&Row]) -> bool {
    let same = |other: &&&Row| other.method == row.method && other.dy == row.dy;
    rows.iter()
        .filter(same)
        .all(|other| other.steps <= row.steps)
}

/// Each value once, in the order of their first appearance.
fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for value in values {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}
