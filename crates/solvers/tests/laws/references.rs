//! Steps of deterministic methods as the papers print them: scalars, in the variables `alpha = s`, `sigma = s sigma(t)`
//! and `lambda = ln(alpha/sigma)` of the scaled state, for the prior of the points -1 and 1.

use tweedie_core::Schedule;

/// The end of a run over some times, from a start.
pub(crate) type Formula = fn(&dyn Schedule, &[f64], f64) -> f64;

/// Names as in the registry, and controls that no method should follow.
pub(crate) fn all() -> Vec<(&'static str, Formula)> {
    vec![
        ("DPM-Solver-2", dpm_solver_2),
        ("DPM-Solver++(2S)", dpm_solver_pp_2s),
        ("DPM-Solver++(2M)", |s, t, x| {
            dpm_solver_pp_2m(s, t, x, false)
        }),
        ("even 2M", |s, t, x| dpm_solver_pp_2m(s, t, x, true)),
        ("UniPC-1", |s, t, x| unipc(s, t, x, 1, true)),
        ("UniPC-2", |s, t, x| unipc(s, t, x, 2, true)),
        ("UniPC-3", |s, t, x| unipc(s, t, x, 3, true)),
        ("UniP-3", |s, t, x| unipc(s, t, x, 3, false)),
        ("AB1", |s, t, x| adams_bashforth(s, t, x, |_, _| 0.0)),
        ("AB2", |s, t, x| {
            adams_bashforth(s, t, x, |h, before| 0.5 * h / before)
        }),
        ("even AB2", |s, t, x| adams_bashforth(s, t, x, |_, _| 0.5)),
    ]
}

#[derive(Clone, Copy)]
struct Point {
    alpha: f64,
    sigma: f64,
    lambda: f64,
}

impl Point {
    fn at(schedule: &dyn Schedule, t: f64) -> Self {
        let alpha = schedule.scale(t);
        let sigma = alpha * schedule.sigma(t);
        Self {
            alpha,
            sigma,
            lambda: (alpha / sigma).ln(),
        }
    }

    /// Where `lambda` is the given one.
    fn of_lambda(schedule: &dyn Schedule, lambda: f64) -> Self {
        Self::at(schedule, schedule.time_at((-lambda).exp()))
    }

    /// The data prediction at `x`.
    fn data(self, x: f64) -> f64 {
        (x * self.alpha / self.sigma.powi(2)).tanh()
    }

    /// The noise prediction at `x`.
    fn noise(self, x: f64) -> f64 {
        (x - self.alpha * self.data(x)) / self.sigma
    }
}

fn points(schedule: &dyn Schedule, times: &[f64]) -> Vec<Point> {
    times.iter().map(|t| Point::at(schedule, *t)).collect()
}

/// Lu et al. 2022, algorithm 1.
fn dpm_solver_2(schedule: &dyn Schedule, times: &[f64], start: f64) -> f64 {
    points(schedule, times).windows(2).fold(start, |x, pair| {
        let [from, to] = [pair[0], pair[1]];
        let h = to.lambda - from.lambda;
        let mid = Point::of_lambda(schedule, 0.5 * (from.lambda + to.lambda));
        let u = mid.alpha / from.alpha * x - mid.sigma * (0.5 * h).exp_m1() * from.noise(x);
        to.alpha / from.alpha * x - to.sigma * h.exp_m1() * mid.noise(u)
    })
}

/// Lu et al. 2023, algorithm 1, with its `r` = 1/2.
fn dpm_solver_pp_2s(schedule: &dyn Schedule, times: &[f64], start: f64) -> f64 {
    let r = 0.5;
    points(schedule, times).windows(2).fold(start, |x, pair| {
        let [from, to] = [pair[0], pair[1]];
        let h = to.lambda - from.lambda;
        let mid = Point::of_lambda(schedule, from.lambda + r * h);
        let first = from.data(x);
        let u = mid.sigma / from.sigma * x - mid.alpha * (-r * h).exp_m1() * first;
        let data = (1.0 - 0.5 / r) * first + 0.5 / r * mid.data(u);
        to.sigma / from.sigma * x - to.alpha * (-h).exp_m1() * data
    })
}

/// Lu et al. 2023, algorithm 2; as if all steps were even for the control.
fn dpm_solver_pp_2m(schedule: &dyn Schedule, times: &[f64], start: f64, even: bool) -> f64 {
    let mut x = start;
    let mut last: Option<(f64, f64)> = None;
    for pair in points(schedule, times).windows(2) {
        let [from, to] = [pair[0], pair[1]];
        let h = to.lambda - from.lambda;
        let now = from.data(x);
        let data = match last {
            None => now,
            Some((before, past)) => {
                let r = if even { 1.0 } else { before / h };
                (1.0 + 0.5 / r) * now - 0.5 / r * past
            }
        };
        x = to.sigma / from.sigma * x - to.alpha * (-h).exp_m1() * data;
        last = Some((h, now));
    }
    x
}

/// `u + (sigma' - sigma) ((1 + q) d - q d')`, `q` a function of this and the last step in `sigma`.
fn adams_bashforth(
    schedule: &dyn Schedule,
    times: &[f64],
    start: f64,
    ahead: fn(f64, f64) -> f64,
) -> f64 {
    let mut u = start / schedule.scale(times[0]);
    let mut last: Option<(f64, f64)> = None;
    for pair in times.windows(2) {
        let (from, to) = (schedule.sigma(pair[0]), schedule.sigma(pair[1]));
        let h = to - from;
        let slope = (u - (u / from.powi(2)).tanh()) / from;
        u += h * match last {
            None => slope,
            Some((before, past)) => slope + ahead(h, before) * (slope - past),
        };
        last = Some((h, slope));
    }
    u * schedule.scale(times[times.len() - 1])
}

/// Zhao et al. 2023, algorithms 1 and 2 with data prediction and `B(h) = e^-h - 1`; without the corrector for the
/// control.
fn unipc(schedule: &dyn Schedule, times: &[f64], start: f64, order: usize, correct: bool) -> f64 {
    let points = points(schedule, times);
    let mut x = start;
    // Data predictions, one for each point so far.
    let mut data = vec![points[0].data(x)];
    for index in 1..points.len() {
        let (from, to) = (points[index - 1], points[index]);
        let h = to.lambda - from.lambda;
        let past = order.min(index);
        let relative = |other: usize| (points[other].lambda - from.lambda) / h;
        let mut nodes: Vec<usize> = (index - past..index - 1).collect();
        let step = |nodes: &[usize], data: &[f64]| {
            let r: Vec<f64> = nodes.iter().map(|node| relative(*node)).collect();
            let residue: f64 = coefficients(&r, h)
                .iter()
                .zip(nodes.iter().zip(&r))
                .map(|(a, (node, r))| a / r * (data[*node] - data[index - 1]))
                .sum();
            to.sigma / from.sigma * x
                - to.alpha * (-h).exp_m1() * data[index - 1]
                - to.alpha * (-h).exp_m1() * residue
        };
        let predicted = step(&nodes, &data);
        data.push(to.data(predicted));
        nodes.push(index);
        let last = index + 1 == points.len();
        x = if correct && !last {
            step(&nodes, &data)
        } else {
            predicted
        };
    }
    x
}

/// The `a` of `R(h) a B(h) = phi(h)`, `R_km = r_m^(k-1)`; 1/2 where there is one.
fn coefficients(r: &[f64], h: f64) -> Vec<f64> {
    if r.len() == 1 {
        return vec![0.5];
    }
    // With data prediction phi_k/h^(k-1) = -h k! varphi_(k+1)(-h) belongs to powers of r.
    let mut varphi = (-h).exp_m1() / -h;
    let (mut factorial, mut rows) = (1.0, Vec::new());
    for k in 1..=r.len() {
        factorial *= k as f64;
        varphi = (varphi - factorial.recip()) / -h;
        let value = -h * varphi * factorial / (-h).exp_m1();
        let mut row: Vec<f64> = r.iter().map(|r| r.powi(k as i32 - 1)).collect();
        row.push(value);
        rows.push(row);
    }
    solve(rows)
}

/// Gauss-Jordan elimination on rows with their right sides at the end.
fn solve(mut rows: Vec<Vec<f64>>) -> Vec<f64> {
    let count = rows.len();
    for pivot in 0..count {
        let lead = rows[pivot].clone();
        for (index, row) in rows.iter_mut().enumerate() {
            let factor = if index == pivot {
                1.0 - lead[pivot].recip()
            } else {
                row[pivot] / lead[pivot]
            };
            row.iter_mut()
                .zip(&lead)
                .for_each(|(x, lead)| *x -= factor * lead);
        }
    }
    rows.iter().map(|row| row[count]).collect()
}
