//! Small networks trained by each objective, beside the exact score of the prior.
//!
//! The relative Fisher divergence `E|s - s*|^2 / E|s*|^2` is measured at five of the noise levels that a network was trained at,
//! and the greatest one counts. The bound on it is 5 %, what is left of the network's and the optimiser's error; networks
//! trained on the wrong sign or weight are far from it. `--nocapture` shows the figures.

use burn::{
    module::{Module, Param},
    nn::Linear,
    optim::{GradientsParams, ModuleOptimizer},
    tensor::Tensor,
};
use tweedie_core::{
    AnalyticPrior, Backbone, Conditioning, GaussianMixture, GaussianPrior, Given, NoiseLabel,
    Parametrisation, Preconditioned, Rng, ScheduleConfig, Score,
};
use tweedie_kernels::{AdamW, silu};
use tweedie_testkit::{device, values};
use tweedie_training::{
    Distance, Level, LevelDistribution, Levels, LevelsConfig, Objective, ObjectiveConfig,
    Prediction, Weighting,
};

const WIDTH: usize = 64;
/// The greatest learning rate.
const RATE: f64 = 0.08;
/// Rows on which the divergence at a level is measured.
const MEASURED: usize = 2048;
const BOUND: f64 = 0.05;
/// The least noise level measured, of the order of the standard deviations of the data. Below it nothing is claimed.
///
/// Data of variance `v` have `E|s*|^2/d = 1/(v + sigma^2)`. An error `e` of the predicted noise is `e/sigma` of the score, so the
/// divergence is `e^2 (v + sigma^2)/sigma^2`; for an error `e` of the predicted image it is `e^2 (v + sigma^2)/sigma^4`. And `e` does
/// not fall with `sigma`: of the energy of a sample's noise only the share `sigma^2/(v + sigma^2)` can be predicted, and the
/// rest is noise of the gradient. So what a given number of steps leaves of the divergence grows without bound as `sigma` falls.
const LEAST: f64 = 0.35;

/// `F = g(c) * x + MLP(x, c)`, `c` made of the noise label, mapped to [-1, 1], which scales the first layer too.
#[derive(Module, Debug)]
struct Small {
    gain: Linear,
    first: Linear,
    scale: Linear,
    second: Linear,
    last: Linear,
    centre: f64,
    half_width: f64,
}

const FEATURES: usize = 6;

impl Small {
    /// `rng` draws on an autodiff device.
    fn new(dimension: usize, [low, high]: [f64; 2], rng: &Rng) -> Self {
        let linear = |purpose, from: usize, to: usize| {
            let weight = rng.fork(purpose).normal([from, to]) / (from as f64).sqrt();
            let bias = Tensor::zeros([to], rng.device());
            Linear {
                weight: Param::from_tensor(weight),
                bias: Some(Param::from_tensor(bias)),
            }
        };
        Self {
            gain: linear(0, FEATURES, dimension),
            first: linear(1, dimension + FEATURES, WIDTH),
            second: linear(2, WIDTH, WIDTH),
            last: linear(3, WIDTH, dimension),
            scale: linear(4, FEATURES, WIDTH),
            centre: 0.5 * (low + high),
            half_width: (0.5 * (high - low)).max(1e-3),
        }
    }
}

impl Backbone<2> for Small {
    fn forward(&self, x: Tensor<2>, conditioning: Conditioning<2>) -> Tensor<2> {
        let label = conditioning.noise.reshape([-1, 1]);
        let place: Tensor<2> = (label - self.centre) / self.half_width;
        let wave = |turns: f64| place.clone() * (std::f64::consts::PI * turns);
        let features = Tensor::cat(
            vec![
                place.clone(),
                place.clone() * place.clone(),
                wave(0.5).cos(),
                wave(1.0).sin(),
                wave(1.0).cos(),
                wave(2.0).sin(),
            ],
            1,
        );
        let hidden = Tensor::cat(vec![x.clone(), features.clone()], 1);
        let hidden = self.first.forward(hidden);
        let hidden = silu(self.scale.forward(features.clone()) * hidden.clone() + hidden);
        let hidden = silu(self.second.forward(hidden));
        self.gain.forward(features) * x + self.last.forward(hidden)
    }
}

/// The controls: an objective sees `factor` times what the network predicts.
///
/// The score of noise prediction is `-F/sigma`, so without a target `L(2 s) = 4 L'(s)`, where `L'` has half the trace, and
/// `L(-s)` has the trace with the wrong sign. The optimum is `s*/factor`.
struct Scaled<'a> {
    network: &'a dyn Backbone<2>,
    factor: f64,
}

impl Backbone<2> for Scaled<'_> {
    fn forward(&self, x: Tensor<2>, conditioning: Conditioning<2>) -> Tensor<2> {
        self.network.forward(x, conditioning) * self.factor
    }
}

/// A way to train a network.
struct Row {
    name: &'static str,
    objective: ObjectiveConfig,
    levels: LevelsConfig,
    parametrisation: Parametrisation,
    schedule: ScheduleConfig,
    label: NoiseLabel,
    batch: usize,
    rate: f64,
    /// Whether the objective has the score of a prior for its optimum that is no Gaussian.
    for_all_priors: bool,
}

impl Row {
    /// Simple noise prediction on a table.
    fn ddpm(name: &'static str) -> Self {
        Self {
            name,
            objective: denoising(Weighting::Output, Distance::L2),
            levels: LevelsConfig {
                distribution: LevelDistribution::Uniform,
                stratified: true,
            },
            parametrisation: Parametrisation::Epsilon,
            schedule: ScheduleConfig::Ddpm {
                steps: 50,
                beta_min: 0.02,
                beta_max: 0.1,
            },
            label: NoiseLabel::Step { steps: 50 },
            batch: 256,
            rate: RATE,
            for_all_priors: true,
        }
    }

    /// In continuous time, with noise of 0.2 to 2.
    fn exploding(name: &'static str, distribution: LevelDistribution) -> Self {
        let mut row = Self::ddpm(name).drawn(distribution);
        row.schedule = ScheduleConfig::VarianceExploding {
            sigma_min: 0.2,
            sigma_max: 2.0,
        };
        row.label = NoiseLabel::Time { scale: 1.0 };
        row
    }

    fn predicting(mut self, parametrisation: Parametrisation) -> Self {
        self.parametrisation = parametrisation;
        self
    }

    fn weighted(mut self, weighting: Weighting) -> Self {
        self.objective = denoising(weighting, Distance::L2);
        self
    }

    fn drawn(mut self, distribution: LevelDistribution) -> Self {
        self.levels.distribution = distribution;
        self
    }

    /// Without a target: the gradients have more noise, so the steps are shorter.
    ///
    /// `(v^T s)^2` has the most: on the mixture in 16 dimensions one direction for each row leaves up to 4.8 %, four leave half.
    fn untargeted(mut self, objective: ObjectiveConfig) -> Self {
        self.objective = objective;
        self.rate = 0.4 * RATE;
        self
    }

    /// What a step costs grows with the dimension for some.
    fn of(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    fn is_untargeted(&self) -> bool {
        !matches!(self.objective, ObjectiveConfig::Denoising { .. })
    }

    fn on(mut self, schedule: ScheduleConfig) -> Self {
        self.schedule = schedule;
        self.label = NoiseLabel::Time { scale: 1.0 };
        self
    }

    /// The median is the mean where the posterior is symmetric.
    fn by_size(mut self) -> Self {
        self.objective = denoising(Weighting::Simple, Distance::L1);
        self.for_all_priors = false;
        self
    }

    fn prediction(&self) -> Prediction {
        let schedule = self.schedule.build().unwrap();
        Prediction::new(schedule, self.label, self.parametrisation)
    }

    /// Five levels, evenly over those trained that are not below [`LEAST`].
    fn measured_levels(&self) -> Vec<Level> {
        let even = LevelsConfig {
            stratified: true,
            ..self.levels
        };
        let levels = Levels::new(even, self.prediction()).unwrap();
        let mut drawn = levels.draw(200, &mut Rng::seeded(5, &device()));
        drawn.retain(|level| level.sigma >= LEAST);
        drawn.sort_by(|a, b| a.sigma.total_cmp(&b.sigma));
        let mut five: Vec<Level> = (0..5).map(|i| drawn[i * (drawn.len() - 1) / 4]).collect();
        five.dedup();
        five
    }

    /// Least and greatest noise label of many levels.
    fn labels(&self) -> [f64; 2] {
        let prediction = self.prediction();
        let levels = Levels::new(self.levels, prediction.clone()).unwrap();
        let labels = levels
            .draw(200, &mut Rng::seeded(6, &device()))
            .into_iter()
            .map(|level| prediction.preconditioning.at(level.sigma).noise);
        labels.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], label| {
            [low.min(label), high.max(label)]
        })
    }
}

fn denoising(weighting: Weighting, distance: Distance) -> ObjectiveConfig {
    ObjectiveConfig::Denoising {
        weighting,
        distance,
    }
}

fn sliced(projections: usize, variance_reduction: bool) -> ObjectiveConfig {
    ObjectiveConfig::Sliced {
        projections,
        variance_reduction,
    }
}

/// Every objective.
fn rows() -> Vec<Row> {
    use LevelDistribution::{Importance, LogNormal, LogSigma, LogitNormal, One, Sigma, Uniform};
    use Parametrisation::{Denoised, Edm, Flow, Residual, V, X0};
    let ncsn = LogSigma {
        low: 0.2,
        high: 2.0,
    };
    let range = Sigma {
        low: 0.2,
        high: 1.0,
    };
    let straight = ScheduleConfig::FlowMatching { sigma_max: 9.0 };
    vec![
        Row::ddpm("ddpm simple"),
        Row::ddpm("ddpm elbo, importance")
            .weighted(Weighting::Elbo)
            .drawn(Importance),
        Row::ddpm("p2").weighted(Weighting::P2 { k: 1.0, gamma: 0.5 }),
        Row::ddpm("x0, min-snr")
            .predicting(X0)
            .weighted(Weighting::MinSnr { gamma: 5.0 }),
        Row::ddpm("v").predicting(V),
        Row::exploding(
            "edm",
            LogNormal {
                mean: -0.5,
                std: 0.8,
            },
        )
        .predicting(Edm { sigma_data: 0.7 }),
        Row::exploding("score at one level", One { sigma: 0.4 })
            .predicting(Parametrisation::Score)
            .weighted(Weighting::Simple),
        Row::exploding("ncsn", ncsn)
            .predicting(Parametrisation::Score)
            .weighted(Weighting::Simple),
        Row::ddpm("flow matching")
            .predicting(Flow)
            .on(straight.clone())
            .drawn(Uniform),
        Row::ddpm("flow matching, logit-normal")
            .predicting(Flow)
            .on(straight)
            .drawn(LogitNormal {
                mean: 0.0,
                std: 1.0,
            }),
        Row::exploding("denoiser", range)
            .predicting(Denoised)
            .weighted(Weighting::Simple),
        Row::exploding("residual", range).predicting(Residual),
        Row::exploding("denoiser, l1", range)
            .predicting(Denoised)
            .by_size(),
        Row::exploding("sliced", ncsn).untargeted(sliced(4, false)),
        Row::exploding("sliced-vr", ncsn).untargeted(sliced(1, true)),
        Row::exploding("implicit", ncsn)
            .untargeted(ObjectiveConfig::Implicit {})
            .of(128),
    ]
}

/// Trains a network, of which the objective sees `factor` times the output, and gives its divergence at each of the levels,
/// with their noise.
#[expect(
    clippy::disallowed_methods,
    reason = "training differentiates with respect to weights, not inputs"
)]
fn divergences(
    prior: &dyn AnalyticPrior<2>,
    row: &Row,
    steps: usize,
    factor: f64,
) -> Vec<[f64; 2]> {
    let prediction = row.prediction();
    let objective: Box<dyn Objective<2>> = row.objective.build(prediction.clone()).unwrap();
    let mut levels = Levels::new(row.levels, prediction.clone()).unwrap();
    let root = Rng::seeded(11, &device());
    let dimension = prior.sample(1, &mut root.clone()).dims()[1];
    let weights = Rng::seeded(12, &device().autodiff());
    let mut network = Small::new(dimension, row.labels(), &weights);
    let mut optimiser: ModuleOptimizer = AdamW::new(0.9, 0.99, 1e-8, 0.0).into();
    for step in 0..steps {
        let rng = root.fork(step as u64);
        let drawn = levels.draw(row.batch, &mut rng.fork(1));
        let clean = prior.sample(row.batch, &mut rng.fork(2));
        let seen = Scaled {
            network: &network,
            factor,
        };
        let losses = objective.losses(&seen, clean, Given::nothing(), &drawn, &mut rng.fork(3));
        let weights: Vec<f64> = drawn.iter().map(|level| level.weight).collect();
        let weights = Tensor::<1>::from_data(weights.as_slice(), &device());
        let gradients = (losses.clone() * weights).mean().backward();
        if row.levels.distribution == LevelDistribution::Importance {
            levels.observe(&drawn, &values(&losses.without_autodiff()));
        }
        let gradients = GradientsParams::from_grads(gradients, &network);
        let done = step as f64 / steps as f64;
        let rate = row.rate * (10.0 * done).min(1.0) * (1.0 - done).powi(2);
        network = optimiser.step(rate, network, gradients);
    }
    let trained = Preconditioned {
        backbone: network.valid(),
        preconditioning: prediction.preconditioning,
    };
    let measure = |level: Level| {
        let mut rng = root.fork(u64::MAX);
        let clean = prior.sample(MEASURED, &mut rng);
        let noisy = clean + rng.normal([MEASURED, dimension]) * level.sigma;
        let exact = prior.score(noisy.clone(), level.sigma);
        let error = trained.score(noisy, level.sigma) - exact.clone();
        let size = |score: Tensor<2>| (score.clone() * score).sum().into_scalar::<f64>();
        [level.sigma, size(error) / size(exact)]
    };
    row.measured_levels().into_iter().map(measure).collect()
}

/// `[1, dimension]` or `[components, dimension]`.
fn rows_of(values: &[f64], rows: usize) -> Tensor<2> {
    Tensor::<1>::from_data(values, &device()).reshape([rows as i32, -1])
}

/// Unequal variances, a mean that is not zero.
fn gaussian(dimension: usize) -> GaussianPrior<2> {
    let place = |i: usize| i as f64 / (dimension - 1) as f64;
    let mean: Vec<f64> = (0..dimension).map(|i| 0.8 - 1.3 * place(i)).collect();
    let variances: Vec<f64> = (0..dimension).map(|i| 0.1 * 9f64.powf(place(i))).collect();
    GaussianPrior::diagonal(rows_of(&mean, 1), rows_of(&variances, 1)).unwrap()
}

/// Three heaps of unequal weight and width.
fn mixture(dimension: usize) -> GaussianMixture<2> {
    let means: Vec<f64> = (0..3 * dimension)
        .map(|i| 1.2 * (1.7 * i as f64 + 0.4 * (i / dimension) as f64).sin())
        .collect();
    GaussianMixture::new(&[0.5, 0.3, 0.2], rows_of(&means, 3), &[0.15, 0.25, 0.35]).unwrap()
}

/// Trains networks, prints their divergences, and gives each name with the greatest of them.
#[expect(clippy::print_stdout, reason = "the figures of the documentation")]
fn measured(
    what: &str,
    prior: &dyn AnalyticPrior<2>,
    steps: usize,
    factor: f64,
    rows: impl IntoIterator<Item = Row>,
) -> Vec<(&'static str, f64)> {
    println!("{what}: objective, greatest divergence, noise: divergence");
    let greatest = |row: Row| {
        let found = divergences(prior, &row, steps, factor);
        assert!(found.iter().all(|[_, d]| d.is_finite()), "{found:?}");
        let greatest = found.iter().fold(0.0, |most: f64, [_, d]| most.max(*d));
        let levels: String = found
            .iter()
            .map(|[sigma, divergence]| format!("  {sigma:.2}: {:.1} %", 100.0 * divergence))
            .collect();
        println!("{:28} {:6.1} % {levels}", row.name, 100.0 * greatest);
        (row.name, greatest)
    };
    rows.into_iter().map(greatest).collect()
}

/// Fails unless all networks come near the score.
fn assert_near(
    what: &str,
    prior: &dyn AnalyticPrior<2>,
    steps: usize,
    rows: impl IntoIterator<Item = Row>,
) {
    let mut far = measured(what, prior, steps, 1.0, rows);
    far.retain(|(_, divergence)| *divergence >= BOUND);
    assert!(far.is_empty(), "{what}: expected below {BOUND}: {far:.4?}");
}

/// Fails unless all networks are farther from the score than `least`.
fn assert_far(what: &str, factor: f64, least: f64, rows: impl IntoIterator<Item = Row>) {
    let mut near = measured(what, &gaussian(2), STEPS_CONTROL, factor, rows);
    near.retain(|(_, divergence)| *divergence <= least);
    assert!(
        near.is_empty(),
        "{what}: expected above {least}: {near:.4?}"
    );
}

const STEPS_GAUSSIAN: usize = 400;
const STEPS_MIXTURE: usize = 800;
const STEPS_CONTROL: usize = 200;

#[test]
fn gaussians_of_two_dimensions() {
    assert_near("Gaussian, 2", &gaussian(2), STEPS_GAUSSIAN, rows());
}

#[test]
fn gaussians_of_sixteen_dimensions() {
    assert_near("Gaussian, 16", &gaussian(16), STEPS_GAUSSIAN, rows());
}

#[test]
fn mixtures_of_two_dimensions() {
    let rows = rows().into_iter().filter(|row| row.for_all_priors);
    assert_near("mixture, 2", &mixture(2), STEPS_MIXTURE, rows);
}

#[test]
fn mixtures_of_sixteen_dimensions() {
    let rows = rows().into_iter().filter(|row| row.for_all_priors);
    assert_near("mixture, 16", &mixture(16), STEPS_MIXTURE, rows);
}

/// A control: the optimum is farther from the score than 0 is.
#[test]
fn the_wrong_sign_has_another_optimum() {
    assert_far("wrong sign", -1.0, 1.0, rows());
}

/// A control: the optimum is half the score, at a quarter of its energy.
#[test]
fn the_wrong_weight_of_the_trace_has_another_optimum() {
    let rows = rows().into_iter().filter(Row::is_untargeted);
    assert_far("half the trace", 2.0, 4.0 * BOUND, rows);
}
