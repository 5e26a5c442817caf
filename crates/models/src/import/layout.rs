//! Which tensors of another program's checkpoint make which tensor of a network, as data.

use std::collections::BTreeMap;

/// Names and shapes of the tensors of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inventory(pub(crate) BTreeMap<String, Vec<usize>>);

impl Inventory {
    /// The shape of the tensor of this name.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// Whether there is a tensor of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The length of axis `axis` of the tensor of this name.
    pub(crate) fn length(&self, name: &str, axis: usize) -> Option<usize> {
        self.shape(name)?.get(axis).copied()
    }

    /// How many layers stand in a row: the first `n` for which `name(n)` is no tensor.
    pub(crate) fn count(&self, name: impl Fn(usize) -> String) -> usize {
        (0..)
            .find(|&index| !self.has(&name(index)))
            .expect("a file ends")
    }
}

/// How the tensors of one of our layers come from those of theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As they are; axes of length 1 may be added or missing at the end of the shape.
    Same,
    /// Their rows (entries along axis 0) in another order: our row `i` is their row `order[i]`.
    Rows(Vec<usize>),
    /// Several of their layers one after another along axis 0.
    Stacked,
    /// Their values with the other sign.
    Negated,
    /// Their rows and, after them, one of zeros.
    Extended,
    /// A convolution and the batch normalisation after it, made one convolution with the statistics of the training:
    /// `w gamma/d` and `(b - mean) gamma/d + beta`, where `d = sqrt(var + epsilon)`.
    ///
    /// Where there is no `b`, and `mean` and `beta` are zero throughout, the normalisation is the bias-free one (Mohan et al. 2020,
    /// <https://arxiv.org/abs/1906.05478>), which leaves them so, and whose `d` is `sqrt(var) + epsilon`.
    Folded(Fold),
}

/// What there is to fold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fold {
    /// Whether their convolution has a bias.
    pub(crate) bias: bool,
    /// Added to the variance.
    pub(crate) epsilon: f64,
}

impl Eq for Fold {}

/// One of our layers, and the layers of theirs that it is made from.
///
/// A layer is named by the path of its module: `down.0.halve` has the tensor `down.0.halve.weight`. A tensor `weight` of ours
/// comes from the tensors `weight` of theirs, and so on for any last word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) ours: String,
    pub(crate) theirs: Vec<String>,
    pub(crate) form: Form,
}

/// The names of one family of published checkpoints of a network of one shape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) rules: Vec<Rule>,
    /// Tensors that stand in their files and are not needed, by their last word or by their whole name.
    pub(crate) unused: Vec<String>,
}

impl Layout {
    /// Our layer is theirs.
    pub(crate) fn layer(self, ours: impl Into<String>, theirs: impl Into<String>) -> Self {
        self.rule(ours, vec![theirs.into()], Form::Same)
    }

    /// Our row `i` is their row `order[i]`.
    pub(crate) fn rows(
        self,
        ours: impl Into<String>,
        theirs: impl Into<String>,
        order: Vec<usize>,
    ) -> Self {
        self.rule(ours, vec![theirs.into()], Form::Rows(order))
    }

    /// Our layer is several of theirs along axis 0.
    pub(crate) fn stacked(self, ours: impl Into<String>, theirs: Vec<String>) -> Self {
        self.rule(ours, theirs, Form::Stacked)
    }

    /// Our layer is theirs with the other sign.
    pub(crate) fn negated(self, ours: impl Into<String>, theirs: impl Into<String>) -> Self {
        self.rule(ours, vec![theirs.into()], Form::Negated)
    }

    /// Our layer is theirs with one more row, of zeros.
    pub(crate) fn extended(self, ours: impl Into<String>, theirs: impl Into<String>) -> Self {
        self.rule(ours, vec![theirs.into()], Form::Extended)
    }

    /// Our convolution is theirs and the batch normalisation after it.
    pub(crate) fn folded(
        self,
        ours: impl Into<String>,
        convolution: impl Into<String>,
        norm: impl Into<String>,
        fold: Fold,
    ) -> Self {
        self.rule(
            ours,
            vec![convolution.into(), norm.into()],
            Form::Folded(fold),
        )
    }

    /// A tensor that is not needed, by its whole name or by its last word.
    pub(crate) fn without(mut self, name: impl Into<String>) -> Self {
        self.unused.push(name.into());
        self
    }

    fn rule(mut self, ours: impl Into<String>, theirs: Vec<String>, form: Form) -> Self {
        self.rules.push(Rule {
            ours: ours.into(),
            theirs,
            form,
        });
        self
    }
}
