//! The schedule of a network's training, seen in pixels of [0, 1].

use tweedie_core::{NoiseLabel, Parametrisation, ScheduleConfig};
use tweedie_models::{Architecture, ModelConfig, UNetConfig};

#[test]
fn it_has_half_the_noise_and_obeys_the_laws_of_schedules() {
    let config = ModelConfig::new(
        Architecture::UNet(UNetConfig::preset("tiny").unwrap()),
        Parametrisation::Epsilon,
        ScheduleConfig::VariancePreserving {
            beta_min: 0.1,
            beta_max: 20.0,
        },
        NoiseLabel::Time { scale: 1000.0 },
        [32, 32],
    );
    let network = config.schedule.build().unwrap();
    let pixels = config.unit_range_schedule().unwrap();
    assert_eq!(pixels.horizon(), network.horizon());
    for t in [0.05, 0.3, 0.77, 1.0] {
        let (scale, sigma) = (pixels.scale(t), pixels.sigma(t));
        assert_eq!(scale, network.scale(t));
        assert_eq!(2.0 * sigma, network.sigma(t));
        assert!((pixels.time_at(sigma) - t).abs() < 1e-12);

        let h = 1e-6;
        let slope = (pixels.sigma(t + h) - pixels.sigma(t - h)) / (2.0 * h);
        let rate = pixels.rates(t).1;
        assert!((slope - rate).abs() < 1e-6 * rate, "{slope} {rate}");
        assert!((pixels.drift_rate(t) - pixels.rates(t).0 / scale).abs() < 1e-12);
        let diffusion = 2.0 * scale * scale * sigma * rate;
        assert!((pixels.diffusion_sq(t) - diffusion).abs() < 1e-10 * diffusion);
    }
}
