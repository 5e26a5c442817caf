//! What `bench --peer` was asked for.

use std::path::PathBuf;

use crate::outcome::{Failure, Outcome};

/// The option that asks for this comparison.
pub(crate) const OPTION: &str = "--peer";

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// An interpreter that has the peer; none: one is made.
    pub(super) python: Option<PathBuf>,
    /// Where the rows go.
    pub(super) json: Option<PathBuf>,
    /// Numbers of threads, each a run of its own.
    pub(super) threads: Vec<usize>,
    pub(super) rounds: usize,
    /// Empty: every cell.
    pub(super) cells: Vec<String>,
    /// Whether the page is written.
    pub(super) write: bool,
}

impl Request {
    pub(super) fn parse(arguments: &[String]) -> Outcome<Self> {
        let mut request = Self {
            python: None,
            json: None,
            threads: vec![1, 2],
            rounds: 7,
            cells: Vec::new(),
            write: false,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                let missing = || Failure::Usage(format!("expected a value after {word}"));
                words.next().ok_or_else(missing)
            };
            match word.as_str() {
                OPTION => {}
                "--python" => request.python = Some(value()?.into()),
                "--json" => request.json = Some(value()?.into()),
                "--threads" => {
                    let numbers = value()?.split(',').map(|found| at_least_one(word, found));
                    request.threads = numbers.collect::<Outcome<_>>()?;
                }
                "--rounds" => request.rounds = at_least_one(word, value()?)?,
                "--cells" => request.cells = value()?.split(',').map(str::to_owned).collect(),
                "--write" => request.write = true,
                _ => {
                    let expected = "--python PATH, --json FILE, --threads N,.., --rounds N, --cells NAME,.. or --write";
                    return Err(Failure::Usage(format!(
                        "found `{word}` beside {OPTION}, expected {expected}"
                    )));
                }
            }
        }
        if request.write && !request.cells.is_empty() {
            return Err(Failure::Usage(
                "found --cells beside --write, expected one of them: the page holds every cell"
                    .to_owned(),
            ));
        }
        Ok(request)
    }

    /// The command line that asks for the same, with the interpreter left out.
    pub(super) fn line(&self) -> String {
        let threads: Vec<String> = self.threads.iter().map(usize::to_string).collect();
        let (threads, rounds) = (threads.join(","), self.rounds);
        format!("cargo xtask bench {OPTION} --write --threads {threads} --rounds {rounds}")
    }

    /// Those of `all` that were asked for.
    pub(super) fn selected<'a, T>(
        &self,
        all: &'a [T],
        name: impl Fn(&T) -> &str,
    ) -> Outcome<Vec<&'a T>> {
        let unknown = |asked: &&String| !all.iter().any(|cell| name(cell) == asked.as_str());
        if let Some(found) = self.cells.iter().find(unknown) {
            let names: Vec<&str> = all.iter().map(&name).collect();
            return Err(Failure::Usage(format!(
                "found --cells {found}, expected some of {}",
                names.join(", ")
            )));
        }
        let asked =
            |cell: &&T| self.cells.is_empty() || self.cells.iter().any(|word| word == name(cell));
        Ok(all.iter().filter(asked).collect())
    }
}

fn at_least_one(option: &str, found: &str) -> Outcome<usize> {
    let number = found.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| {
        Failure::Usage(format!(
            "found {option} {found}, expected a number from 1 on"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Outcome<Request> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Request::parse(&words)
    }

    #[test]
    fn two_numbers_of_threads_every_cell_and_an_environment_of_its_own_are_the_defaults() {
        let request = parse("--peer").unwrap();
        assert_eq!((request.threads, request.rounds), (vec![1, 2], 7));
        assert_eq!((request.python, request.json), (None, None));
        assert_eq!((request.cells, request.write), (vec![], false));
    }

    #[test]
    fn every_option_is_read() {
        let line =
            "--rounds 3 --peer --python p --json f.json --threads 2,4 --cells dps,unet-forward";
        let request = parse(line).unwrap();
        let expected = Request {
            python: Some("p".into()),
            json: Some("f.json".into()),
            threads: vec![2, 4],
            rounds: 3,
            cells: vec!["dps".to_owned(), "unet-forward".to_owned()],
            write: false,
        };
        assert_eq!(request, expected);
    }

    #[test]
    fn a_page_is_written_of_every_cell_only() {
        let request = parse("--peer --write --python p --threads 1").unwrap();
        let line = "cargo xtask bench --peer --write --threads 1 --rounds 7";
        assert_eq!(request.line(), line);
        assert!(matches!(
            parse("--peer --write --cells dps"),
            Err(Failure::Usage(_))
        ));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in [
            "--peer --rounds",
            "--peer --rounds 0",
            "--peer --threads x",
            "--peer --threads 1,",
            "--peer --threads 1,0",
            "--peer --cells",
            "--peer dps",
        ] {
            assert!(matches!(parse(line), Err(Failure::Usage(_))), "{line}");
        }
    }

    #[test]
    fn cells_are_selected_in_their_own_order_and_unknown_ones_are_named() {
        let all = ["a", "b", "c"];
        let selected = |line: &str| parse(line).unwrap().selected(&all, |name| name);
        assert_eq!(selected("--peer").unwrap(), [&"a", &"b", &"c"]);
        assert_eq!(selected("--peer --cells c,a").unwrap(), [&"a", &"c"]);
        let message = selected("--peer --cells a,d").unwrap_err().to_string();
        assert_eq!(message, "xtask: found --cells d, expected some of a, b, c");
    }
}
