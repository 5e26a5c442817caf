//! Small networks trained by each objective, beside the exact score of the prior.
//!
//! The relative Fisher divergence `E|s - s*|^2 / E|s*|^2` is measured at five of the noise levels that a network was trained at,
//! and the greatest one counts. The bound on it is 5 %, what is left of the network's and the optimiser's error; a network
//! trained on the wrong sign is far from it.

use burn::{
    module::{Module, Param},
    nn::Linear,
    optim::{GradientsParams, ModuleOptimizer},
    tensor::{Tensor, activation::silu},
};
use tweedie_core::{
    AnalyticPrior, Backbone, Conditioning, GaussianMixture, GaussianPrior, Given, NoiseLabel,
    Parametrisation, Preconditioned, Rng, ScheduleConfig, Score,
};
use tweedie_kernels::AdamW;
use tweedie_testkit::{device, values};
use tweedie_training::{
    Distance, Level, LevelDistribution, Levels, LevelsConfig, Objective, ObjectiveConfig,
    Prediction, Weighting,
};

const WIDTH: usize = 64;
const BATCH: usize = 256;
const RATE: f64 = 3e-2;
/// Rows on which the divergence at a level is measured.
const MEASURED: usize = 2048;
const BOUND: f64 = 0.05;
/// The least noise level measured, of the order of the standard deviations of the data: where there is less noise, the error of
/// a denoiser is divided by it.
const LEAST: f64 = 0.35;

/// `F = g(c) * x + MLP(x, c)`, `c` made of the noise label, mapped to [-1, 1].
#[derive(Module, Debug)]
struct Small {
    gain: Linear,
    first: Linear,
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
        let hidden = silu(self.first.forward(hidden));
        let hidden = silu(self.second.forward(hidden.clone())) + hidden;
        self.gain.forward(features) * x + self.last.forward(hidden)
    }
}

/// The control: what a network predicts has the wrong sign.
struct Negated<'a>(&'a dyn Backbone<2>);

impl Backbone<2> for Negated<'_> {
    fn forward(&self, x: Tensor<2>, conditioning: Conditioning<2>) -> Tensor<2> {
        -self.0.forward(x, conditioning)
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
            for_all_priors: true,
        }
    }

    /// In continuous time, with noise of 0.3 to 2.
    fn exploding(name: &'static str, distribution: LevelDistribution) -> Self {
        let mut row = Self::ddpm(name).drawn(distribution);
        row.schedule = ScheduleConfig::VarianceExploding {
            sigma_min: 0.3,
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
        (0..5).map(|i| drawn[i * (drawn.len() - 1) / 4]).collect()
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

/// Every objective.
fn rows() -> Vec<Row> {
    use LevelDistribution::{Importance, LogNormal, LogSigma, LogitNormal, One, Sigma, Uniform};
    use Parametrisation::{Denoised, Edm, Flow, Residual, V, X0};
    let ncsn = LogSigma {
        low: 0.3,
        high: 2.0,
    };
    let range = Sigma {
        low: 0.3,
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
    ]
}

/// Trains a network and gives its divergence at each of the levels, with their noise.
#[expect(
    clippy::disallowed_methods,
    reason = "training differentiates with respect to weights, not inputs"
)]
fn divergences(
    prior: &dyn AnalyticPrior<2>,
    row: &Row,
    steps: usize,
    wrong: bool,
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
        let drawn = levels.draw(BATCH, &mut rng.fork(1));
        let clean = prior.sample(BATCH, &mut rng.fork(2));
        let negated = Negated(&network);
        let trained: &dyn Backbone<2> = if wrong { &negated } else { &network };
        let losses = objective.losses(trained, clean, Given::nothing(), &drawn, &mut rng.fork(3));
        let weights: Vec<f64> = drawn.iter().map(|level| level.weight).collect();
        let weights = Tensor::<1>::from_data(weights.as_slice(), &device());
        let gradients = (losses.clone() * weights).mean().backward();
        if row.levels.distribution == LevelDistribution::Importance {
            levels.observe(&drawn, &values(&losses.without_autodiff()));
        }
        let gradients = GradientsParams::from_grads(gradients, &network);
        let rate = RATE * (1.0 - step as f64 / steps as f64);
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

fn greatest(divergences: &[[f64; 2]]) -> f64 {
    divergences
        .iter()
        .fold(0.0, |most, [_, found]| most.max(*found))
}

/// Fails unless all networks come near the score; prints how near.
#[expect(clippy::print_stdout, reason = "the figures of the documentation")]
fn assert_near<'a>(
    name: &str,
    prior: &dyn AnalyticPrior<2>,
    steps: usize,
    rows: impl Iterator<Item = &'a Row>,
) {
    for row in rows {
        let found = divergences(prior, row, steps, false);
        println!("{name}, {}: [noise, divergence] {found:.4?}", row.name);
        assert!(
            greatest(&found) < BOUND,
            "{name}, {}: [noise, divergence] {found:.4?}, expected below {BOUND}",
            row.name
        );
    }
}

const STEPS_GAUSSIAN: usize = 800;
const STEPS_MIXTURE: usize = 1500;

#[test]
fn gaussians_of_two_dimensions() {
    assert_near("Gaussian, 2", &gaussian(2), STEPS_GAUSSIAN, rows().iter());
}

#[test]
fn gaussians_of_sixteen_dimensions() {
    assert_near("Gaussian, 16", &gaussian(16), STEPS_GAUSSIAN, rows().iter());
}

#[test]
fn mixtures_of_two_dimensions() {
    let rows = rows();
    let rows = rows.iter().filter(|row| row.for_all_priors);
    assert_near("mixture, 2", &mixture(2), STEPS_MIXTURE, rows);
}

#[test]
fn mixtures_of_sixteen_dimensions() {
    let rows = rows();
    let rows = rows.iter().filter(|row| row.for_all_priors);
    assert_near("mixture, 16", &mixture(16), STEPS_MIXTURE, rows);
}

/// The control.
#[test]
fn the_wrong_sign_has_another_optimum() {
    for row in rows() {
        let found = divergences(&gaussian(2), &row, STEPS_GAUSSIAN, true);
        assert!(greatest(&found) > 2.0 * BOUND, "{}: {found:.4?}", row.name);
    }
}
