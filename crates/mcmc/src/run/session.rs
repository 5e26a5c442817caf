//! A run under way.

use std::ops::ControlFlow;

use burn::tensor::{Device, Tensor, TensorData};
use tweedie_core::Rng;

use super::{
    ChainEvent, ChainFailure, ChainRun, Chains, Outcome, Phase,
    checkpoint::{Contents, Identity, Place},
    health::{Fault, Health, finite_rows},
    report::Settings,
    statistics::{Monitor, MonitorRecord},
    store::Store,
    traces::Traces,
};
use crate::{ChainError, ChainState, Info, MarkovKernel};

type Observe<'o, const D: usize> = dyn FnMut(ChainEvent<'_, D>) -> ControlFlow<()> + 'o;

/// A run under way, after `iteration` iterations.
pub(super) struct Session<'c, 'a, K: MarkovKernel<D>, const D: usize> {
    chains: &'c Chains<'a, K, D>,
    /// What its checkpoints compare; empty without checkpoints.
    identity: Identity,
    iteration: usize,
    resumed: bool,
    state: K::State,
    health: Health,
    /// Of the draws, then of each function.
    monitors: Vec<Monitor<D>>,
    traces: Traces<D>,
    kept: Vec<Tensor<D>>,
    store: Option<Store>,
}

impl<'c, 'a, K: MarkovKernel<D>, const D: usize> Session<'c, 'a, K, D> {
    /// Before the first iteration.
    pub(super) fn begin(
        chains: &'c Chains<'a, K, D>,
        start: Tensor<D>,
        rng: &Rng,
    ) -> Result<Self, ChainError> {
        require_start(chains, &start)?;
        let identity = match chains.checkpoint {
            Some(_) => chains.identity(&start, rng),
            None => Identity::default(),
        };
        let (kernel, config) = (&chains.kernel, &chains.config);
        let mut state = clipped(chains, kernel.init(start))?;
        if config.burn_in == 0 {
            state = kernel.freeze(state);
        }
        let like = state.position();
        let create = |path| Store::create(path, like);
        let store = chains.store.as_deref().map(create).transpose()?;
        let monitor = |_| Monitor::new(config);
        Ok(Self {
            chains,
            identity,
            iteration: 0,
            resumed: false,
            health: Health::new(like, 0),
            monitors: (0..=chains.functions.len()).map(monitor).collect(),
            traces: Traces::new(like.dims()[0], chains.directions.clone(), None),
            kept: Vec::new(),
            store,
            state,
        })
    }

    /// Where the checkpoint stands of the run that began like this.
    pub(super) fn resume(
        chains: &'c Chains<'a, K, D>,
        start: &Tensor<D>,
        rng: &mut Rng,
    ) -> Result<Self, ChainError> {
        require_start(chains, start)?;
        let Some(Place { path, .. }) = &chains.checkpoint else {
            return Err(ChainError::NoCheckpoint);
        };
        let identity = chains.identity(start, rng);
        let contents = Contents::read(path, &identity)?;
        let (iteration, iterations) = (contents.iteration, chains.config.iterations);
        if iteration > iterations {
            return Err(ChainError::AlreadyBeyond {
                path: path.clone(),
                done: iteration,
                iterations,
            });
        }
        let unfit = |what| ChainError::Unfit {
            path: path.clone(),
            what,
        };
        let device = start.device();
        let parts = tensors(contents.state, &device);
        let state = parts.and_then(|parts| chains.kernel.restore(parts));
        let state = state.ok_or_else(|| unfit("the kernel does not know its state"))?;
        let like = state.position();
        if like.dims() != start.dims() {
            return Err(unfit("its state has another shape than the start"));
        }
        let restored = |record: MonitorRecord| record.restore(&device);
        let monitors = contents.monitors.into_iter().map(restored);
        let monitors = monitors.collect::<Result<Vec<_>, _>>();
        let monitors = monitors.map_err(|source| ChainError::Record {
            path: path.clone(),
            source,
        })?;
        if monitors.len() != 1 + chains.functions.len() {
            return Err(unfit("it has not one statistic for each function"));
        }
        let kept = tensors(contents.kept, &device);
        let open = |path| Store::open(path, like, contents.stored);
        let store = chains.store.as_deref().map(open).transpose()?;
        *rng = Rng::resume(&contents.rng, &device);
        Ok(Self {
            chains,
            identity,
            iteration,
            resumed: true,
            health: Health::new(like, iteration),
            monitors,
            traces: Traces::new(like.dims()[0], chains.directions.clone(), contents.traces),
            kept: kept.ok_or_else(|| unfit("its draws have another rank than the start"))?,
            store,
            state,
        })
    }

    /// Goes on to the end.
    pub(super) fn drive(
        mut self,
        rng: &mut Rng,
        observe: &mut Observe<'_, D>,
    ) -> Result<ChainRun<D>, ChainFailure<D>> {
        let mut caller = Caller {
            observe,
            asked: false,
        };
        let outcome = self.iterate(rng, &mut caller).and_then(|outcome| {
            self.settle()?;
            Ok(outcome)
        });
        match outcome {
            Ok(outcome) => Ok(self.finish(outcome)),
            Err(error) => {
                // What went wrong first is told; should this fail too, the file tells of fewer draws.
                let _ = self.settle();
                Err(ChainFailure {
                    error,
                    partial: Some(Box::new(self.finish(Outcome::Failed))),
                })
            }
        }
    }

    fn iterate(
        &mut self,
        rng: &mut Rng,
        caller: &mut Caller<'_, D>,
    ) -> Result<Outcome, ChainError> {
        let (chains, config) = (self.chains, &self.chains.config);
        if let Some(step) = chains
            .kernel
            .step_size()
            .filter(|step| step.exceeds_bound())
        {
            caller.tell(ChainEvent::StepAboveBound(step));
        }
        if self.resumed {
            let iteration = self.iteration;
            caller.tell(ChainEvent::Resumed { iteration });
            if iteration < config.iterations && self.is_check() && self.is_enough(self.extremes()) {
                return Ok(Outcome::Stopped);
            }
        }
        while self.iteration < config.iterations {
            if caller.asked {
                return Ok(Outcome::Interrupted);
            }
            let info = self.step(rng)?;
            if config.is_draw(self.iteration) {
                self.count(&info)?;
                caller.tell(ChainEvent::Draw {
                    index: self.monitors[0].draws() - 1,
                    draws: self.state.position(),
                });
            }
            caller.tell(ChainEvent::Iteration {
                iteration: self.iteration,
                iterations: config.iterations,
                phase: self.phase(),
            });
            let last = self.iteration == config.iterations;
            let enough = (last || self.is_check()) && self.check(caller)?;
            let stops = enough && !last;
            let place = chains.checkpoint.as_ref();
            let due = |place: &&Place| {
                last || stops || caller.asked || self.iteration.is_multiple_of(place.every)
            };
            if let Some(place) = place.filter(due) {
                self.save(place, rng)?;
                caller.tell(ChainEvent::Checkpoint {
                    iteration: self.iteration,
                    path: &place.path,
                });
            }
            if stops {
                return Ok(Outcome::Stopped);
            }
        }
        Ok(Outcome::Completed)
    }

    fn phase(&self) -> Phase {
        if self.iteration > self.chains.config.burn_in {
            Phase::Sampling
        } else {
            Phase::BurnIn
        }
    }

    /// One iteration.
    fn step(&mut self, rng: &mut Rng) -> Result<Info, ChainError> {
        let kernel = &self.chains.kernel;
        let (state, info) = kernel.step(self.state.clone(), rng);
        // Before it is clipped, which would hide an infinite number.
        self.health.record(state.position());
        self.state = clipped(self.chains, state)?;
        self.iteration += 1;
        if self.iteration == self.chains.config.burn_in {
            self.state = kernel.freeze(self.state.clone());
        }
        Ok(info)
    }

    /// Counts the state as a draw.
    fn count(&mut self, info: &Info) -> Result<(), ChainError> {
        let draws = self.state.position().clone();
        let values = self
            .chains
            .functions
            .iter()
            .map(|function| function.of(&draws));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        self.verify(&values)?;
        if let Some(store) = &mut self.store {
            store.push(&draws)?;
        }
        self.traces.record(&draws, info);
        if self.kept.len() < self.chains.config.keep {
            self.kept.push(draws.clone());
        }
        let values = std::iter::once(draws).chain(values);
        for (monitor, value) in self.monitors.iter_mut().zip(values) {
            monitor.update(value);
        }
        Ok(())
    }

    /// Fails unless all states so far, and the values of the functions, are finite.
    fn verify(&mut self, values: &[Tensor<D>]) -> Result<(), ChainError> {
        let chains = self.chains;
        let fault = self.health.verify(self.iteration, values);
        fault.map_err(|fault| match fault {
            Fault::State { iteration, chain } => ChainError::Diverged {
                iteration,
                iterations: chains.config.iterations,
                chain,
            },
            Fault::Value { index, chain } => ChainError::FunctionNotFinite {
                name: chains.functions[index].name.clone(),
                iteration: self.iteration,
                chain,
            },
        })
    }

    fn is_check(&self) -> bool {
        self.iteration
            .is_multiple_of(self.chains.config.check_every)
    }

    /// Reads back what is to be read back; whether the stop rule holds.
    fn check(&mut self, caller: &mut Caller<'_, D>) -> Result<bool, ChainError> {
        self.verify(&[])?;
        self.settle()?;
        if self.phase() == Phase::BurnIn {
            return Ok(false);
        }
        let (ess, rhat) = self.extremes();
        caller.tell(ChainEvent::Check {
            iteration: self.iteration,
            ess,
            rhat,
        });
        Ok(self.is_enough((ess, rhat)))
    }

    fn extremes(&self) -> (Option<f64>, Option<f64>) {
        self.monitors[0].extremes()
    }

    fn is_enough(&self, (ess, rhat): (Option<f64>, Option<f64>)) -> bool {
        let rule = self.chains.config.stop;
        rule.is_some_and(|rule| rule.holds(ess, rhat))
    }

    /// Brings to the host and the disk what is on its way there.
    fn settle(&mut self) -> Result<(), ChainError> {
        self.traces.flush();
        self.store.as_mut().map_or(Ok(()), Store::sync)
    }

    fn save(&mut self, place: &Place, rng: &Rng) -> Result<(), ChainError> {
        self.verify(&[])?;
        self.settle()?;
        let contents = Contents {
            identity: self.identity.clone(),
            iteration: self.iteration,
            state: self.state.parts().iter().map(data).collect(),
            rng: rng.position(),
            monitors: self.monitors.iter().map(Monitor::record).collect(),
            traces: self.traces.read().map(<[_]>::to_vec),
            kept: self.kept.iter().map(data).collect(),
            stored: self.store.as_ref().map_or(0, Store::draws),
        };
        contents.write(&place.path)
    }

    fn finish(self, outcome: Outcome) -> ChainRun<D> {
        let traces = self.traces.into_read();
        let names = self.chains.functions.iter().map(|function| &function.name);
        let functions = names.zip(&self.monitors[1..]);
        let functions = functions.filter_map(|(name, g)| Some((name.clone(), g.statistics()?)));
        ChainRun {
            outcome,
            iterations: self.iteration,
            draws: self.monitors[0].draws(),
            statistics: self.monitors[0].statistics(),
            functions: functions.collect(),
            traces,
            kept: self.kept,
            position: self.state.position().clone(),
            settings: Settings::of(&self.chains.kernel, &self.chains.config),
            stored: self.store.map(Store::finish),
        }
    }
}

/// Who is told of a run, and may ask for its end.
struct Caller<'o, const D: usize> {
    observe: &'o mut Observe<'o, D>,
    asked: bool,
}

impl<const D: usize> Caller<'_, D> {
    fn tell(&mut self, event: ChainEvent<'_, D>) {
        self.asked |= (self.observe)(event).is_break();
    }
}

/// The state in the box of the configuration.
fn clipped<K: MarkovKernel<D>, const D: usize>(
    chains: &Chains<'_, K, D>,
    state: K::State,
) -> Result<K::State, ChainError> {
    let Some([low, high]) = chains.config.clip else {
        return Ok(state);
    };
    let position = state.position().clone().clamp(low, high);
    let moved = chains.kernel.moved(state, position);
    moved.ok_or_else(|| ChainError::NoClipping {
        kernel: chains.kernel.describe(),
    })
}

fn require_start<K, const D: usize>(
    chains: &Chains<'_, K, D>,
    start: &Tensor<D>,
) -> Result<(), ChainError> {
    let mut image = start.dims();
    if image.contains(&0) {
        return Err(ChainError::EmptyStart {
            found: image.to_vec(),
        });
    }
    image[0] = 1;
    for direction in &chains.directions {
        if direction.direction.dims() != image {
            return Err(ChainError::DirectionShape {
                name: direction.name.clone(),
                found: direction.direction.dims().to_vec(),
                expected: image.to_vec(),
            });
        }
    }
    let finite = finite_rows(start)
        .try_to_vec_as::<f64>()
        .expect("the flags can be read from their device");
    match finite.iter().position(|flag| *flag == 0.0) {
        Some(chain) => Err(ChainError::StartNotFinite { chain }),
        None => Ok(()),
    }
}

/// The numbers of a tensor, bit for bit.
pub(super) fn data<const D: usize>(tensor: &Tensor<D>) -> TensorData {
    tensor
        .clone()
        .try_into_data()
        .expect("the numbers can be read from their device")
}

/// The tensors with these numbers; none if one is of another rank.
fn tensors<const D: usize>(data: Vec<TensorData>, device: &Device) -> Option<Vec<Tensor<D>>> {
    let tensor = |data: TensorData| {
        let dtype = data.dtype();
        (data.rank() == D).then(|| Tensor::from_data(data, (device, dtype)))
    };
    data.into_iter().map(tensor).collect()
}
