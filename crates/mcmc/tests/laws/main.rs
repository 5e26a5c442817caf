//! Kernels have the law they promise, and diagnostics and resumed runs are what they should be.

#[cfg(test)]
mod support;
#[cfg(test)]
mod ula;
