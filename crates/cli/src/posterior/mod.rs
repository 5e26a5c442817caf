//! Every method of posterior sampling, by its name.

mod name;
mod recipe;

pub(crate) use name::{MethodName, name_of};
pub(crate) use recipe::Recipe;
