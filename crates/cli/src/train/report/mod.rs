//! `report.html`: what a run did, in one file that needs no other, no script and no network.

mod chart;
mod columns;

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};

use self::{
    chart::{Chart, Series, number},
    columns::Columns,
};
use super::{score, settings::RUN_FILE};
use crate::failure::{Failure, Outcome};

/// Name of the file in the folder of a run.
const FILE: &str = "report.html";

/// Sheets that are shown, at most, and bytes that all of them may take, beside the last.
const SHEETS: usize = 8;
const SHEET_BYTES: u64 = 2 << 20;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:1180px;margin:24px auto;padding:0 16px}\
    h1{font-size:22px}h2{font-size:17px;margin-top:32px}.row{display:flex;flex-wrap:wrap;gap:16px}figure{margin:0}\
    figcaption{color:#666;font-size:13px;max-width:560px;padding-left:64px}img{image-rendering:pixelated;min-width:160px;max-width:360px}\
    svg{max-width:100%;height:auto}\
    pre{background:#f6f6f6;padding:12px;overflow-x:auto;font-size:13px;line-height:1.4}td,th{padding:2px 14px 2px 0;text-align:left}";

/// A report cannot be written, or a file that it shows cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {}: {source}", path.display())]
struct ReportError {
    verb: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

/// The report of the run in a folder, made of the files there.
pub(super) struct Report {
    folder: PathBuf,
    title: String,
    sheets: &'static str,
}

impl Report {
    /// `title` names the run, `sheets` says what its sheets show.
    pub(super) fn new(folder: &Path, title: String, sheets: &'static str) -> Self {
        Self {
            folder: folder.into(),
            title,
            sheets,
        }
    }

    /// Writes it anew; a file there is replaced in one step.
    pub(super) fn write(&self) -> Outcome<()> {
        let path = self.folder.join(FILE);
        let draft = self.folder.join(format!("{FILE}.tmp"));
        let page = self.page()?;
        fs::write(&draft, page)
            .and_then(|()| fs::rename(&draft, &path))
            .map_err(|source| failure("write", &path, source))
    }

    fn page(&self) -> Outcome<String> {
        let title = escaped(&self.title);
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
             <style>{STYLE}</style>\n<h1>{title}</h1>\n"
        );
        self.figures(&mut page)?;
        page += "<h2>Curves</h2>\n<div class=\"row\">\n";
        for chart in self.charts()? {
            if let Some(svg) = chart.svg()? {
                let caption = chart.caption();
                writeln!(
                    page,
                    "<figure>{svg}<figcaption>{caption}</figcaption></figure>"
                )?;
            }
        }
        page += "</div>\n";
        self.sheets(&mut page)?;
        let settings = self.folder.join(RUN_FILE);
        let text =
            fs::read_to_string(&settings).map_err(|source| failure("read", &settings, source))?;
        write!(
            page,
            "<h2>Settings</h2>\n<pre>{}</pre>\n</html>\n",
            escaped(&text)
        )?;
        Ok(page)
    }

    fn read(&self, file: &str) -> Outcome<Columns> {
        Columns::read(&self.folder.join(file))
    }

    /// The last figures.
    fn figures(&self, page: &mut String) -> Outcome<()> {
        let (steps, validation) = (self.read("steps.csv")?, self.read("validation.csv")?);
        let losses = steps.column("loss");
        let seconds: Vec<f64> = steps
            .column("seconds")
            .iter()
            .map(|point| point.1)
            .collect();
        *page += "<table>\n";
        let mut row =
            |name: &str, value: String| writeln!(page, "<tr><th>{name}</th><td>{value}</td></tr>");
        if let Some((step, loss)) = losses.last() {
            row("Steps made", format!("{step:.0}"))?;
            row("Loss of the last batch", number(*loss))?;
        }
        if let Some((step, loss)) = validation.column("loss").last() {
            row(
                "Validation loss",
                format!("{} after step {step:.0}", number(*loss)),
            )?;
        }
        if !seconds.is_empty() {
            let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
            row("Seconds per step, mean", number(mean))?;
        }
        *page += "</table>\n";
        Ok(())
    }

    fn charts(&self) -> Outcome<Vec<Chart<'static>>> {
        let (steps, validation) = (self.read("steps.csv")?, self.read("validation.csv")?);
        let chart = |title, note, log, series| Chart {
            title,
            note,
            log,
            series,
        };
        let one = |points| vec![Series::new("", points)];
        let waits = steps.rows(["step", "seconds", "data_seconds"]);
        let waits = waits
            .into_iter()
            .map(|[step, busy, idle]| (step, idle / (busy + idle)));
        let losses = vec![
            Series::new("training", steps.column("loss")),
            Series::new("validation", validation.column("loss")),
        ];
        Ok(vec![
            chart(
                "Loss",
                "with its weights, in the units of the objective",
                true,
                losses,
            ),
            chart(
                "Validation loss by noise level",
                "sigma in the network's own pixel units",
                true,
                by_level(&self.read("levels.csv")?),
            ),
            chart(
                "Fréchet distance to held-out images",
                "squared, in the units of the network's features",
                true,
                one(self.read(score::FILE)?.column("distance")),
            ),
            chart(
                "Learning rate",
                "",
                false,
                one(steps.column("learning_rate")),
            ),
            chart(
                "Norm of the gradient",
                "before it is clipped",
                true,
                one(steps.column("gradient_norm")),
            ),
            chart("Seconds per step", "", false, one(steps.column("seconds"))),
            chart(
                "Share of the time spent waiting for data",
                "0 to 1",
                false,
                one(waits.collect()),
            ),
        ])
    }

    /// The sheets of samples over time.
    fn sheets(&self, page: &mut String) -> Outcome<()> {
        let folder = self.folder.join("samples");
        let chosen = chosen(sheets(&folder)?);
        if chosen.is_empty() {
            return Ok(());
        }
        write!(
            page,
            "<h2>Samples</h2>\n<p>{}</p>\n<div class=\"row\">\n",
            self.sheets
        )?;
        for Sheet { path, step, .. } in chosen {
            let bytes = fs::read(&path).map_err(|source| failure("read", &path, source))?;
            writeln!(
                page,
                "<figure><img alt=\"samples\" src=\"data:image/png;base64,{}\"><figcaption>step {step}</figcaption></figure>",
                STANDARD.encode(bytes)
            )?;
        }
        *page += "</div>\n";
        Ok(())
    }
}

/// The validation loss in each class of noise levels, the least noise first. The bounds are those of the last validation: where the
/// distribution of levels is learnt, they move.
fn by_level(levels: &Columns) -> Vec<Series> {
    let mut found: Vec<Series> = Vec::new();
    let (mut last, mut class) = (f64::NAN, 0);
    for [step, low, high, loss] in levels.rows(["step", "sigma_min", "sigma_max", "loss"]) {
        class = if step == last { class + 1 } else { 0 };
        last = step;
        if class == found.len() {
            found.push(Series::new("", Vec::new()));
        }
        found[class].name = format!("sigma {} to {}", number(low), number(high));
        found[class].points.push((step, loss));
    }
    found
}

/// A sheet of samples.
struct Sheet {
    path: PathBuf,
    step: u64,
    bytes: u64,
}

/// All sheets in a folder, in the order of their steps.
fn sheets(folder: &Path) -> Outcome<Vec<Sheet>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).map_err(|source| failure("read", folder, source))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| failure("read", folder, source))?;
        let name = entry.file_name();
        let step = name.to_str().and_then(|name| {
            name.strip_prefix("step-")?
                .strip_suffix(".png")?
                .parse()
                .ok()
        });
        if let Some(step) = step {
            let path = entry.path();
            let data = entry
                .metadata()
                .map_err(|source| failure("read", &path, source))?;
            found.push(Sheet {
                path,
                step,
                bytes: data.len(),
            });
        }
    }
    found.sort_by_key(|sheet| sheet.step);
    Ok(found)
}

/// The last sheet, and others evenly spread before it, as many as may be shown.
fn chosen(all: Vec<Sheet>) -> Vec<Sheet> {
    let largest = all
        .iter()
        .map(|sheet| sheet.bytes)
        .max()
        .unwrap_or(1)
        .max(1);
    let count = SHEETS
        .min((SHEET_BYTES / largest) as usize + 1)
        .min(all.len());
    let last = all.len().saturating_sub(1);
    let places: Vec<usize> = match count {
        0 | 1 => vec![last],
        _ => (0..count).map(|i| i * last / (count - 1)).collect(),
    };
    let kept = all.into_iter().enumerate();
    kept.filter(|(place, _)| places.contains(place))
        .map(|(_, sheet)| sheet)
        .collect()
}

fn failure(verb: &'static str, path: &Path, source: std::io::Error) -> Failure {
    ReportError {
        verb,
        path: path.into(),
        source,
    }
    .into()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
