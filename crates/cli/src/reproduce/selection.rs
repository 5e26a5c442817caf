//! Which lines of a table are wanted.

use crate::failure::{Failure, Outcome};

/// No method has such a name.
#[derive(Debug, thiserror::Error)]
#[error("no method's name contains `{wanted}`; there are: {}", names.join(", "))]
struct UnknownMethod {
    wanted: String,
    names: Vec<&'static str>,
}

/// The methods whose name contains a text, at least one.
pub(crate) fn select<'a, M>(
    methods: &'a [M],
    name: impl Fn(&M) -> &'static str,
    wanted: Option<&str>,
) -> Outcome<Vec<&'a M>> {
    let wanted = wanted.unwrap_or_default();
    let chosen: Vec<&M> = methods
        .iter()
        .filter(|method| name(method).contains(wanted))
        .collect();
    if chosen.is_empty() {
        let (wanted, names) = (wanted.to_owned(), methods.iter().map(name).collect());
        return Err(Failure::usage(UnknownMethod { wanted, names }));
    }
    Ok(chosen)
}
