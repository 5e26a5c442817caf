//! Tests of images, files and datasets.

#[cfg(test)]
mod cifar10;
#[cfg(test)]
mod example;
#[cfg(test)]
mod files;
#[cfg(test)]
mod folder;
#[cfg(test)]
mod idx;
#[cfg(test)]
mod image;
#[cfg(test)]
mod lesions;
#[cfg(test)]
mod loader;
#[cfg(test)]
mod phantoms;
#[cfg(test)]
mod pictures;
#[cfg(test)]
mod samples;
