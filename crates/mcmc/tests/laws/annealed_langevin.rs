//! Annealed Langevin: ULA at each level in turn, and at the last for good.

use tweedie_core::Noise;
use tweedie_mcmc::{AnnealedLangevin, ChainError, ChainState, MarkovKernel, Ula};
use tweedie_testkit::{affine_law, assert_close, exact, values};

use crate::support::{Quadratic, Replay};

const SIGMAS: [f64; 3] = [0.8, 0.5, 0.2];
const STEPS: usize = 2;
const H: f64 = 0.01;

/// `N(0.7, 0.3)` seen through noise.
fn target(sigma: f64) -> Quadratic {
    Quadratic::pixel(0.7, 1.0 / (0.3 + sigma * sigma))
}

fn levels() -> Vec<(f64, Quadratic)> {
    SIGMAS.map(|sigma| (sigma, target(sigma))).to_vec()
}

fn kernel() -> AnnealedLangevin<Quadratic> {
    AnnealedLangevin::new(levels(), STEPS, H).unwrap()
}

/// One pixel after each of so many steps of noise 0.3, -0.5, 0.7, ..
fn path(start: f64, steps: usize, freeze_after: usize) -> Vec<f64> {
    let kernel = kernel();
    let mut noise = Replay(normals(steps).into_iter());
    let mut state = kernel.init(exact(&[start], [1, 1]));
    let mut path = Vec::new();
    for step in 0..steps {
        if step == freeze_after {
            state = kernel.freeze(state);
        }
        (state, _) = MarkovKernel::<2>::step(&kernel, state, &mut noise);
        path.extend(values(state.position()));
    }
    path
}

fn normals(count: usize) -> Vec<Vec<f64>> {
    let sign = |k: usize| if k.is_multiple_of(2) { 1.0 } else { -1.0 };
    (0..count)
        .map(|k| vec![sign(k) * (0.3 + 0.2 * k as f64)])
        .collect()
}

/// By ULA kernels of the levels given.
fn expected(start: f64, sigmas: &[f64]) -> Vec<f64> {
    let mut x = start;
    let step = |(sigma, normal): (&f64, Vec<f64>)| {
        let h = H * (sigma / SIGMAS[2]).powi(2);
        let kernel = Ula::new(target(*sigma), h).unwrap();
        let mut noise = Replay(vec![normal].into_iter());
        let start = kernel.init(exact(&[x], [1, 1]));
        let (state, _) = MarkovKernel::<2>::step(&kernel, start, &mut noise);
        x = values(state.position())[0];
        x
    };
    sigmas.iter().zip(normals(sigmas.len())).map(step).collect()
}

#[test]
fn the_steps_are_those_of_ula_at_each_level() {
    let [a, b, c] = SIGMAS;
    let sigmas = [a, a, b, b, c, c, c, c];
    let found = path(1.9, sigmas.len(), usize::MAX);
    assert_close("path", &found, &expected(1.9, &sigmas), 1e-14);
    let early = expected(1.9, &[a, b, b, c, c, c, c, c]);
    assert!(
        (found[1] - early[1]).abs() > 1e-3,
        "as if a level were shorter"
    );
    assert_eq!(kernel().annealing(), 4);
}

#[test]
fn the_end_of_burn_in_is_that_of_annealing() {
    let [a, _, c] = SIGMAS;
    let found = path(1.9, 4, 1);
    assert_close("path", &found, &expected(1.9, &[a, c, c, c]), 1e-14);
    assert_eq!(path(1.9, 4, 9), path(1.9, 4, usize::MAX));
}

#[test]
fn the_law_after_annealing_is_that_of_ula_at_the_last_level() {
    let kernel = kernel();
    let law = affine_law(1, |x, noise: &mut dyn Noise<2>| {
        let state = kernel.freeze(kernel.init(x));
        kernel.step(state, noise).0.position().clone()
    });
    let precision = 1.0 / (0.3 + 0.2 * 0.2);
    let variance = law.noises[0].powi(2) / (1.0 - law.start * law.start);
    let expected = 1.0 / (precision * (1.0 - 0.5 * H * precision));
    assert_close("variance", &[variance], &[expected], 1e-12);
    assert!((variance - 0.3).abs() > 0.01, "as if without noise");
}

#[test]
fn a_chain_resumes_where_it_was() {
    let kernel = kernel();
    for pause in 0..6 {
        let mut noise = Replay(normals(8).into_iter());
        let mut state = kernel.init(exact(&[1.9, -0.4], [2, 1]));
        let mut noise_of_two = |count: usize| {
            let rows = (0..count).map(|_| noise.0.next().unwrap().repeat(2));
            Replay(rows.collect::<Vec<_>>().into_iter())
        };
        let (mut first, mut second) = (noise_of_two(pause), noise_of_two(8 - pause));
        for _ in 0..pause {
            (state, _) = MarkovKernel::<2>::step(&kernel, state, &mut first);
        }
        let parts = state.parts();
        assert!(MarkovKernel::<2>::restore(&kernel, parts[..1].to_vec()).is_none());
        state = kernel.restore(parts).unwrap();
        for _ in pause..8 {
            (state, _) = MarkovKernel::<2>::step(&kernel, state, &mut second);
        }
        let got = values(state.position());
        assert_eq!(got[0], path(1.9, 8, usize::MAX)[7], "pause {pause}");
    }
    // Counts that no chain has: of chains that disagree, beyond the annealing, and none at all.
    for counts in [
        [1.0, 2.0],
        [5.0, 5.0],
        [-1.0, -1.0],
        [0.5, 0.5],
        [f64::NAN; 2],
    ] {
        let parts = vec![exact(&[0.0; 2], [2, 1]), exact(&counts, [2, 1])];
        assert!(
            MarkovKernel::<2>::restore(&kernel, parts).is_none(),
            "{counts:?}"
        );
    }
}

#[test]
fn a_data_term_limits_the_steps_at_high_noise() {
    // The precision of the first level is that of the data alone.
    let precisions = [100.0, 104.0, 125.0];
    let levels = |sigmas: [f64; 3]| {
        let pair = |(sigma, p)| (sigma, Quadratic::pixel(0.0, p));
        sigmas
            .into_iter()
            .zip(precisions)
            .map(pair)
            .collect::<Vec<_>>()
    };
    let kernel = AnnealedLangevin::at_bound(levels(SIGMAS), STEPS).unwrap();
    let step = MarkovKernel::<2>::step_size(&kernel).unwrap();
    assert_close("bound", &[step.value], &[1.0 / (16.0 * 100.0)], 1e-15);
    assert_eq!(step.bound, Some(step.value));
    // The last level alone would allow more than ten times that.
    let last = levels(SIGMAS).split_off(2);
    let kernel = AnnealedLangevin::at_bound(last, STEPS).unwrap();
    let step = MarkovKernel::<2>::step_size(&kernel).unwrap();
    assert_close("last", &[step.value], &[1.0 / 125.0], 1e-15);
}

#[test]
fn settings_that_are_none_are_refused() {
    let of = |sigmas: &[f64], steps: usize, h: f64| {
        let levels = sigmas.iter().map(|sigma| (*sigma, target(0.1)));
        AnnealedLangevin::new(levels.collect(), steps, h)
    };
    let name_of = |kernel: Result<AnnealedLangevin<Quadratic>, ChainError>| match kernel {
        Err(ChainError::OutOfRange { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    assert!(matches!(of(&[], 1, H), Err(ChainError::NoLevels)));
    for sigmas in [
        [0.5, 0.5],
        [0.2, 0.5],
        [0.5, 0.0],
        [f64::INFINITY, 1.0],
        [f64::NAN, 1.0],
    ] {
        assert_eq!(name_of(of(&sigmas, 1, H)), "sigma");
    }
    for steps in [0, usize::MAX] {
        assert_eq!(name_of(of(&[0.5, 0.2], steps, H)), "steps_per_level");
    }
    assert_eq!(name_of(of(&[0.5, 0.2], 1, 0.0)), "step_size");
}
