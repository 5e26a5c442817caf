//! The run itself: chains of whichever kernel, their progress, and what is written.

use std::{cell::RefCell, ops::ControlFlow, process::ExitCode, time::Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tweedie::{
    burn::tensor::{Device, Tensor},
    core::Rng,
    mcmc::{
        ChainEvent, ChainFailure, ChainRun, Chains, MarkovKernel, Outcome as Ending, Start,
        Statistics,
    },
    physics::ConjugateGradient,
};

use super::{
    arguments::{Arguments, StartName},
    directions::directions,
    kernel::Job,
    report::{Report, Setting},
    traces,
};
use crate::{
    failure::{Failure, INTERRUPTED, Outcome},
    interrupt::Interrupt,
    overview::{self, painted},
    problem::{self, Problem},
    quality::save_report,
    sheet::{columns, save_sheet},
};

/// The file of a checkpoint in the folder of a run.
const CHECKPOINT: &str = "chains.checkpoint";

/// Everything but the kernel.
pub(crate) struct Run<'a> {
    pub(crate) arguments: &'a Arguments,
    pub(crate) problem: &'a Problem,
    pub(crate) setting: Setting,
    pub(crate) device: &'a Device,
}

impl Job for Run<'_> {
    fn run<K: MarkovKernel>(self, kernel: K) -> Outcome {
        let arguments = self.arguments;
        println!("{}: {}", self.problem.name, kernel.describe());
        let chains = self.chains(kernel)?;
        // The chains must not read the numbers that made the measurement.
        let posed = &arguments.problem;
        let mut rng = Rng::seeded(posed.seed, self.device).fork(problem::SAMPLING);
        let start = self.start()?.over_dispersed(arguments.spread)?;
        let start = start.chains(arguments.chains as usize, &rng)?;

        let interrupt = Interrupt::listen()?;
        let bar = Bar::new(arguments.iterations);
        let begun = Instant::now();
        let observe = |event: ChainEvent<'_>| {
            bar.show(&event);
            if interrupt.is_asked() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let ended = if arguments.resume {
            chains.resume(&start, &mut rng, observe)
        } else {
            chains.run(start, &mut rng, observe)
        };
        let iterations = bar.finish();
        let seconds = begun.elapsed().as_secs_f64();
        let (run, failure) = match ended {
            Ok(run) => (run, None),
            Err(ChainFailure { error, partial }) => match partial {
                Some(partial) => (*partial, Some(error)),
                None => return Err(error.into()),
            },
        };
        let report = Report::new(
            arguments,
            self.problem,
            &run,
            run.report(),
            self.setting.clone().timed(seconds, iterations),
        );
        self.write(&run)?;
        save_report(&report, &arguments.out.join("report.json"))?;
        print!("{report}");
        println!("pictures and report.json: {}", arguments.out.display());
        if let Some(error) = failure {
            return Err(error.into());
        }
        if run.outcome == Ending::Interrupted {
            println!("go on with --resume");
            return Ok(ExitCode::from(INTERRUPTED));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Run<'_> {
    fn chains<K: MarkovKernel>(&self, kernel: K) -> Outcome<Chains<'static, K>> {
        let arguments = self.arguments;
        let chains = Chains::new(kernel, arguments.config()).map_err(Failure::usage)?;
        let chains = chains.with_checkpoint(
            arguments.out.join(CHECKPOINT),
            arguments.checkpoint_every as usize,
            self.setting.target(arguments, self.problem),
        )?;
        let directions = directions(self.problem.image_shape, self.device);
        directions
            .into_iter()
            .try_fold(chains, |chains, (name, direction)| {
                Ok(chains.with_direction(name, direction)?)
            })
    }

    fn start(&self) -> Outcome<Start> {
        let Problem {
            operator,
            measurement,
            image_shape,
            ..
        } = self.problem;
        let (y, cg) = (measurement.clone(), ConjugateGradient::default());
        let grey = || Start::given(Tensor::full(*image_shape, 0.5, self.device));
        Ok(match (self.arguments.start, operator.linear()) {
            (StartName::Adjoint, Some(operator)) => Start::adjoint(&operator, y, *image_shape)?,
            (StartName::PseudoInverse, Some(operator)) => {
                Start::pseudo_inverse(&operator, y, *image_shape, cg)?
            }
            (StartName::Grey, _) | (_, None) => grey(),
        })
    }

    fn write(&self, run: &ChainRun) -> Outcome<()> {
        let (folder, problem) = (&self.arguments.out, self.problem);
        problem.save(folder)?;
        traces::save(&run.traces, &folder.join("traces.svg"))?;
        run.export_npz(&folder.join("chains.npz"))?;
        // Finite states that ran away may have statistics, and an end, that are no pictures.
        let ended_well = run.outcome != Ending::Failed;
        let shown = |map: &&Tensor<4>| ended_well || is_finite(map);
        if let Some(statistics) = &run.statistics {
            if let Some(mean) = Some(&statistics.mean).filter(shown) {
                save_sheet(mean.clone(), 1, &folder.join("mean.png"))?;
            }
            for (name, map) in [("std", &statistics.std), ("ess", &statistics.ess)] {
                if let Some(map) = map.as_ref().filter(shown) {
                    painted(map)?.save(folder.join(format!("{name}.png")))?;
                }
            }
        }
        if !ended_well {
            return Ok(());
        }
        let states = &run.position;
        let sheet = folder.join("samples.png");
        save_sheet(states.clone(), columns(states.dims()[0]), &sheet)?;
        let Some(Statistics { mean, std, .. }) = &run.statistics else {
            return Ok(());
        };
        let std = std.as_ref().map(painted).transpose()?;
        overview::save(problem, states, mean, std, &folder.join("overview.png"))
    }
}

fn is_finite(map: &Tensor<4>) -> bool {
    map.clone().is_finite().all().into_scalar::<bool>()
}

/// The progress of the chains; nothing where the output is not a terminal.
struct Bar {
    bar: ProgressBar,
    /// The first iteration of this process, and the last so far.
    done: RefCell<[usize; 2]>,
}

impl Bar {
    fn new(iterations: usize) -> Self {
        let bar = ProgressBar::new(iterations as u64);
        let form = "{bar:30} {pos}/{len} iterations, {per_sec}, {eta} left{msg}";
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        Self {
            bar,
            done: RefCell::default(),
        }
    }

    fn show(&self, event: &ChainEvent<'_>) {
        match event {
            ChainEvent::StepAboveBound(step) => {
                let bound = step.bound.unwrap_or(f64::INFINITY);
                eprintln!(
                    "warning: the step size {:.3e} is above {bound:.3e}, the largest that is known to be safe",
                    step.value
                );
            }
            ChainEvent::Resumed { iteration } => {
                println!("going on after iteration {iteration}");
                *self.done.borrow_mut() = [*iteration; 2];
            }
            ChainEvent::Iteration { iteration, .. } => {
                self.done.borrow_mut()[1] = *iteration;
                self.bar.set_position(*iteration as u64);
            }
            ChainEvent::Check { ess, rhat, .. } => {
                let told = |name: &str, value: &Option<f64>| {
                    value.map_or_else(String::new, |value| format!(", {name} {value:.4}"))
                };
                let message = told("least ESS", ess) + &told("largest R-hat", rhat);
                self.bar.set_message(message);
            }
            _ => {}
        }
    }

    /// Removes the bar; how many iterations were made.
    fn finish(self) -> usize {
        self.bar.finish_and_clear();
        let [first, last] = self.done.into_inner();
        last - first
    }
}
