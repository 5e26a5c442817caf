//! The families of algorithms: folders in which every file is one method with one source.

use std::fs;
use std::path::{Path, PathBuf};

use crate::outcome::{Failure, Outcome};

/// A folder of methods.
pub(crate) struct Family {
    pub(crate) title: &'static str,
    /// Relative to the root of the workspace.
    pub(crate) folder: &'static str,
    /// Files and folders in it that are no method.
    support: &'static [&'static str],
    /// Whether every method is somebody's: an identity operator has no paper.
    pub(crate) cited: bool,
    /// Whether each header says what the method needs and costs, how exact it is and when to use it.
    pub(crate) has_facts: bool,
}

/// In the order of `docs/methods.md`.
pub(crate) const FAMILIES: &[Family] = &[
    Family {
        title: "Noise schedules",
        folder: "crates/core/src/schedule",
        support: &[
            "mod.rs",
            "beta.rs",
            "config.rs",
            "error.rs",
            "inverse.rs",
            "scaled.rs",
        ],
        cited: true,
        has_facts: false,
    },
    Family {
        title: "Processes",
        folder: "crates/sde/src",
        support: &["lib.rs", "error.rs", "forward.rs", "process.rs"],
        cited: true,
        has_facts: false,
    },
    Family {
        title: "Solvers",
        folder: "crates/solvers/src",
        support: &[
            "lib.rs",
            "adaptive.rs",
            "bridge.rs",
            "error.rs",
            "history.rs",
            "integrate.rs",
            "kick.rs",
            "lagrange.rs",
            "levels.rs",
            "quadrature.rs",
            "recorder.rs",
            "variation.rs",
        ],
        cited: true,
        has_facts: false,
    },
    Family {
        title: "Operators",
        folder: "crates/physics/src/operators",
        support: &["mod.rs", "boundary.rs", "compose"],
        cited: false,
        has_facts: false,
    },
    Family {
        title: "Compositions of operators",
        folder: "crates/physics/src/operators/compose",
        support: &["mod.rs"],
        cited: false,
        has_facts: false,
    },
    Family {
        title: "Noise",
        folder: "crates/physics/src/noise",
        support: &["mod.rs", "anscombe.rs", "host.rs"],
        cited: false,
        has_facts: false,
    },
    Family {
        title: "Data terms",
        folder: "crates/fidelity/src/losses",
        support: &["mod.rs", "stacked.rs"],
        cited: true,
        has_facts: false,
    },
    Family {
        title: "Priors",
        folder: "crates/fidelity/src/prior",
        support: &["mod.rs", "difference.rs"],
        cited: true,
        has_facts: false,
    },
    Family {
        title: "Guidance",
        folder: "crates/fidelity/src/guidance",
        support: &["mod.rs"],
        cited: true,
        has_facts: true,
    },
    Family {
        title: "Covariances of the denoised image",
        folder: "crates/fidelity/src/covariance",
        support: &["mod.rs"],
        cited: true,
        has_facts: false,
    },
    Family {
        title: "Posterior samplers",
        folder: "crates/samplers/src",
        support: &[
            "lib.rs",
            "counterfactual.rs",
            "decoded.rs",
            "descent.rs",
            "draw.rs",
            "error.rs",
            "fresh.rs",
            "likelihood_step.rs",
            "measurement.rs",
            "particles",
            "rounds.rs",
            "sampler.rs",
            "split_gibbs.rs",
            "travel.rs",
            "walk.rs",
        ],
        cited: true,
        has_facts: true,
    },
    Family {
        title: "Markov chain kernels",
        folder: "crates/mcmc/src/kernels",
        support: &[
            "mod.rs",
            "boxed_ula.rs",
            "leapfrog.rs",
            "metropolis.rs",
            "preconditioner.rs",
        ],
        cited: true,
        has_facts: true,
    },
    Family {
        title: "Particle samplers",
        folder: "crates/samplers/src/particles",
        support: &["mod.rs", "resampling.rs"],
        cited: true,
        has_facts: true,
    },
];

impl Family {
    /// The files of the methods, sorted by name; that of a method with a folder of its own is the folder's `mod.rs`.
    pub(crate) fn files(&self, root: &Path) -> Outcome<Vec<PathBuf>> {
        let folder = root.join(self.folder);
        let mut files: Vec<PathBuf> = entries(&folder)?
            .into_iter()
            .filter(|path| !self.is_support(path))
            .map(|path| {
                if path.is_dir() {
                    path.join("mod.rs")
                } else {
                    path
                }
            })
            .filter(|path| path.is_file() && path.extension().is_some_and(|kind| kind == "rs"))
            .collect();
        files.sort();
        Ok(files)
    }

    fn is_support(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str());
        self.support.contains(&name.unwrap_or_default())
    }
}

/// What lies in `folder`.
pub(crate) fn entries(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let failure = |source| Failure::io(folder, source);
    let entries = fs::read_dir(folder).map_err(failure)?;
    entries
        .map(|entry| entry.map(|entry| entry.path()).map_err(failure))
        .collect()
}
