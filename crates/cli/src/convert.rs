//! `tweedie convert`: the weights of another program as a file of this one.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::Args;
use tweedie::{
    burn::{module::Module, tensor::Device},
    models::import,
};

use crate::failure::{Failure, Outcome};

/// Convert a published checkpoint into one file that says what it is
///
/// Reads what PyTorch writes (.pth, .pt: zip archives and the pickles before them) and .safetensors, in half, single or double
/// precision. No code in a file is ever run. The result, a .safetensors file in single precision, holds the configuration of the
/// network beside its weights, so --checkpoint needs no --arch for it.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The network, where the tensors of the file do not say it all, as with a noise level.
    #[arg(long, value_name = "NAME")]
    arch: Option<String>,
    /// The checkpoint: a file, or a folder of diffusers.
    #[arg(long, value_name = "PATH")]
    from: PathBuf,
    /// The file to write; a file there is replaced in one step.
    #[arg(long, value_name = "FILE.safetensors", value_parser = safetensors)]
    to: PathBuf,
}

/// The result would take the place of its source.
#[derive(Debug, thiserror::Error)]
#[error("--from and --to are the same file, {}", path.display())]
struct OntoItself {
    path: PathBuf,
}

fn safetensors(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|word| word.to_str()) {
        Some("safetensors") => Ok(path),
        _ => Err("expected a name that ends in .safetensors".into()),
    }
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    if let (Ok(from), Ok(to)) = (
        fs::canonicalize(&arguments.from),
        fs::canonicalize(&arguments.to),
    ) && from == to
    {
        return Err(Failure::usage(OntoItself {
            path: arguments.to.clone(),
        }));
    }
    // The processor: nothing is computed.
    let imported = import(&arguments.from, arguments.arch.as_deref(), &Device::flex())?;
    imported.save(&arguments.to)?;
    println!("{}", serde_json::to_string_pretty(&imported.config)?);
    println!("parameters: {}", imported.network.num_params());
    println!("written: {}", arguments.to.display());
    Ok(ExitCode::SUCCESS)
}
