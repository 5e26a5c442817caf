//! Every method of posterior sampling, by its name.

mod name;
mod recipe;

pub(crate) use name::MethodName;
pub(crate) use recipe::Recipe;
