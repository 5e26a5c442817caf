//! Everything that the kernels must satisfy.

#[cfg(test)]
mod adam;
#[cfg(test)]
mod attention;
#[cfg(test)]
mod direct;
#[cfg(test)]
mod elementwise;
#[cfg(test)]
mod extremes;
#[cfg(test)]
mod half;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod modules;
#[cfg(test)]
mod norm;
#[cfg(test)]
mod numbers;
#[cfg(test)]
mod optim;
#[cfg(test)]
mod packed;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod updates;
#[cfg(test)]
mod winograd;
