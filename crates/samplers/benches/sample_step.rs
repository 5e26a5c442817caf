//! One step of a sampler with the `tiny` network on a batch of 16 images of 32 x 32 pixels, on the CPU.

use burn::tensor::{Device, Tensor};
use divan::Bencher;
use tweedie_core::{Denoiser, NoiseLabel, Parametrisation, Rng, Schedule, ScheduleConfig, Span};
use tweedie_fidelity::{Isotropic, Pigdm, Posterior};
use tweedie_models::{Architecture, ImageDenoiser, ModelConfig, UNet, UNetConfig};
use tweedie_physics::Inpainting;
use tweedie_sde::{Reverse, pure_noise};
use tweedie_solvers::{Ddpm, Solver};

const BATCH: [usize; 4] = [16, 1, 32, 32];

fn main() {
    divan::main();
}

fn model(device: &Device) -> (ModelConfig, ImageDenoiser<UNet>) {
    let unet = UNetConfig::preset("tiny").expect("a preset");
    let network = unet.init(0, device).expect("a valid preset");
    let config = ModelConfig::new(
        Architecture::UNet(unet),
        Parametrisation::Epsilon,
        ScheduleConfig::DDPM,
        NoiseLabel::Step { steps: 1000 },
        [32, 32],
    );
    let denoiser = config.denoiser(network).expect("a valid schedule");
    (config, denoiser)
}

fn step(
    bencher: Bencher<'_, '_>,
    denoiser: impl Denoiser,
    schedule: &dyn Schedule,
    device: &Device,
) {
    let mut rng = Rng::seeded(0, device);
    let start = pure_noise(schedule, BATCH, 0.5, &mut rng);
    let process = Reverse::sde(schedule, denoiser);
    let span = Span {
        from: 0.5,
        to: 0.49,
    };
    bencher.bench_local(|| {
        Ddpm.step(&process, &mut (), start.clone(), span, &mut rng)
            .try_into_vec_as::<f32>()
    });
}

#[divan::bench(sample_count = 20)]
fn prior(bencher: Bencher<'_, '_>) {
    let device = Device::flex();
    let (config, denoiser) = model(&device);
    let schedule = config.unit_range_schedule().expect("a valid schedule");
    step(bencher, denoiser, &schedule, &device);
}

#[divan::bench(sample_count = 20)]
fn posterior(bencher: Bencher<'_, '_>) {
    let device = Device::flex();
    let (config, prior) = model(&device);
    let schedule = config.unit_range_schedule().expect("a valid schedule");
    let operator = Inpainting::random([32, 32], 0.5, 0, &device).expect("half of the pixels");
    let y = Tensor::zeros([1, 1, 32, 32], &device);
    let guidance = Pigdm::new(operator, y, 0.05, Isotropic::default()).expect("noise above zero");
    step(bencher, Posterior { prior, guidance }, &schedule, &device);
}
