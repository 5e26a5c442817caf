//! `tweedie sample` with the model inside the program and with a trained one.

use std::fs;

use tweedie::data::Image;

use crate::{
    bad_input::{FAILED, USAGE, assert_refused},
    run::Place,
};

#[test]
fn samples_do_not_depend_on_the_batch_size() {
    let place = Place::new();
    for (batch, solver) in [(1, "ddpm"), (3, "ddpm"), (1, "ddim"), (3, "ddim")] {
        place.succeed(&format!(
            "sample --samples 3 --steps 3 --seed 5 --size 12 --separate --solver {solver} --batch-size {batch} \
             --out {solver}{batch}"
        ));
    }
    for solver in ["ddpm", "ddim"] {
        for image in ["samples.png", "images/00000.png", "images/00002.png"] {
            let read =
                |batch: u8| fs::read(place.path(&format!("{solver}{batch}/{image}"))).unwrap();
            assert_eq!(read(1), read(3), "{solver} {image}");
        }
    }
    let pictures = |name: &str| fs::read(place.path(name)).unwrap();
    assert_ne!(pictures("ddpm1/samples.png"), pictures("ddim1/samples.png"));
}

#[test]
fn a_trained_run_is_sampled_from_its_newest_checkpoint() {
    let place = Place::new();
    place.succeed("train --config small.toml --out run");
    let done =
        place.succeed("sample --checkpoint run --samples 2 --steps 2 --trajectory --out drawn");
    assert!(done.out.contains("step-00000003"), "{done:?}");
    assert!(done.out.contains("8 x 8 pixels"), "{done:?}");
    assert!(place.path("drawn/samples.png").exists());
    assert!(place.path("drawn/trajectory.png").exists());
    let heun =
        place.succeed("sample --checkpoint run --samples 2 --steps 3 --solver heun --out heun");
    assert!(heun.out.contains("5 evaluations"), "{heun:?}");
}

/// A schedule that ends with noise: what is left of it is taken away. The network answers nothing, so that its clean images are grey.
#[test]
fn samples_have_no_noise_left() {
    let place = Place::new();
    place.succeed(
        "train --config small.toml --steps 1 --set training.learning_rate=1e-9 --set task.model.parametrisation.edm.sigma_data=0.01 \
         --set task.model.label.time.scale=1.0 --set task.model.schedule.type=variance_exploding --set task.model.schedule.sigma_min=1.0 \
         --set task.model.schedule.sigma_max=2.0 --out noisy",
    );
    for solver in ["ddpm", "ddim"] {
        place.succeed(&format!(
            "sample --checkpoint noisy --samples 1 --steps 3 --solver {solver} --out drawn"
        ));
        let image = Image::load(place.path("drawn/samples.png"), None).unwrap();
        let farthest = image.pixels().iter().map(|p| (p - 0.5).abs());
        let farthest = farthest.fold(0.0, f32::max);
        assert!(farthest < 0.01, "{solver}: {farthest}");
    }
}

#[test]
fn what_cannot_be_sampled_is_refused() {
    let place = Place::new();
    for (line, words) in [
        ("sample --samples 0", ["--samples", "0"]),
        ("sample --steps 0", ["--steps", "0"]),
        ("sample --eta 1.5", ["--eta", "1.5"]),
        ("sample --solver rk4", ["rk4", "euler-maruyama"]),
        ("sample --size 0", ["--size", "0"]),
        ("sample --grid magic", ["magic", "karras"]),
    ] {
        assert_refused(&place.run(line), USAGE, &words);
    }
    let done = place.run("sample --checkpoint nowhere");
    assert_refused(&done, FAILED, &["cannot read nowhere"]);
    place.write("file", "in the way");
    let done = place.run("sample --samples 1 --steps 1 --size 8 --out file/below");
    assert_refused(&done, FAILED, &["file/below"]);
}
