//! Updates of parameters, each in one pass over memory: Adam with decoupled weight decay, and the moving average of weights.
//!
//! `m <- b1 m + (1 - b1) g`, `v <- b2 v + (1 - b2) g^2`, `w <- (1 - r d) w - r m^ / (sqrt(v^) + epsilon)`, with
//! `m^ = m / (1 - b1^t)` and `v^ = v / (1 - b2^t)`.
//!
//! Kingma & Ba 2015, algorithm 1, <https://arxiv.org/abs/1412.6980>, for `d = 0`; Loshchilov & Hutter 2019, algorithm 2,
//! <https://arxiv.org/abs/1711.05101>. Powers and bias corrections are evaluated in `f32`, as by burn, so that a run may change
//! between its optimiser and this one.

use crate::Level;
use crate::elementwise::{Function, in_pieces, update};
use crate::shared::Shared;
use crate::simd::{Simd, Task};

/// Settings of Adam.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Step size `r`.
    pub learning_rate: f64,
    /// Decay `b1` of the first moment, in [0, 1).
    pub beta_1: f32,
    /// Decay `b2` of the second moment, in [0, 1).
    pub beta_2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Weight decay `d`; 0 for none.
    pub weight_decay: f32,
}

/// Step `time`, counted from 1, of Adam: updates a parameter and its moments, which start as zeros.
///
/// # Panics
/// If the lengths differ, or `time` is 0.
pub fn adam(
    level: Level,
    settings: &Adam,
    time: usize,
    parameter: &mut [f32],
    moment_1: &mut [f32],
    moment_2: &mut [f32],
    gradient: &[f32],
) {
    let len = parameter.len();
    for found in [moment_1.len(), moment_2.len(), gradient.len()] {
        assert_eq!(
            found, len,
            "lengths of a parameter, its moments and its gradient"
        );
    }
    let factors = Factors::at(settings, time);
    let [w, m, v] = [parameter, moment_1, moment_2].map(Shared::new);
    in_pieces(len, |(start, len)| {
        let gradient = &gradient[start..][..len];
        // SAFETY: all lengths are the same, and no other piece has this part of the slices.
        level.run(unsafe {
            Step {
                factors,
                w: w.at(start),
                m: m.at(start),
                v: v.at(start),
                gradient,
            }
        });
    });
}

/// `average <- decay average + (1 - decay) weights`.
///
/// # Panics
/// If the lengths differ.
pub fn average(level: Level, decay: f64, average: &mut [f32], weights: &[f32]) {
    let blend = Blend {
        keep: decay as f32,
        take: (1.0 - decay) as f32,
    };
    update(level, blend, average, [weights]);
}

/// `keep a + take b`.
#[derive(Clone, Copy)]
struct Blend {
    keep: f32,
    take: f32,
}

impl Function<1> for Blend {
    #[inline(always)]
    unsafe fn of<S: Simd>(self, a: S::V, [b]: [S::V; 1]) -> S::V {
        // SAFETY: as this method.
        unsafe { S::fma(S::splat(self.take), b, S::mul(S::splat(self.keep), a)) }
    }
}

/// What a step multiplies by, the same for all parameters.
#[derive(Clone, Copy)]
struct Factors {
    /// Of the parameter.
    keep: f32,
    beta: [f32; 2],
    /// `1 - beta`.
    rest: [f32; 2],
    /// With both bias corrections.
    rate: f32,
    epsilon: f32,
}

impl Factors {
    fn at(settings: &Adam, time: usize) -> Self {
        let time = i32::try_from(time).unwrap_or(i32::MAX);
        assert!(time > 0, "step 0 of Adam: steps are counted from 1");
        let beta = [settings.beta_1, settings.beta_2];
        let [first, second] = beta.map(|beta| 1.0 - beta.powi(time));
        let root = second.sqrt();
        Self {
            keep: (1.0 - settings.learning_rate * f64::from(settings.weight_decay)) as f32,
            beta,
            rest: beta.map(|beta| 1.0 - beta),
            rate: (settings.learning_rate * f64::from(root / first)) as f32,
            epsilon: settings.epsilon * root,
        }
    }
}

/// A step of `gradient.len()` parameters.
struct Step<'a> {
    factors: Factors,
    w: *mut f32,
    m: *mut f32,
    v: *mut f32,
    gradient: &'a [f32],
}

impl Task for Step<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self {
            factors,
            w,
            m,
            v,
            gradient,
        } = self;
        let whole = gradient.len() - gradient.len() % S::LANES;
        // SAFETY: of a task; `Step` is made with pointers to as many numbers as the gradient has.
        unsafe {
            for i in (0..whole).step_by(S::LANES) {
                let old = [w, m, v].map(|from| S::load(from.add(i)));
                let new = factors.step::<S>(old, S::load(gradient.as_ptr().add(i)));
                for (to, x) in [w, m, v].into_iter().zip(new) {
                    S::store(to.add(i), x);
                }
            }
            let left = gradient.len() - whole;
            if left > 0 {
                let old = [w, m, v].map(|from| S::load_first(from.add(whole), left));
                let g = S::load_first(gradient.as_ptr().add(whole), left);
                let new = factors.step::<S>(old, g);
                for (to, x) in [w, m, v].into_iter().zip(new) {
                    S::store_first(to.add(whole), left, x);
                }
            }
        }
    }
}

impl Factors {
    /// The new parameter and moments.
    ///
    /// # Safety
    /// The machine has the instructions of `S`.
    #[inline(always)]
    unsafe fn step<S: Simd>(self, [w, m, v]: [S::V; 3], g: S::V) -> [S::V; 3] {
        // SAFETY: as this method.
        unsafe {
            let m = S::fma(S::splat(self.beta[0]), m, S::mul(S::splat(self.rest[0]), g));
            let square = S::mul(S::splat(self.rest[1]), S::mul(g, g));
            let v = S::fma(S::splat(self.beta[1]), v, square);
            let root = S::add(S::sqrt(v), S::splat(self.epsilon));
            let step = S::div(S::mul(S::splat(self.rate), m), root);
            [S::sub(S::mul(S::splat(self.keep), w), step), m, v]
        }
    }
}
