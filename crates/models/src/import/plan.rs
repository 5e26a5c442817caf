//! Which tensors of a checkpoint make which weight of a network, compared with what the checkpoint has before any is read.

use std::collections::{BTreeMap, HashMap};

use super::{Fold, Form, Layout, Rule, file::Checkpoint, slots::Slot, wrapping::within};
use crate::{Mismatch, ModelError};

/// What PyTorch's batch normalisations count, and nothing reads.
const COUNTER: &str = "num_batches_tracked";

/// Where each weight of a network comes from, in the names of one layout.
pub(super) struct Plan {
    /// By our names.
    recipes: BTreeMap<String, Recipe>,
    /// Shapes of all tensors that are needed, by their names; `None` where no tensor can be of use.
    needed: BTreeMap<String, Option<Vec<usize>>>,
    unused: Vec<String>,
}

/// How a weight is made.
enum Recipe {
    Same(String),
    Rows(String, Vec<usize>),
    Stacked(Vec<String>),
    Negated(String),
    Extended(String),
    FoldedWeight {
        convolution: String,
        norm: Norm,
    },
    FoldedBias {
        convolution: Option<String>,
        norm: Norm,
    },
}

/// A batch normalisation after a convolution.
struct Norm {
    name: String,
    fold: Fold,
}

impl Plan {
    /// Of a layout, or of our own names.
    pub(super) fn new(slots: &[Slot], layout: Option<&Layout>) -> Self {
        let mut plan = Self {
            recipes: BTreeMap::new(),
            needed: BTreeMap::new(),
            unused: layout.map_or_else(|| vec![COUNTER.into()], |layout| layout.unused.clone()),
        };
        let rules: HashMap<&str, &Rule> = layout
            .iter()
            .flat_map(|layout| &layout.rules)
            .map(|rule| (rule.ours.as_str(), rule))
            .collect();
        for slot in slots {
            let recipe = match (layout, slot.name.rsplit_once('.')) {
                (None, _) => Some(plan.same(slot.name.clone(), slot)),
                (Some(_), Some((layer, last))) => rules
                    .get(layer)
                    .and_then(|rule| plan.recipe(rule, last, slot)),
                (Some(_), None) => None,
            };
            match recipe {
                Some(recipe) => _ = plan.recipes.insert(slot.name.clone(), recipe),
                None => _ = plan.needed.insert(slot.name.clone(), None),
            }
        }
        plan
    }

    fn recipe(&mut self, rule: &Rule, last: &str, slot: &Slot) -> Option<Recipe> {
        let rows = slot.shape.first().copied();
        let name = |layer: &String| format!("{layer}.{last}");
        match (&rule.form, rule.theirs.as_slice()) {
            (Form::Same, [layer]) => Some(self.same(name(layer), slot)),
            (Form::Rows(order), [layer])
                if rows == Some(order.len()) && order.iter().all(|&row| row < order.len()) =>
            {
                self.need(name(layer), slot.shape.clone());
                Some(Recipe::Rows(name(layer), order.clone()))
            }
            (Form::Stacked, layers) => {
                let mut shape = slot.shape.clone();
                *shape.first_mut()? /= layers.len().max(1);
                let names: Vec<_> = layers.iter().map(name).collect();
                for name in &names {
                    self.need(name.clone(), shape.clone());
                }
                Some(Recipe::Stacked(names))
            }
            (Form::Negated, [layer]) => {
                self.need(name(layer), slot.shape.clone());
                Some(Recipe::Negated(name(layer)))
            }
            (Form::Extended, [layer]) => {
                let mut shape = slot.shape.clone();
                let rows = shape.first_mut()?;
                *rows = rows.checked_sub(1)?;
                self.need(name(layer), shape);
                Some(Recipe::Extended(name(layer)))
            }
            (Form::Folded(fold), [convolution, norm]) => {
                self.folded(fold, convolution, norm, last, slot)
            }
            _ => None,
        }
    }

    fn same(&mut self, name: String, slot: &Slot) -> Recipe {
        self.need(name.clone(), slot.shape.clone());
        Recipe::Same(name)
    }

    fn folded(
        &mut self,
        fold: &Fold,
        convolution: &str,
        norm: &str,
        last: &str,
        slot: &Slot,
    ) -> Option<Recipe> {
        let rows = vec![*slot.shape.first()?];
        for word in ["weight", "running_var", "bias", "running_mean"] {
            self.need(format!("{norm}.{word}"), rows.clone());
        }
        let norm = Norm {
            name: norm.to_owned(),
            fold: *fold,
        };
        match last {
            "weight" => {
                let convolution = format!("{convolution}.weight");
                self.need(convolution.clone(), slot.shape.clone());
                Some(Recipe::FoldedWeight { convolution, norm })
            }
            "bias" => {
                let convolution = fold.bias.then(|| format!("{convolution}.bias"));
                if let Some(bias) = &convolution {
                    self.need(bias.clone(), rows);
                }
                Some(Recipe::FoldedBias { convolution, norm })
            }
            _ => None,
        }
    }

    fn need(&mut self, name: String, shape: Vec<usize>) {
        self.needed.insert(name, Some(shape));
    }

    /// What does not fit between the plan and the tensors behind `prefix`, in the names of the file.
    pub(super) fn compare(&self, checkpoint: &Checkpoint, prefix: &str) -> Differences {
        let mut found = Differences::default();
        for (name, shape) in &self.needed {
            let name = format!("{prefix}{name}");
            match (checkpoint.tensors.get(&name), shape) {
                (Some(entry), Some(shape))
                    if entry.dtype.is_float() && trimmed(&entry.shape) == trimmed(shape) => {}
                (Some(entry), Some(shape)) => found.mismatched.push(Mismatch {
                    name,
                    expected: shape.clone(),
                    found: entry.shape.clone(),
                    dtype: entry.dtype,
                }),
                _ => found.missing.push(name),
            }
        }
        for (name, _) in within(&checkpoint.tensors, prefix) {
            let theirs = &name[prefix.len()..];
            let last = theirs.rsplit('.').next();
            let is_unused = |unused: &String| theirs == unused || last == Some(unused);
            if !self.needed.contains_key(theirs) && !self.unused.iter().any(is_unused) {
                found.unexpected.push(name.clone());
            }
        }
        found
    }

    /// The values of one of our weights, from the tensors behind `prefix`.
    ///
    /// # Panics
    /// If [`compare`](Self::compare) finds a difference, or there is no such weight.
    pub(super) fn values(
        &self,
        checkpoint: &Checkpoint,
        prefix: &str,
        slot: &Slot,
    ) -> Result<Vec<f32>, ModelError> {
        let read = |name: &str| checkpoint.read(&format!("{prefix}{name}"));
        match &self.recipes[&slot.name] {
            Recipe::Same(name) => read(name),
            Recipe::Rows(name, order) => {
                let values = read(name)?;
                let row = values.len() / order.len().max(1);
                Ok(order
                    .iter()
                    .flat_map(|&index| &values[index * row..(index + 1) * row])
                    .copied()
                    .collect())
            }
            Recipe::Stacked(names) => {
                let mut values = Vec::with_capacity(slot.shape.iter().product());
                for name in names {
                    values.extend(read(name)?);
                }
                Ok(values)
            }
            Recipe::Negated(name) => Ok(read(name)?.into_iter().map(|value| -value).collect()),
            Recipe::Extended(name) => {
                let mut values = read(name)?;
                values.resize(slot.shape.iter().product(), 0.0);
                Ok(values)
            }
            Recipe::FoldedWeight { convolution, norm } => {
                let scale = norm.scale(read)?;
                let mut values = read(convolution)?;
                let row = values.len() / scale.len().max(1);
                for (row, scale) in values.chunks_mut(row.max(1)).zip(scale) {
                    for value in row {
                        *value = (f64::from(*value) * scale) as f32;
                    }
                }
                Ok(values)
            }
            Recipe::FoldedBias { convolution, norm } => {
                let scale = norm.scale(read)?;
                let mean = read(&norm.tensor("running_mean"))?;
                let shift = read(&norm.tensor("bias"))?;
                let bias = match convolution {
                    Some(name) => read(name)?,
                    None => vec![0.0; mean.len()],
                };
                Ok((0..mean.len())
                    .map(|row| {
                        let centred = f64::from(bias[row]) - f64::from(mean[row]);
                        (centred * scale[row] + f64::from(shift[row])) as f32
                    })
                    .collect())
            }
        }
    }
}

impl Norm {
    fn tensor(&self, word: &str) -> String {
        format!("{}.{word}", self.name)
    }

    /// `gamma/d`: see [`Form::Folded`].
    fn scale(
        &self,
        read: impl Fn(&str) -> Result<Vec<f32>, ModelError>,
    ) -> Result<Vec<f64>, ModelError> {
        let unmoved = |values: Vec<f32>| values.into_iter().all(|value| value == 0.0);
        let bias_free = !self.fold.bias
            && unmoved(read(&self.tensor("running_mean"))?)
            && unmoved(read(&self.tensor("bias"))?);
        let epsilon = self.fold.epsilon;
        let deviation = |variance: f32| match bias_free {
            true => f64::from(variance).sqrt() + epsilon,
            false => (f64::from(variance) + epsilon).sqrt(),
        };
        let gamma = read(&self.tensor("weight"))?;
        let variance = read(&self.tensor("running_var"))?;
        Ok(gamma
            .into_iter()
            .zip(variance)
            .map(|(gamma, variance)| f64::from(gamma) / deviation(variance))
            .collect())
    }
}

/// A shape without the axes of length 1 at its end.
fn trimmed(shape: &[usize]) -> &[usize] {
    let ones = shape.iter().rev().take_while(|&&axis| axis == 1).count();
    &shape[..shape.len() - ones]
}

/// Why a checkpoint does not fit a network.
#[derive(Debug, Default)]
pub(super) struct Differences {
    missing: Vec<String>,
    unexpected: Vec<String>,
    mismatched: Vec<Mismatch>,
}

impl Differences {
    pub(super) fn count(&self) -> usize {
        self.missing.len() + self.unexpected.len() + self.mismatched.len()
    }

    pub(super) fn error(self, checkpoint: &Checkpoint) -> ModelError {
        ModelError::Weights {
            path: checkpoint.path().into(),
            missing: self.missing,
            unexpected: self.unexpected,
            mismatched: self.mismatched,
        }
    }
}
