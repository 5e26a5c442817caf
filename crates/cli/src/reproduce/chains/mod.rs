//! Experiments with Markov chains: how fast they are, and how far from an exact posterior.

pub(super) mod deblur;
pub(super) mod sk_rock;
pub(super) mod toy;
