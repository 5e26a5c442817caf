//! Settings as TOML tables: one laid over another, a field by its path, and where two differ.

use toml::{Table, Value};

/// Settings that are one of several kinds, of which the name is the only key: one kind replaces another.
const KINDS: [&str; 4] = ["label", "operator", "parametrisation", "resize"];

/// Lays `over` on `base`, field by field. A table of another `type`, or of another kind, replaces the one below it: its fields mean
/// other things.
pub(super) fn lay(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above))
                if is_same_kind(&key, below, &above) =>
            {
                lay(below, above);
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

fn is_same_kind(key: &str, below: &Table, above: &Table) -> bool {
    if KINDS.contains(&key) {
        return above.keys().all(|name| below.contains_key(name));
    }
    above
        .get("type")
        .is_none_or(|name| below.get("type") == Some(name))
}

/// The table in which only the field at a path of keys is set.
pub(super) fn nested(path: &[&str], value: Value) -> Table {
    let mut keys = path.iter().rev();
    let mut table = Table::new();
    if let Some(&last) = keys.next() {
        table.insert(last.to_owned(), value);
    }
    keys.fold(table, |inner, &key| {
        Table::from_iter([(key.to_owned(), Value::Table(inner))])
    })
}

/// Sets the field at a path of keys, as [`lay`] does.
pub(super) fn set(table: &mut Table, path: &[&str], value: impl Into<Value>) {
    lay(table, nested(path, value.into()));
}

/// The value at a path of keys.
pub(super) fn get<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (last, above) = path.split_last()?;
    let inner = above
        .iter()
        .try_fold(table, |table, key| table.get(*key)?.as_table())?;
    inner.get(*last)
}

/// A field that two tables do not have in common.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    /// Its path, with dots.
    pub(super) field: String,
    /// Its values, where it has any.
    pub(super) values: [Option<Value>; 2],
}

/// All fields in which two tables differ, in the order of the first.
pub(super) fn differences(first: &Table, second: &Table) -> Vec<Difference> {
    let mut found = Vec::new();
    collect("", first, second, &mut found);
    found
}

fn collect(above: &str, first: &Table, second: &Table, found: &mut Vec<Difference>) {
    let only_second = second.keys().filter(|key| !first.contains_key(*key));
    for key in first.keys().chain(only_second) {
        let field = format!("{above}{key}");
        match (first.get(key), second.get(key)) {
            (Some(Value::Table(one)), Some(Value::Table(other))) => {
                collect(&format!("{field}."), one, other, found);
            }
            (one, other) if one != other => found.push(Difference {
                field,
                values: [one.cloned(), other.cloned()],
            }),
            _ => {}
        }
    }
}
