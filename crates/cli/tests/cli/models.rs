//! Checkpoints of other programs: converted, run as they are, and refused where they do not suit.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tweedie::{burn::tensor::Device, models::import};

use crate::{
    bad_input::{FAILED, USAGE, assert_refused},
    denoising::{silent, silent_of_full_size},
    run::Place,
};

/// A small network as another program wrote it.
fn published(place: &Place, name: &str) {
    fs::copy(golden(name), place.path(name)).unwrap();
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../models/tests/golden")
        .join(name)
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
    for manner in ["--self-ensemble", "--precision bf16"] {
        place.succeed(&format!("{restore} other --checkpoint drunet.pth {manner}"));
        assert_ne!(picture("theirs"), picture("other"), "{manner}");
    }
}

#[test]
fn a_source_is_not_overwritten_and_no_draft_is_left() {
    let place = Place::new();
    published(&place, "drunet.pth");
    place.succeed("convert --from drunet.pth --to drunet.safetensors");
    let before = fs::read(place.path("drunet.safetensors")).unwrap();
    assert_refused(
        &place.run("convert --from drunet.safetensors --to ./drunet.safetensors"),
        USAGE,
        &["the same file", "drunet.safetensors"],
    );
    assert_eq!(fs::read(place.path("drunet.safetensors")).unwrap(), before);
    fs::create_dir(place.path("folder.safetensors")).unwrap();
    assert_refused(
        &place.run("convert --from drunet.pth --to folder.safetensors"),
        FAILED,
        &["cannot write folder.safetensors"],
    );
    assert!(!place.path("folder.safetensors.tmp").exists());
}

#[test]
fn folders_of_diffusers_are_models() {
    let place = Place::new();
    for name in ["diffusers_ddpm", "diffusers_pipeline"] {
        let folder = golden(name);
        let line = format!(
            "sample --samples 1 --steps 1 --checkpoint {}",
            folder.display()
        );
        let done = place.succeed(&line);
        assert!(done.out.contains(name), "{done:?}");
        place.succeed(&format!(
            "convert --from {} --to {name}.safetensors",
            folder.display()
        ));
    }
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

    let chains = "mcmc --prior model --chains 2 --iterations 6 --burn-in 2";
    let one = format!("{chains} --checkpoint one.safetensors --out out");
    // As many places as users write.
    for sigma in ["0.1", "0.10005"] {
        let done = place.succeed(&format!("{one} --sigma {sigma}"));
        assert!(!done.err.contains("blind"), "{done:?}");
    }
    for sigma in ["0.1002", "0.2"] {
        assert_refused(
            &place.run(&format!("{one} --sigma {sigma}")),
            USAGE,
            &["level 0.1 alone", &format!("found {sigma}")],
        );
    }
    let blind = format!("{chains} --checkpoint silent.safetensors --out blind");
    let done = place.succeed(&format!("{blind} --sigma 0.2"));
    assert!(done.err.contains("taken for a blind network"), "{done:?}");

    silent_of_full_size(&place.path("full.safetensors"));
    let named = format!("{chains} --checkpoint full.safetensors --arch dncnn-15 --out named");
    place.succeed(&format!("{named} --sigma 0.0588"));
    let text = fs::read_to_string(place.path("named/report.json")).unwrap();
    assert!(text.contains("full.safetensors as dncnn-15"), "{text}");
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
        &place.run("sample --checkpoint drunet.pth --tile 24 --tile-overlap 12"),
        USAGE,
        &["multiples of 8", "24 and 12"],
    );
    for (options, other) in [
        ("--arch drunet-gray", "--checkpoint"),
        ("--tile-overlap 8", "--tile"),
    ] {
        assert_refused(&place.run(&format!("sample {options}")), USAGE, &[other]);
    }
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
