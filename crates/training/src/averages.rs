//! The moving averages of the weights that a run keeps: `w <- d_k w + (1 - d_k) theta`, each with its own decays `d_k`.

use burn::module::Module;

use tweedie_models::EMA_FILE;

use crate::{TrainingConfig, averaged, decay_at, post_hoc};

/// A network whose weights can be updated in their own memory: nothing else holds them then. Empty during an update only.
pub(crate) struct Held<N>(Option<N>);

impl<N> Held<N> {
    pub(crate) fn new(network: N) -> Self {
        Self(Some(network))
    }

    pub(crate) fn get(&self) -> &N {
        self.0.as_ref().expect("no update is under way")
    }

    pub(crate) fn get_mut(&mut self) -> &mut N {
        self.0.as_mut().expect("no update is under way")
    }

    pub(crate) fn replace(&mut self, update: impl FnOnce(N) -> N) {
        self.0 = self.0.take().map(update);
    }
}

/// How much of its past an average keeps.
#[derive(Clone, Copy)]
enum Memory {
    Exponential { decay: f64 },
    Power { width: f64 },
}

impl Memory {
    /// The decay of update `step`, counted from 1.
    fn decay_at(self, step: u64) -> f64 {
        match self {
            Self::Exponential { decay } => decay_at(decay, step),
            Self::Power { width } => post_hoc::decay_at(width, step),
        }
    }
}

/// One average.
pub(crate) struct Average<N> {
    memory: Memory,
    /// Name of its file in a checkpoint.
    pub(crate) file: String,
    pub(crate) network: Held<N>,
}

/// All averages of a run; the first is what samples.
pub(crate) struct Averages<N>(Vec<Average<N>>);

impl<N: Module> Averages<N> {
    /// Averages of one network, `start`.
    pub(crate) fn new(config: &TrainingConfig, start: &N) -> Self {
        let exponential = config.ema_decays.iter().enumerate().map(|(i, &decay)| {
            let file = match i {
                0 => EMA_FILE.to_owned(),
                _ => format!("ema-{decay}.safetensors"),
            };
            (Memory::Exponential { decay }, file)
        });
        let widths = config.post_hoc.iter().flat_map(|post_hoc| post_hoc.widths);
        let power = widths.map(|width| {
            let file = format!("power-{width}.safetensors");
            (Memory::Power { width }, file)
        });
        let all = exponential.chain(power).map(|(memory, file)| Average {
            memory,
            file,
            network: Held::new(start.clone()),
        });
        Self(all.collect())
    }

    /// What samples.
    pub(crate) fn first(&self) -> &N {
        self.0[0].network.get()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Average<N>> {
        self.0.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Average<N>> {
        self.0.iter_mut()
    }

    /// The power-function averages with their widths.
    pub(crate) fn power(&self) -> impl Iterator<Item = (f64, &N)> {
        self.0.iter().filter_map(|average| match average.memory {
            Memory::Power { width } => Some((width, average.network.get())),
            Memory::Exponential { .. } => None,
        })
    }

    /// Takes in the weights after step `step`, counted from 1.
    pub(crate) fn update(&mut self, network: &N, step: u64) {
        for average in &mut self.0 {
            let decay = average.memory.decay_at(step);
            average
                .network
                .replace(|average| averaged(average, network, decay));
        }
    }
}
