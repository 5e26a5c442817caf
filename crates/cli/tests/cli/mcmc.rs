//! `tweedie mcmc`: what it writes, that it goes on after a kill, and what it refuses.

use std::{fs, thread, time::Duration};

use serde_json::Value;

use crate::{
    bad_input::{FAILED, USAGE, assert_refused},
    run::Place,
};

/// A few cheap steps on a small phantom.
const SHORT: &str =
    "mcmc --chains 2 --iterations 60 --burn-in 20 --settings {\"stages\":3} --out out";

fn report(place: &Place, folder: &str) -> Value {
    let text = fs::read_to_string(place.path(&format!("{folder}/report.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn chains_are_reported_with_their_pictures_and_traces() {
    let place = Place::new();
    let done = place.succeed(SHORT);
    let report = report(&place, "out");
    assert_eq!(report["draws"], 40);
    assert_eq!(report["chains"], 2);
    assert_eq!(report["gradients_per_iteration"], 3);
    assert_eq!(report["gradients"], 180);
    assert_eq!(report["outcome"], "completed");
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64).unwrap();
    assert!(
        number("/mean/psnr") > number("/measurement/psnr") + 3.0,
        "{report}"
    );
    assert!(number("/std/missing_over_seen") > 1.0, "{report}");
    assert!(number("/step_size") < number("/step_bound"), "{report}");
    let slowest = report["slowest"].as_array().unwrap();
    let sizes: Vec<f64> = slowest
        .iter()
        .map(|trace| trace["ess_bulk"].as_f64().unwrap())
        .collect();
    assert_eq!(sizes.len(), 5);
    assert!(sizes.is_sorted(), "{sizes:?}");
    // So few draws are never enough.
    assert_eq!(report["verdict"]["converged"], false);
    assert!(done.out.contains("required at least 200"), "{}", done.out);
    for name in [
        "clean.png",
        "measurement.png",
        "mask.png",
        "samples.png",
        "mean.png",
        "std.png",
        "ess.png",
        "overview.png",
        "traces.svg",
        "chains.npz",
        "chains.checkpoint",
    ] {
        assert!(place.path(&format!("out/{name}")).exists(), "{name}");
    }
}

#[test]
fn a_killed_run_goes_on_bit_for_bit() {
    let place = Place::new();
    let line = |out: &str, more: &str| {
        format!(
            "mcmc --chains 2 --iterations 400 --burn-in 50 --keep 400 --checkpoint-every 20 --settings \
             {{\"stages\":3}} --out {out} {more}"
        )
    };
    place.succeed(&line("whole", ""));
    let mut child = place.command(&line("killed", "")).spawn().unwrap();
    while !place.path("killed/chains.checkpoint").exists() {
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        !place.path("killed/report.json").exists(),
        "the run ended before it was killed"
    );
    let done = place.succeed(&line("killed", "--resume"));
    assert!(
        done.out.contains("going on after iteration"),
        "{}",
        done.out
    );
    for name in [
        "chains.npz",
        "mean.png",
        "std.png",
        "ess.png",
        "samples.png",
    ] {
        let [whole, killed] =
            ["whole", "killed"].map(|run| fs::read(place.path(&format!("{run}/{name}"))).unwrap());
        assert!(whole == killed, "{name} differs");
    }
    let [whole, killed] = ["whole", "killed"].map(|run| report(&place, run));
    for field in [
        "slowest",
        "pixel_ess_min",
        "pixel_rhat_max",
        "mcse_max",
        "mean",
        "std",
    ] {
        assert_eq!(whole[field], killed[field], "{field}");
    }
}

#[test]
fn every_kernel_runs() {
    let place = Place::new();
    for line in [
        "--kernel ula",
        "--kernel mala",
        "--kernel hmc --settings {\"leapfrog_steps\":2}",
        "--kernel preconditioned-ula --prior tikhonov",
        "--kernel preconditioned-mala --prior tikhonov --operator super-resolution",
        "--kernel projected-ula --prior wavelet",
        "--kernel reflected-ula --operator denoising",
        "--kernel underdamped --operator blur",
        "--kernel split-gibbs --settings {\"prior_steps\":2} --operator blur",
        "--kernel pnp-ula --prior model --start pseudo-inverse",
        "--kernel ula --prior model --clip 0 1 --start grey",
        "--kernel ula --operator saturation --lambda 0.001 --step-size 0.0001",
    ] {
        place.succeed(&format!(
            "mcmc --chains 2 --iterations 8 --burn-in 4 --out out {line}"
        ));
        assert_eq!(report(&place, "out")["draws"], 4, "{line}");
    }
}

#[test]
fn a_step_that_is_too_long_is_told_and_one_that_runs_away_is_an_error() {
    let place = Place::new();
    let line = "mcmc --kernel ula --chains 2 --iterations 20 --burn-in 5 --out out --step-size";
    let done = place.succeed(&format!("{line} 0.0016"));
    assert!(
        done.err
            .contains("warning: the step size 1.600e-3 is above 1.250e-3"),
        "{}",
        done.err
    );
    let place = Place::new();
    let line = line.replace("--iterations 20", "--iterations 2000");
    let done = place.run(&format!("{line} 1"));
    assert_eq!(done.code, Some(FAILED), "{done:?}");
    assert!(
        done.err
            .contains("error: chain 0 is not finite after iteration"),
        "{done:?}"
    );
    // What was counted before is there.
    assert_eq!(report(&place, "out")["outcome"], "failed");
}

#[test]
fn what_cannot_be_sampled_is_refused() {
    let place = Place::new();
    for (line, words) in [
        ("--thinning 0", &["thinning", "at least 1", "found 0"][..]),
        ("--burn-in 1500", &["burn", "1500"]),
        ("--kernel hmc --prior model", &["--kernel hmc", "value"]),
        ("--kernel pnp-ula", &["pnp-ula", "--prior model"]),
        (
            "--kernel preconditioned-ula --operator tomography",
            &["singular value"],
        ),
        (
            "--kernel split-gibbs --operator saturation --lambda 0.1",
            &["linear"],
        ),
        (
            "--settings {\"stage\":3}",
            &["settings of sk-rock", "stage"],
        ),
        ("--step-size -1", &["above 0", "-1"]),
    ] {
        let done = place.run(&format!("mcmc --out out {line}"));
        assert_refused(&done, USAGE, words);
    }
    for (line, words) in [
        ("--noise-std 0", &["noise_std", "above 0", "found 0"][..]),
        ("--operator saturation", &["--lambda"]),
        (
            "--operator saturation --prior tikhonov",
            &["Lipschitz", "step size"],
        ),
        ("--resume", &["chains.checkpoint"]),
    ] {
        let done = place.run(&format!("mcmc --out out {line}"));
        assert_refused(&done, FAILED, words);
    }
    place.succeed(SHORT);
    let done = place.run(&format!("{SHORT} --resume --weight 11"));
    assert_refused(&done, FAILED, &["target", "weight 11"]);
}

#[test]
fn gains_over_ula_are_those_of_the_step() {
    let place = Place::new();
    let done = place.succeed("reproduce sk-rock --chains 8 --gradients 2000");
    let row = |name: &str| -> Vec<f64> {
        let line = done
            .out
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap();
        let numbers = line[name.len()..].split_whitespace();
        numbers.map(|word| word.parse().unwrap()).collect()
    };
    // The slowest mode keeps 0.999 of itself in a step of ULA.
    assert_eq!(row("ULA")[0], 0.5);
    for (name, predicted) in [
        ("SK-ROCK, s = 5", 7.53),
        ("SK-ROCK, s = 10", 17.3),
        ("SK-ROCK, s = 15", 27.0),
    ] {
        let [_, _, exact, _, told, ..] = row(name)[..] else {
            panic!("{done:?}");
        };
        assert_eq!(told, predicted, "{name}");
        // A step this long is no longer small for the slowest mode.
        assert!(
            exact > predicted && exact < 1.2 * predicted,
            "{name}: {exact}"
        );
    }
}

#[test]
fn chains_on_the_toy_are_compared_with_the_posterior() {
    let place = Place::new();
    place.succeed("reproduce mcmc-toy --method 0.9/L --gradients 100 --json rows.json");
    let rows: Vec<Value> =
        serde_json::from_str(&fs::read_to_string(place.path("rows.json")).unwrap()).unwrap();
    assert_eq!(rows.len(), 2 * 2);
    for row in &rows {
        let number = |name: &str| row[name].as_f64().unwrap();
        let peer = row["deepinv"].as_array().unwrap();
        // Both have 256 chains, whose spread has a standard error of about 1 %.
        assert!(
            (number("std_ratio") - peer[1].as_f64().unwrap()).abs() < 0.05,
            "{row}"
        );
        assert!(
            (number("w2") - peer[2].as_f64().unwrap()).abs() < 0.06,
            "{row}"
        );
    }
    let done = place.run("reproduce deblur --image out.png");
    assert_refused(&done, FAILED, &["out.png"]);
    let done = place.run("reproduce mcmc-toy --method nuts");
    assert_refused(&done, USAGE, &["nuts", "SK-ROCK"]);
}
