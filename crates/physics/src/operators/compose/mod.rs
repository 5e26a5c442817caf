//! Operators made of operators.

mod margins;
mod product;
mod scaled;
mod stack;
mod sum;

pub use margins::{Crop, Margins, ZeroPad};
pub use product::Product;
pub use scaled::Scaled;
pub use stack::Stack;
pub use sum::Sum;
