//! UniPC: a multistep predictor for the denoised image, corrected by the evaluation that the next step makes anyway.
//!
//! `u_s = r u_t + (1 - r) D_t + B sum_m (a_m/r_m) (D_m - D_t)`, `B = 1 - e^-h`, `r_m = (lambda_m - lambda_t)/h`,
//! `u = x/s`
//!
//! Zhao et al. 2023, algorithms 1 and 2 in the form with data prediction of the appendix,
//! <https://arxiv.org/abs/2302.04867>; `lambda = -ln sigma`, `h = lambda_s - lambda_t`, `r = e^-h`. The predictor
//! (UniP-p) takes the last `p` values of `D`, the corrector (UniC-p) the predicted point's beside them. The `a_m` make
//! the sum exact for polynomials in `lambda`; `B` matters where there is one difference only, whose `a` is 1/2, and is
//! the paper's second choice ("bh2"). One evaluation a step: `D` at the predicted point corrects that point and serves
//! the next step as it is.
//!
//! Theorem 3.1 of the paper and its corollary: order `p + 1`, one more than the predictor's. The last step is not
//! corrected, for that would take one more evaluation: it adds one error of `O(h^(p+1))`, which leaves the order as it
//! is. The first steps have the orders that their memory allows. At `p = 3` the first of them adds an error of
//! `O(h^3)`, whose constant falls as the noise at the start rises above the data: on a prior of the points -1 and 1, up
//! to 1024 steps, order 4 is seen from `sigma = 20` and order 3 from `sigma = 1.2`.
//!
//! Exact at any step size for a point mass. A step that ends without noise returns the denoised image of the predicted
//! point. The stochasticity of the process is not used.
//!
//! For runs of 5 to 10 evaluations, the paper's aim: `p = 2` for guided priors, `p = 3` for unguided ones.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Schedule, Span, combine};
use tweedie_sde::Diffusion;

use crate::{
    SolveError, Solver, error::require, history::History, lagrange::weights, levels::Levels,
};

/// The UniPC method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UniPc {
    order: usize,
}

impl UniPc {
    /// `order` is `p`, from 1 to 3: that of the predictor, and the number of denoised images that it uses.
    ///
    /// # Errors
    /// Unless `order` is 1, 2 or 3.
    pub fn new(order: usize) -> Result<Self, SolveError> {
        let valid = (1..=3).contains(&order);
        require("order", order as f64, valid, "1, 2 or 3")?;
        Ok(Self { order })
    }
}

/// What UniPC keeps between the steps of one run.
#[derive(Clone, Debug)]
pub struct UniPcMemory<const D: usize> {
    /// Denoised images over `lambda`.
    clean: History<D>,
    /// The last step: where it went, and its start.
    last: Option<(Span, Tensor<D>)>,
}

impl<const D: usize> Default for UniPcMemory<D> {
    fn default() -> Self {
        Self {
            clean: History::default(),
            last: None,
        }
    }
}

impl<P: Diffusion<D> + ?Sized, const D: usize> Solver<P, D> for UniPc {
    type Memory = UniPcMemory<D>;

    fn step(
        &self,
        process: &P,
        memory: &mut Self::Memory,
        x: Tensor<D>,
        span: Span,
        _: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let levels = Levels::of(process.schedule(), span);
        let clean = process.denoised(x.clone(), span.from);
        if levels.sigma_to == 0.0 {
            return levels.held(x, clean);
        }
        let x = match memory.last.take() {
            Some((span, start)) => correct(
                process.schedule(),
                &memory.clean,
                span,
                start,
                clean.clone(),
            ),
            None => x,
        };
        let lambda = -levels.sigma_from.ln();
        memory.clean.push(lambda, clean, self.order);
        memory.last = Some((span, x.clone()));

        let nodes = memory.clean.nodes(lambda, levels.h());
        let kept = levels.s_to * levels.ratio() / levels.s_from;
        memory
            .clean
            .add_to((kept, x), levels.s_to, &integral(&nodes, levels.h()))
    }
}

/// The end of the step over `span`, with the denoised image found there among the nodes.
fn correct<const D: usize>(
    schedule: &dyn Schedule,
    past: &History<D>,
    span: Span,
    start: Tensor<D>,
    clean: Tensor<D>,
) -> Tensor<D> {
    let levels = Levels::of(schedule, span);
    let mut nodes = past.nodes(-levels.sigma_from.ln(), levels.h());
    nodes.push(1.0);
    let weights = integral(&nodes, levels.h());
    let kept = levels.s_to * levels.ratio() / levels.s_from;
    let predicted = past.add_to((kept, start), levels.s_to, &weights);
    combine([(1.0, predicted), (levels.s_to * weights[past.len()], clean)])
}

/// Weights of the denoised images at `nodes`, the first of which is 0, in a step of length `h`: those of
/// `int_0^1 e^(-h (1 - c)) Q(c) h dc` for the polynomial `Q` through them.
fn integral(nodes: &[f64], h: f64) -> Vec<f64> {
    let constant = -(-h).exp_m1();
    if let [_, other] = nodes {
        let ahead = 0.5 * constant / other;
        return vec![constant - ahead, ahead];
    }
    // By parts. Each moment loses digits to the one before, a power of h of them: as many as the differences of D that
    // it multiplies are small.
    let mut moments = vec![constant];
    for power in 1..nodes.len() {
        moments.push(1.0 - power as f64 / h * moments[power - 1]);
    }
    weights(nodes, &moments)
}
