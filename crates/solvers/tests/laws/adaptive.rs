//! Adaptive steps: as accurate as asked for, counted, and chosen by each row for itself.

use burn::tensor::{DType, Tensor};
use tweedie_core::{
    Counted, Denoiser, GaussianPrior, Rng, Schedule, Span, VarianceExploding, VariancePreserving,
};
use tweedie_sde::{General, Reverse};
use tweedie_solvers::{AdaptiveSde, DormandPrince, RowStats, SolveError, StepControl};
use tweedie_testkit::{device, exact, values};

use crate::support::{PRIOR, marginal};

fn control(tolerance: f64) -> StepControl {
    StepControl::new(tolerance, tolerance, 10_000).unwrap()
}

fn prior() -> GaussianPrior<2> {
    GaussianPrior::new(exact(&[PRIOR.mean], [1, 1]), PRIOR.variance)
}

fn exact_rng(seed: u64) -> Rng {
    Rng::seeded(seed, &device()).with_dtype(DType::F64)
}

/// The flow of a Gaussian keeps the number of standard deviations.
fn flow_end(schedule: &dyn Schedule, start: &[f64], span: Span) -> Vec<f64> {
    let (from, to) = (
        marginal(PRIOR, schedule, span.from),
        marginal(PRIOR, schedule, span.to),
    );
    let ratio = (to.variance / from.variance).sqrt();
    start
        .iter()
        .map(|x| to.mean + ratio * (x - from.mean))
        .collect()
}

const SPAN: Span = Span {
    from: 1.0,
    to: 0.02,
};
const TOLERANCES: [f64; 4] = [1e-4, 1e-6, 1e-8, 1e-10];

#[test]
fn the_error_of_the_flow_falls_with_the_tolerance() {
    let schedules: [Box<dyn Schedule>; 2] = [
        Box::new(VarianceExploding::new(0.01, 50.0).unwrap()),
        Box::new(VariancePreserving::new(0.1, 20.0).unwrap()),
    ];
    for schedule in &schedules {
        let schedule = schedule.as_ref();
        let size = marginal(PRIOR, schedule, 1.0).variance.sqrt();
        let start = [-1.3 * size, 0.4 * size, 2.0 * size];
        let expected = flow_end(schedule, &start, SPAN);
        let mut errors = Vec::new();
        let mut steps = Vec::new();
        for tolerance in TOLERANCES {
            let end = DormandPrince::new(control(tolerance))
                .integrate(
                    &Reverse::flow(schedule, prior()),
                    exact(&start, [3, 1]),
                    SPAN,
                    |_| (),
                )
                .unwrap();
            let worst = values(&end.state)
                .iter()
                .zip(&expected)
                .map(|(found, expected)| (found - expected).abs())
                .fold(0.0, f64::max);
            let taken = end.rows.iter().map(|row| row.accepted).max().unwrap();
            // The flow contracts, so the errors of the steps add up at most.
            let bound = taken as f64 * tolerance * (1.0 + 2.0 * size);
            assert!(
                worst < bound,
                "{worst:e} at tolerance {tolerance:e}, bound {bound:e}"
            );
            assert!(
                end.rows
                    .iter()
                    .all(|row| row.rejected <= row.accepted / 2 + 5)
            );
            errors.push(worst);
            steps.push(taken as f64);
        }
        // Steps of order 5 whose error estimate is of order 5 too: error like the tolerance, number like its fifth root.
        let slope = |v: &[f64]| (v[3] / v[1]).ln() / (TOLERANCES[3] / TOLERANCES[1]).ln();
        assert!((slope(&errors) - 1.0).abs() < 0.2, "{errors:?}");
        assert!((slope(&steps) + 0.2).abs() < 0.04, "{steps:?}");
    }
}

/// The error of the first attempt with a given step, over the tolerance.
fn first_error(step: f64) -> f64 {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let control = StepControl::new(1.0, 0.0, 10_000)
        .unwrap()
        .starting_with(step)
        .unwrap();
    let mut first = None;
    let span = Span { from: 0.6, to: 0.1 };
    DormandPrince::new(control)
        .integrate(
            &Reverse::flow(schedule, prior()),
            exact(&[3.0], [1, 1]),
            span,
            |attempt| {
                first.get_or_insert(attempt.error);
            },
        )
        .unwrap();
    first.unwrap()
}

#[test]
fn the_error_estimate_is_of_fifth_order() {
    let order = (first_error(0.02) / first_error(0.01)).log2();
    assert!((order - 5.0).abs() < 0.2, "{order}");
}

#[test]
fn steps_adjoin_and_evaluations_are_counted() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    // A first step far too long, so that some are rejected.
    let control = control(1e-5).starting_with(10.0).unwrap();
    let start = exact(&[0.3, -2.0], [2, 1]);
    let process = Reverse::flow(schedule, Counted::new(prior()));
    let mut at = vec![SPAN.from; 2];
    let end = DormandPrince::new(control)
        .integrate(&process, start.clone(), SPAN, |attempt| {
            assert_eq!(attempt.span.from, at[attempt.row]);
            assert_eq!(attempt.accepted, attempt.error <= 1.0);
            if attempt.accepted {
                at[attempt.row] = attempt.span.to;
            }
        })
        .unwrap();
    assert_eq!(at, [SPAN.to; 2]);
    let attempts = |row: &RowStats| row.accepted + row.rejected;
    for row in &end.rows {
        assert!(row.rejected > 0);
        assert_eq!(row.evaluations, 1 + 6 * attempts(row));
    }
    let counted: usize = end.rows.iter().map(|row| row.evaluations).sum();
    assert_eq!(process.prior().evaluations(), counted);

    let process = Reverse::sde(schedule, Counted::new(prior()));
    let control = StepControl::new(0.02, 0.02, 10_000).unwrap();
    let end = AdaptiveSde::new(control.starting_with(0.5).unwrap())
        .integrate(
            &process,
            start,
            Span { to: 0.5, ..SPAN },
            &mut exact_rng(1),
            |_| (),
        )
        .unwrap();
    for row in &end.rows {
        assert!(row.rejected > 0);
        assert_eq!(row.evaluations, 2 * attempts(row) - row.rejected);
    }
    let counted: usize = end.rows.iter().map(|row| row.evaluations).sum();
    assert_eq!(process.prior().evaluations(), counted);
}

#[test]
fn a_row_does_not_see_its_batch() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let start = [0.3, -2.0, 1.1, 0.6, 5.0, -0.2];
    let (solver, sde) = (
        DormandPrince::new(control(1e-4)),
        AdaptiveSde::new(control(0.02)),
    );
    let flow = |start| solver.integrate(&Reverse::flow(schedule, prior()), start, SPAN, |_| ());
    let noisy = |start, mut rng: Rng| {
        sde.integrate(
            &Reverse::sde(schedule, prior()),
            start,
            SPAN,
            &mut rng,
            |_| (),
        )
    };
    let together = flow(exact(&start, [3, 2])).unwrap();
    let noisy_together = noisy(exact(&start, [3, 2]), exact_rng(4)).unwrap();
    // They need not even take the same steps.
    assert_ne!(noisy_together.rows[0], noisy_together.rows[2]);
    for row in 0..3 {
        let own = 2 * row..2 * row + 2;
        let alone = flow(exact(&start[own.clone()], [1, 2])).unwrap();
        assert_eq!(values(&alone.state), values(&together.state)[own.clone()]);
        assert_eq!(alone.rows[0], together.rows[row]);
        let rng = exact_rng(4).starting_at(row as u64);
        let alone = noisy(exact(&start[own.clone()], [1, 2]), rng).unwrap();
        assert_eq!(values(&alone.state), values(&noisy_together.state)[own]);
        assert_eq!(alone.rows[0], noisy_together.rows[row]);
    }
}

#[test]
fn settings_and_spans_out_of_range_are_refused() {
    for (name, error) in [
        ("absolute tolerance", StepControl::new(0.0, 1e-3, 10)),
        ("absolute tolerance", StepControl::new(f64::NAN, 1e-3, 10)),
        ("relative tolerance", StepControl::new(1e-3, -1.0, 10)),
        ("max_steps", StepControl::new(1e-3, 1e-3, 0)),
        ("first_step", control(1e-3).starting_with(0.0)),
    ] {
        let message = error.unwrap_err().to_string();
        assert!(message.starts_with(&format!("{name} must be")), "{message}");
    }
    let run = |process: &Reverse<VariancePreserving, GaussianPrior<2>>, from, to| {
        let solver = DormandPrince::new(control(1e-3));
        let start = exact(&[1.0], [1, 1]);
        solver
            .integrate(process, start, Span { from, to }, |_| ())
            .unwrap_err()
    };
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let flow = Reverse::flow(schedule, prior());
    assert_eq!(run(&flow, 1.0, 0.0), SolveError::Undefined { time: 0.0 });
    assert!(matches!(
        run(&flow, 1.5, 0.1),
        SolveError::OutsideHorizon { .. }
    ));
    for (from, to) in [(0.5, 0.5), (0.5, 0.7), (0.5, -0.1), (0.5, f64::NAN)] {
        let error = run(&flow, from, to);
        assert!(
            matches!(error, SolveError::Parameter { name: "to", .. }),
            "{error}"
        );
    }
    let noisy = run(&Reverse::sde(schedule, prior()), 1.0, 0.1);
    let diffusion = schedule.diffusion_sq(1.0).sqrt();
    assert_eq!(
        noisy,
        SolveError::Stochastic {
            diffusion,
            time: 1.0
        }
    );
}

/// Exact until the noise level falls below 1, infinite from there on.
struct Breaks(GaussianPrior<2>);

impl Denoiser<2> for Breaks {
    fn denoise(&self, noisy: Tensor<2>, sigma: f64) -> Tensor<2> {
        let clean = self.0.denoise(noisy, sigma);
        if sigma < 1.0 { clean / 0.0 } else { clean }
    }
}

#[test]
fn a_row_that_does_not_arrive_says_where_it_is() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let start = exact(&[1.0, -1.0], [2, 1]);
    let few = DormandPrince::new(StepControl::new(1e-9, 1e-9, 7).unwrap());
    let error = few
        .integrate(
            &Reverse::flow(schedule, prior()),
            start.clone(),
            SPAN,
            |_| (),
        )
        .unwrap_err();
    let SolveError::TooManySteps {
        row: 0,
        max_steps: 7,
        time,
    } = error
    else {
        panic!("{error}");
    };
    assert!(time < 1.0 && time > SPAN.to, "{time}");

    let broken = Reverse::flow(schedule, Breaks(prior()));
    let error = DormandPrince::new(control(1e-3))
        .integrate(&broken, start.clone(), SPAN, |_| ())
        .unwrap_err();
    let SolveError::NotFinite { row: 0, time, .. } = error else {
        panic!("{error}");
    };
    assert!((time - schedule.time_at(1.0)).abs() < 1e-12, "{time}");

    // dx = -x^2 dt run backwards from 1 is infinite after unit time; the row from -1 is not.
    let explosive = General::new(2.0, |x: Tensor<2>, _| -(x.clone() * x), |_| 0.0).unwrap();
    let error = DormandPrince::new(control(1e-3))
        .integrate(
            &explosive,
            start.flip([0]),
            Span { from: 2.0, to: 0.0 },
            |_| (),
        )
        .unwrap_err();
    let (SolveError::StepTooSmall { row: 1, time, .. }
    | SolveError::NotFinite { row: 1, time, .. }) = error
    else {
        panic!("{error}");
    };
    assert!((time - 1.0).abs() < 1e-2, "{time}");
}
