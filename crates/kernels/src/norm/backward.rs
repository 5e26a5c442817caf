//! The gradients.

use rayon::prelude::*;

use super::{Affine, GroupNorm, PIECE, STATISTICS};
use crate::Level;
use crate::elementwise::silu_slope;
use crate::shared::Shared;
use crate::simd::{Simd, Task};

/// The gradients of a function with gradient `dy` with respect to `y`: those with respect to `scale` and `shift`, each as long as
/// they are, and in the memory of `dy` that with respect to `x`. The arguments are those of [`forward`](super::forward), and the
/// statistics that it returned.
///
/// # Panics
/// If the groups do not divide the channels, or a length is not that of the sizes.
pub fn backward_in_place(
    level: Level,
    norm: &GroupNorm,
    x: &[f32],
    statistics: &[f32],
    scale: &[f32],
    shift: &[f32],
    dy: &mut [f32],
) -> [Vec<f32>; 2] {
    let affine = Affine { scale, shift };
    norm.check(x, affine);
    assert_eq!(dy.len(), x.len(), "numbers of dy");
    let groups = norm.batch * norm.groups;
    assert_eq!(
        statistics.len(),
        groups * STATISTICS,
        "numbers of the statistics"
    );
    let mut sums = vec![Sums::default(); norm.batch * norm.channels];
    let dy = Shared::new(dy);
    let group = |(group, sums): (usize, &mut [Sums])| {
        let (first, len) = (group * norm.group_len(), norm.group_len());
        // SAFETY: each group is within `dy`, and has its part of it alone.
        let dy = unsafe { dy.at(first) };
        level.run(Group {
            norm,
            affine,
            group,
            statistics: &statistics[group * STATISTICS..][..STATISTICS],
            x: x[first..][..len].as_ptr(),
            dy,
            sums,
        });
    };
    if norm.len() < 2 * PIECE {
        sums.chunks_exact_mut(norm.members())
            .enumerate()
            .for_each(group);
    } else {
        let all = sums.par_chunks_exact_mut(norm.members()).enumerate();
        all.with_min_len(norm.groups_of_piece()).for_each(group);
    }
    [
        over_images(&sums, scale.len(), |sums| sums.product),
        over_images(&sums, shift.len(), |sums| sums.gradient),
    ]
}

/// Sums over the pixels of a channel.
#[derive(Clone, Copy, Default)]
struct Sums {
    /// Of `g`.
    gradient: f64,
    /// Of `g x^`.
    product: f64,
}

/// One sum of all channels, added up over the images where there are `len` numbers for all of them.
fn over_images(sums: &[Sums], len: usize, of: fn(&Sums) -> f64) -> Vec<f32> {
    let mut totals = vec![0.0; len];
    for (plane, sums) in sums.iter().enumerate() {
        totals[plane % len] += of(sums);
    }
    totals.into_iter().map(|total| total as f32).collect()
}

/// One group of one image.
struct Group<'a> {
    norm: &'a GroupNorm,
    affine: Affine<'a>,
    /// Counted through all images.
    group: usize,
    statistics: &'a [f32],
    x: *const f32,
    /// Becomes `g`, and then `dx`.
    dy: *mut f32,
    sums: &'a mut [Sums],
}

impl Task for Group<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self {
            norm,
            affine,
            group,
            statistics,
            x,
            dy,
            sums,
        } = self;
        let centre = statistics[0];
        let [mean_rest, r] = [statistics[1], statistics[2]].map(f64::from);
        let rest = -r * mean_rest;
        let affine = |member| affine.of(group * norm.members() + member);
        // SAFETY: of a task; `Group` is made with pointers to a whole group.
        unsafe {
            let mut mean_gradient = 0.0;
            let mut mean_product = 0.0;
            for (member, sums) in sums.iter_mut().enumerate() {
                let (first, [scale, shift]) = (member * norm.pixels, affine(member));
                let (x, dy) = (x.add(first), dy.add(first));
                let normal = Normal {
                    centre,
                    r: r as f32,
                    rest: rest as f32,
                    scale: scale as f32,
                    shift: shift as f32,
                };
                *sums = if norm.silu {
                    normal.sums::<S, true>(x, dy, norm.pixels)
                } else {
                    normal.sums::<S, false>(x, dy, norm.pixels)
                };
                mean_gradient += scale * sums.gradient;
                mean_product += scale * sums.product;
            }
            mean_gradient /= norm.group_len() as f64;
            mean_product /= norm.group_len() as f64;
            for member in 0..norm.members() {
                let (first, [scale, _]) = (member * norm.pixels, affine(member));
                let plane = Plane {
                    centre,
                    of_gradient: (r * scale) as f32,
                    of_centred: (-r * r * mean_product) as f32,
                    constant: (-r * (mean_gradient + mean_product * rest)) as f32,
                };
                plane.write::<S>(x.add(first), dy.add(first), norm.pixels);
            }
        }
    }
}

/// `x^ = r (x - centre) + rest` and `w = scale x^ + shift`.
#[derive(Clone, Copy)]
struct Normal {
    centre: f32,
    r: f32,
    rest: f32,
    scale: f32,
    shift: f32,
}

/// Numbers whose sums are taken in `f32`.
const BLOCK: usize = 1024;

impl Normal {
    /// The sums of a channel; with a SiLU `g` is put in the place of `dy`.
    ///
    /// # Safety
    /// The machine has the instructions of `S`; the pointers are to `len` numbers, those of `dy` nobody else's.
    #[inline(always)]
    unsafe fn sums<S: Simd, const SILU: bool>(
        self,
        x: *const f32,
        dy: *mut f32,
        len: usize,
    ) -> Sums {
        let mut total = Sums::default();
        for first in (0..len).step_by(BLOCK) {
            let end = len.min(first + BLOCK);
            let whole = end - (end - first) % S::LANES;
            // SAFETY: as this method.
            unsafe {
                let mut sums = [S::zero(); 2];
                let centre = S::splat(self.centre);
                for i in (first..whole).step_by(S::LANES) {
                    let centred = S::sub(S::load(x.add(i)), centre);
                    let (normal, gradient) = self.at::<S, SILU>(centred, S::load(dy.add(i)));
                    if SILU {
                        S::store(dy.add(i), gradient);
                    }
                    sums[0] = S::add(sums[0], gradient);
                    sums[1] = S::fma(gradient, normal, sums[1]);
                }
                let left = end - whole;
                if left > 0 {
                    // Past the end the gradient is zero.
                    let centre = S::splat_first(self.centre, left);
                    let centred = S::sub(S::load_first(x.add(whole), left), centre);
                    let dy_left = S::load_first(dy.add(whole), left);
                    let (normal, gradient) = self.at::<S, SILU>(centred, dy_left);
                    if SILU {
                        S::store_first(dy.add(whole), left, gradient);
                    }
                    sums[0] = S::add(sums[0], gradient);
                    sums[1] = S::fma(gradient, normal, sums[1]);
                }
                total.gradient += f64::from(S::sum(sums[0]));
                total.product += f64::from(S::sum(sums[1]));
            }
        }
        total
    }

    /// `x^` and `g`, of `x - centre` and `dy`.
    ///
    /// # Safety
    /// The machine has the instructions of `S`.
    #[inline(always)]
    unsafe fn at<S: Simd, const SILU: bool>(self, centred: S::V, dy: S::V) -> (S::V, S::V) {
        // SAFETY: as this method.
        unsafe {
            let normal = S::fma(centred, S::splat(self.r), S::splat(self.rest));
            if SILU {
                let w = S::fma(normal, S::splat(self.scale), S::splat(self.shift));
                (normal, S::mul(dy, silu_slope::<S>(w)))
            } else {
                (normal, dy)
            }
        }
    }
}

/// `dx = of_gradient g + of_centred (x - centre) + constant`.
#[derive(Clone, Copy)]
struct Plane {
    centre: f32,
    of_gradient: f32,
    of_centred: f32,
    constant: f32,
}

impl Plane {
    /// Puts `dx` in the place of `g`.
    ///
    /// # Safety
    /// The machine has the instructions of `S`; the pointers are to `len` numbers, those of `g` nobody else's.
    #[inline(always)]
    unsafe fn write<S: Simd>(self, x: *const f32, g: *mut f32, len: usize) {
        let whole = len - len % S::LANES;
        // SAFETY: as this method.
        unsafe {
            for i in (0..whole).step_by(S::LANES) {
                let dx = self.of::<S>(S::load(x.add(i)), S::load(g.add(i)));
                S::store(g.add(i), dx);
            }
            let left = len - whole;
            if left > 0 {
                let x = S::load_first(x.add(whole), left);
                let dx = self.of::<S>(x, S::load_first(g.add(whole), left));
                S::store_first(g.add(whole), left, dx);
            }
        }
    }

    /// # Safety
    /// The machine has the instructions of `S`.
    #[inline(always)]
    unsafe fn of<S: Simd>(self, x: S::V, g: S::V) -> S::V {
        // SAFETY: as this method.
        unsafe {
            let centred = S::sub(x, S::splat(self.centre));
            let of_x = S::fma(centred, S::splat(self.of_centred), S::splat(self.constant));
            S::fma(g, S::splat(self.of_gradient), of_x)
        }
    }
}
