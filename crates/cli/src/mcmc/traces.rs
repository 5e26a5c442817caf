//! Traces as a picture: a panel for each, a colour for each chain.

use std::{fs, path::Path};

use plotters::prelude::{
    ChartBuilder, Color, IntoDrawingArea, Palette, Palette99, PathElement, SVGBackend, WHITE,
};
use tweedie::mcmc::Trace;

use crate::failure::Outcome;

/// Pixels of a panel.
const PANEL: [u32; 2] = [900, 160];

/// Points of a line: more could not be told apart.
const POINTS: usize = 900;

/// Writes the traces as an SVG picture; nothing without draws.
pub(super) fn save(traces: &[Trace], path: &Path) -> Outcome<()> {
    let draws = traces
        .iter()
        .filter_map(|trace| trace.chains.first())
        .map(Vec::len)
        .max();
    let Some(draws) = draws.filter(|draws| *draws > 1) else {
        return Ok(());
    };
    let mut picture = String::new();
    {
        let size = (PANEL[0], PANEL[1] * traces.len() as u32);
        let sheet = SVGBackend::with_string(&mut picture, size).into_drawing_area();
        sheet.fill(&WHITE)?;
        for (panel, trace) in sheet.split_evenly((traces.len(), 1)).iter().zip(traces) {
            let mut chart = ChartBuilder::on(panel)
                .caption(&trace.name, ("sans-serif", 14))
                .margin(6)
                .margin_right(24)
                .x_label_area_size(22)
                .y_label_area_size(70)
                .build_cartesian_2d(0..draws, range(trace))?;
            chart
                .configure_mesh()
                .disable_mesh()
                .x_labels(6)
                .y_labels(3)
                .draw()?;
            for (index, chain) in trace.chains.iter().enumerate() {
                let colour = Palette99::pick(index).to_rgba();
                let every = chain.len().div_ceil(POINTS).max(1);
                let points = chain.iter().copied().enumerate().step_by(every);
                let line = PathElement::new(points.collect::<Vec<_>>(), colour.stroke_width(1));
                chart.draw_series([line])?;
            }
        }
        sheet.present()?;
    }
    fs::write(path, picture)?;
    Ok(())
}

/// From the least to the largest value; a line that is flat has room on both sides.
fn range(trace: &Trace) -> std::ops::Range<f64> {
    let values = || {
        trace
            .chains
            .iter()
            .flatten()
            .copied()
            .filter(|value| value.is_finite())
    };
    let least = values().fold(f64::INFINITY, f64::min);
    let most = values().fold(f64::NEG_INFINITY, f64::max);
    if least < most {
        least..most
    } else {
        least - 1.0..least + 1.0
    }
}
