//! Runs the built program on settings small enough for a test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// A network of a few thousand weights for phantoms of 8 x 8 pixels.
pub(crate) const SETTINGS: &str = r#"
[data]
type = "phantoms"

[task]
type = "diffusion"

[task.model]
format = 1
parametrisation = "epsilon"
schedule = { type = "ddpm", steps = 1000, beta_min = 1e-4, beta_max = 0.02 }
label.step.steps = 1000
image_size = [8, 8]

[task.model.architecture]
type = "unet"
channels = 1
base_channels = 8
channel_multipliers = [1, 2]
blocks_per_level = 1
attention_levels = []
heads = 1
groups = 4
dropout = 0.1
time_injection = "scale_shift"

[training]
steps = 3
batch_size = 2
warmup_steps = 1
"#;

/// What the program did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A folder of its own for a test.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("small.toml"), SETTINGS).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// The program with the words of a line, in this folder.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tweedie"));
        command
            .args(line.split_whitespace())
            .current_dir(self.0.path());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Done {
        let output = self.command(line).output().unwrap();
        Done {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// As [`run`](Self::run), for a line that must succeed.
    pub(crate) fn succeed(&self, line: &str) -> Done {
        let done = self.run(line);
        assert_eq!(done.code, Some(0), "{line}: {done:?}");
        done
    }
}

/// The checkpoint of a step in the folder of a run.
pub(crate) fn checkpoint(run: &Path, step: u64) -> PathBuf {
    run.join(format!("checkpoints/step-{step:08}"))
}

/// Number of data rows of a CSV file.
pub(crate) fn rows(path: &Path) -> usize {
    fs::read_to_string(path).unwrap().lines().count() - 1
}

/// The settings that a run has recorded.
pub(crate) fn record(place: &Place, run: &str) -> toml::Table {
    let text = fs::read_to_string(place.path(run).join("run.toml")).unwrap();
    text.parse().unwrap()
}
