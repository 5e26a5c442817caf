//! Peak memory: of short and long runs, each in a process of its own, where it must not grow with the number of steps; and of
//! a training step.

use std::io;
use std::process::Command;

use tweedie::burn::tensor::Device;
use tweedie::core::{Denoiser, NoiseLabel, Parametrisation, ScheduleConfig};
use tweedie::fidelity::{Dps, Isotropic, Posterior};
use tweedie::models::{Architecture, ImageDenoiser, ModelConfig, UNet, UNetConfig};
use tweedie::samplers::DiffusionSampler;
use tweedie::sde::Reverse;
use tweedie::solvers::Ddpm;

use crate::cells::{Free, ddrm, grid, measurement, preserving, run};

/// The option before a method, a denoiser and a number of steps: that run alone, and its peak memory in KiB.
pub(crate) const ONE_RUN: &str = "--one-run";

const STEPS: [&str; 2] = ["10", "1000"];

/// The images of the free denoiser, and of the network, which takes one channel.
const FREE: [usize; 4] = [8, 3, 64, 64];
const IMAGE: [usize; 4] = [8, 1, 32, 32];

/// Steps of which a training's peak is taken: the second has the optimiser's state.
const TRAINING_STEPS: usize = 3;

/// Prints a row for each method and denoiser.
pub(crate) fn table() -> io::Result<()> {
    println!("peak resident memory, MiB      10 steps  1000 steps");
    for method in ["dps", "ddrm"] {
        for denoiser in ["free", "network"] {
            let peaks = STEPS.map(|steps| peak_of([method, denoiser, steps]));
            let [short, long] = peaks.map(|peak| peak.map(|kib| kib as f64 / 1024.0));
            let label = format!("{method}, {denoiser}");
            println!("{label:<30} {:>8.1} {:>11.1}", short?, long?);
        }
    }
    Ok(())
}

fn peak_of(words: [&str; 3]) -> io::Result<u64> {
    let program = std::env::current_exe()?;
    let output = Command::new(program).arg(ONE_RUN).args(words).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| {
        let errors = String::from_utf8_lossy(&output.stderr);
        io::Error::other(format!("{words:?}: found `{}`, {errors}", text.trim()))
    })
}

/// Makes the run of [`ONE_RUN`] in this process.
pub(crate) fn one_run(words: &[String]) -> io::Result<()> {
    let device = Device::flex();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [method, denoiser, steps] = words[..] else {
        return Err(io::Error::other(
            "expected a method, a denoiser and a number of steps",
        ));
    };
    let steps = steps.parse().map_err(io::Error::other)?;
    match denoiser {
        "network" => restore(method, network(&device), IMAGE, steps, &device),
        _ => restore(method, Free::default(), FREE, steps, &device),
    }
    println!("{}", resident_kib("VmHWM:")?);
    Ok(())
}

fn restore(method: &str, prior: impl Denoiser, shape: [usize; 4], steps: usize, device: &Device) {
    let measurement = measurement(shape, device);
    if method == "ddrm" {
        return run(&ddrm(prior, measurement, grid(steps)), shape, device);
    }
    let (operator, y, noise) = (measurement.operator, measurement.y, measurement.noise_std);
    // A network that is not trained returns its input: only with an uncertainty of about `sigma` is its guidance stable.
    let spread = Isotropic::new(1e6).expect("above 0");
    let guidance = Dps::annealed(operator, y, noise, spread).expect("in range");
    let process = Reverse::sde(preserving(), Posterior { prior, guidance });
    run(
        &DiffusionSampler::new(process, Ddpm, grid(steps)),
        shape,
        device,
    );
}

fn network(device: &Device) -> ImageDenoiser<UNet> {
    let unet = UNetConfig::preset("tiny").expect("a preset");
    let network = unet.init(0, device).expect("a valid preset");
    let config = ModelConfig::new(
        Architecture::UNet(unet),
        Parametrisation::Epsilon,
        ScheduleConfig::DDPM,
        NoiseLabel::Step { steps: 1000 },
        [IMAGE[2], IMAGE[3]],
    );
    config.denoiser(network).expect("a valid schedule")
}

/// The peak of the resident memory in some steps, and how far it lies above that before the first one, in MiB.
pub(crate) fn of_steps(mut step: impl FnMut()) -> io::Result<(f64, f64)> {
    // The peak starts anew, so that what building the network took does not count.
    std::fs::write("/proc/self/clear_refs", "5")?;
    let before = resident_kib("VmRSS:")?;
    (0..TRAINING_STEPS).for_each(|_| step());
    let peak = resident_kib("VmHWM:")?;
    let mib = |kib: u64| kib as f64 / 1024.0;
    Ok((mib(peak), mib(peak) - mib(before)))
}

/// A line of this process's status: its resident memory, or the most that it had.
fn resident_kib(field: &str) -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::other(format!("no {field} in /proc/self/status")))
}
