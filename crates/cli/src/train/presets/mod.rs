//! The runs that have a name, as TOML files inside the program.

use clap::ValueEnum;
use toml::Table;

/// `--preset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PresetName {
    /// A network of a million weights on random phantoms: minutes on two processor cores.
    Phantoms,
    /// The same network on MNIST.
    Mnist,
    /// The same network, told whether a head is healthy, for `anomaly`.
    Lesions,
    /// Ho et al. 2020 on CIFAR-10.
    Cifar10,
    /// The notebook "Diffusion models from scratch in PyTorch" on a folder of images.
    Course,
    /// A denoiser of photographs, as Zhang et al. 2021 trained it.
    Drunet,
    /// Karras et al. 2022 on CIFAR-10.
    Edm,
    /// Noise levels and weights of Song & Ermon 2019, in continuous time, on CIFAR-10.
    Ncsn,
}

impl PresetName {
    /// Its file.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Phantoms => include_str!("phantoms.toml"),
            Self::Mnist => include_str!("mnist.toml"),
            Self::Lesions => include_str!("lesions.toml"),
            Self::Cifar10 => include_str!("cifar10.toml"),
            Self::Course => include_str!("course.toml"),
            Self::Drunet => include_str!("drunet.toml"),
            Self::Edm => include_str!("edm.toml"),
            Self::Ncsn => include_str!("ncsn.toml"),
        }
    }

    /// Its settings.
    pub(super) fn table(self) -> Result<Table, toml::de::Error> {
        self.text().parse()
    }

    /// All names, with commas.
    pub(super) fn all() -> String {
        let names = Self::value_variants()
            .iter()
            .filter_map(Self::to_possible_value);
        names
            .map(|name| name.get_name().to_owned())
            .collect::<Vec<_>>()
            .join(", ")
    }
}
