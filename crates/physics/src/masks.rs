//! Which frequencies a magnetic resonance scanner measures: masks `[1, 1, height, width]` of ones (measured) and zeros, zero
//! frequency at `[height / 2, width / 2]`.

use std::f64::consts::PI;

use burn::tensor::{Tensor, TensorCreationOptions, TensorData};

use crate::{
    PhysicsError,
    random::{generator, order},
};

/// Whole columns: all `centre_fraction * width` around zero frequency, the others at random, together `width / acceleration`
/// (both rounded).
///
/// The random columns are phase encodings as in fastMRI (Zbontar et al. 2018, section 4.1, <https://arxiv.org/abs/1811.08839>);
/// here their number is exact, each set of that many equally likely. The choice depends on `seed` alone. `options` is the device, or
/// `(&device, dtype)`.
///
/// # Errors
/// Unless `acceleration` is finite and at least 1 and `centre_fraction` lies in [0, 1], if the centre alone is more than
/// `width / acceleration` columns, or if no column is left.
pub fn cartesian_mask(
    size: [usize; 2],
    acceleration: f64,
    centre_fraction: f64,
    seed: u64,
    options: impl Into<TensorCreationOptions>,
) -> Result<Tensor<4>, PhysicsError> {
    if !(acceleration >= 1.0 && acceleration.is_finite()) {
        return Err(PhysicsError::Acceleration {
            found: acceleration,
        });
    }
    if !(0.0..=1.0).contains(&centre_fraction) {
        return Err(PhysicsError::CentreFraction {
            found: centre_fraction,
        });
    }
    let width = size[1];
    let total = (width as f64 / acceleration).round() as usize;
    let centre = (width as f64 * centre_fraction).round() as usize;
    if centre > total {
        return Err(PhysicsError::CentreTooWide { centre, total });
    }
    let first = (width - centre).div_ceil(2);
    let others = order(width, &mut generator(seed))
        .into_iter()
        .filter(|column| !(first..first + centre).contains(column));
    let mut measured = vec![false; width];
    measured[first..first + centre].fill(true);
    others
        .take(total - centre)
        .for_each(|column| measured[column] = true);
    from_host(size, |_, column| measured[column], options)
}

/// `spokes` straight lines through zero frequency, one pixel wide, at equal angles over half a turn from the horizontal.
///
/// `options` is the device, or `(&device, dtype)`.
///
/// # Errors
/// If there is no spoke, or `size` holds no pixel.
pub fn radial_mask(
    size: [usize; 2],
    spokes: usize,
    options: impl Into<TensorCreationOptions>,
) -> Result<Tensor<4>, PhysicsError> {
    if spokes == 0 {
        return Err(PhysicsError::NoSpokes);
    }
    let slopes: Vec<(f64, f64)> = (0..spokes)
        .map(|spoke| (PI * spoke as f64 / spokes as f64).sin_cos())
        .collect();
    let measured = |row: usize, column: usize| {
        let down = row as f64 - (size[0] / 2) as f64;
        let aside = column as f64 - (size[1] / 2) as f64;
        // One pixel for each step along the axis that the spoke runs along: connected, and never two beside each other.
        slopes.iter().any(|&(sin, cos)| {
            if cos.abs() >= sin.abs() {
                (aside * sin / cos).round() == down
            } else {
                (down * cos / sin).round() == aside
            }
        })
    };
    from_host(size, measured, options)
}

fn from_host(
    size @ [height, width]: [usize; 2],
    measured: impl Fn(usize, usize) -> bool,
    options: impl Into<TensorCreationOptions>,
) -> Result<Tensor<4>, PhysicsError> {
    let values: Vec<f64> = (0..height * width)
        .map(|index| f64::from(measured(index / width, index % width)))
        .collect();
    let mask = [1, 1, height, width];
    if size.contains(&0) || !values.contains(&1.0) {
        return Err(PhysicsError::NothingObserved { mask });
    }
    Ok(Tensor::from_data(TensorData::new(values, mask), options))
}
