//! The numbers of a CSV file of a run.

use std::{
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::chart::Point;
use crate::failure::Outcome;

/// A file of numbers that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {source}", path.display())]
struct ColumnsError {
    path: PathBuf,
    source: csv::Error,
}

/// Named columns of numbers.
#[derive(Debug, Default)]
pub(super) struct Columns {
    names: Vec<String>,
    rows: Vec<Vec<f64>>,
}

impl Columns {
    /// Reads a file with a header; without a file there are no columns. A field that is no number is NaN.
    pub(super) fn read(path: &Path) -> Outcome<Self> {
        let invalid = |source| ColumnsError {
            path: path.into(),
            source,
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(invalid(error.into()).into()),
        };
        let mut reader = csv::Reader::from_reader(file);
        let names = reader.headers().map_err(invalid)?.iter().map(str::to_owned);
        let names = names.collect();
        let rows = reader
            .records()
            .map(|record| {
                Ok(record?
                    .iter()
                    .map(|text| text.parse().unwrap_or(f64::NAN))
                    .collect())
            })
            .collect::<Result<_, csv::Error>>()
            .map_err(invalid)?;
        Ok(Self { names, rows })
    }

    /// A column by its step.
    pub(super) fn column(&self, name: &str) -> Vec<Point> {
        let points = self
            .rows(["step", name])
            .into_iter()
            .map(|[step, value]| (step, value));
        points.filter(|(_, value)| value.is_finite()).collect()
    }

    /// Each row as the values of some columns.
    pub(super) fn rows<const N: usize>(&self, names: [&str; N]) -> Vec<[f64; N]> {
        self.rows
            .iter()
            .map(|row| names.map(|name| self.at(row, name)))
            .collect()
    }

    fn at(&self, row: &[f64], name: &str) -> f64 {
        let place = self.names.iter().position(|known| known == name);
        place
            .and_then(|place| row.get(place).copied())
            .unwrap_or(f64::NAN)
    }
}
