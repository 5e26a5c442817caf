//! Checkpoints of other programs: converted, run as they are, and refused where they do not suit.

use std::{fs, path::Path};

use serde_json::Value;
use tweedie::{burn::tensor::Device, models::import};

use crate::{
    bad_input::{FAILED, USAGE, assert_refused},
    denoising::silent,
    run::Place,
};

/// A small network as another program wrote it.
fn published(place: &Place, name: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden");
    fs::copy(golden.join(name), place.path(name)).unwrap();
}

fn report(place: &Place) -> Value {
    serde_json::from_str(&fs::read_to_string(place.path("out/report.json")).unwrap()).unwrap()
}

#[test]
fn a_converted_file_is_the_network_it_came_from() {
    let place = Place::new();
    published(&place, "drunet.pth");
    let done = place.succeed("convert --from drunet.pth --to drunet.safetensors");
    assert!(done.out.contains("\"type\": \"drunet\""), "{done:?}");
    let restore = "restore --samples 2 --steps 2 --out";
    place.succeed(&format!("{restore} theirs --checkpoint drunet.pth"));
    place.succeed(&format!("{restore} ours --checkpoint drunet.safetensors"));
    let picture = |folder: &str| fs::read(place.path(&format!("{folder}/samples.png"))).unwrap();
    assert_eq!(picture("theirs"), picture("ours"));
    place.succeed(&format!(
        "{restore} other --checkpoint drunet.pth --self-ensemble"
    ));
    assert_ne!(picture("theirs"), picture("other"));
}

#[test]
fn the_report_says_how_the_network_was_run() {
    let place = Place::new();
    published(&place, "drunet.pth");
    place.succeed(
        "restore --checkpoint drunet.pth --samples 1 --steps 2 --tile 64 --tile-overlap 16 --self-ensemble \
         --precision f16 --out out",
    );
    assert_eq!(
        report(&place)["checkpoint"],
        "drunet.pth, f16, in tiles of 64 that share 16, averaged over symmetries"
    );
}

#[test]
fn a_network_of_one_noise_level_is_a_prior_at_that_level_alone() {
    let place = Place::new();
    silent(&place.path("silent.safetensors"), 1);
    let mut network = import(&place.path("silent.safetensors"), None, &Device::flex()).unwrap();
    network.config.only_sigma = Some(0.1);
    network.save(&place.path("one.safetensors")).unwrap();

    let chains = "mcmc --prior model --checkpoint one.safetensors --chains 2 --iterations 6 --burn-in 2 --out out";
    place.succeed(&format!("{chains} --sigma 0.1"));
    assert_refused(
        &place.run(&format!("{chains} --sigma 0.2")),
        USAGE,
        &["level 0.1 alone", "found 0.2"],
    );
    for verb in ["sample", "restore"] {
        assert_refused(
            &place.run(&format!("{verb} --checkpoint one.safetensors --out out")),
            USAGE,
            &["level 0.1 alone", "mcmc --prior model --sigma 0.1"],
        );
    }
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let place = Place::new();
    published(&place, "drunet.pth");
    let whole = fs::read(place.path("drunet.pth")).unwrap();
    place.write("cut.pth", &whole[..whole.len() / 2]);
    place.write("page.pth", "<!DOCTYPE html><html><body>404</body></html>");
    place.write(
        "pointer.pth",
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 130579607\n",
    );
    place.write("empty.pth", "");
    for (line, code, words) in [
        (
            "--from cut.pth --to out.safetensors",
            FAILED,
            &["cut.pth", "cut short"][..],
        ),
        (
            "--from page.pth --to out.safetensors",
            FAILED,
            &["web page"],
        ),
        (
            "--from pointer.pth --to out.safetensors",
            FAILED,
            &["pointer.pth", "LFS"],
        ),
        ("--from empty.pth --to out.safetensors", FAILED, &["empty"]),
        (
            "--from none.pth --to out.safetensors",
            FAILED,
            &["none.pth"],
        ),
        (
            "--from drunet.pth --to out.safetensors --arch dncnn-25",
            FAILED,
            &["\"drunet\"", "dncnn-25"],
        ),
        (
            "--from drunet.pth --to out.safetensors --arch drunet-color",
            FAILED,
            &["\"widths\":[2,4,6,8]", "\"widths\":[64,128,256,512]"],
        ),
        (
            "--from drunet.pth --to out.safetensors --arch resnet",
            FAILED,
            &["resnet", "drunet-color"],
        ),
        (
            "--from drunet.pth --to out.pth",
            USAGE,
            &["out.pth", ".safetensors"],
        ),
    ] {
        assert_refused(&place.run(&format!("convert {line}")), code, words);
        assert!(!place.path("out.safetensors").exists());
    }
    assert_refused(
        &place.run("sample --checkpoint drunet.pth --tile 20 --tile-overlap 8"),
        USAGE,
        &["multiples of 8", "20 and 8"],
    );
    assert_refused(
        &place.run("sample --checkpoint drunet.pth --tile 16 --tile-overlap 16"),
        USAGE,
        &["16 x 16", "found 16"],
    );
    assert_refused(
        &place.run("sample --checkpoint ."),
        FAILED,
        &["model.json", "config.json"],
    );
}
