//! Checkpoints of other programs: every form that is read gives the same network, and the rest is refused.

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::tensor::{DType, Tensor};
use tempfile::{TempDir, tempdir};
use tweedie_core::Denoiser;
use tweedie_models::{
    Architecture, CheckpointProblem, DrunetConfig, Imported, ModelError, Pretrained, import,
    import_names,
};
use tweedie_testkit::device;

use crate::support::{disturbed, weights};

/// Numbers in each tensor of the checkpoints, in the order of the network's layers.
const SIZES: [usize; 10] = [36, 36, 36, 24, 81, 81, 24, 36, 36, 18];

/// What `make_import.py` writes.
fn expected() -> Vec<Vec<f64>> {
    let tensor = |(i, size)| {
        (0..size)
            .map(|j| (((37 * i + 11 * j) % 17) as f64 - 8.0) / 8.0)
            .collect()
    };
    SIZES.into_iter().enumerate().map(tensor).collect()
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/import")
        .join(name)
}

fn read(path: &Path) -> Result<Imported, ModelError> {
    import(path, None, &device())
}

fn refusal(path: &Path) -> ModelError {
    let error = read(path).expect_err("the file is refused");
    let text = error.to_string();
    assert!(text.len() < 1500, "more than a screen: {text}");
    assert!(text.contains(path.file_name().unwrap().to_str().unwrap()));
    error
}

fn problem(path: &Path) -> CheckpointProblem {
    match refusal(path) {
        ModelError::Checkpoint { problem, path: at } => {
            assert_eq!(at, path);
            problem
        }
        error => panic!("{error}"),
    }
}

/// A file with this content.
fn holding(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("file.pth");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[test]
fn every_form_gives_the_same_network() {
    for name in [
        "zip.pth",
        "legacy.pth",
        "legacy4.pth",
        "half.pth",
        "bfloat16.pth",
        "double.pth",
        "strided.pth",
        "training.pth",
        "lightning.pth",
        "compiled.pth",
        "average.pth",
        "half_average.pth",
        "f16.safetensors",
        "bf16.safetensors",
        "f32.safetensors",
        "f64.safetensors",
    ] {
        let found = read(&file(name)).unwrap_or_else(|error| panic!("{error}"));
        let network = DrunetConfig {
            channels: 1,
            widths: vec![2, 3],
            blocks_per_level: 1,
        };
        assert_eq!(found.config.architecture, Architecture::Drunet(network));
        assert_eq!(weights(&found.network), expected(), "{name}");
    }
}

#[test]
fn the_name_of_the_file_does_not_matter() {
    for (name, other) in [("zip.pth", "a.safetensors"), ("f32.safetensors", "a.pth")] {
        let folder = tempdir().unwrap();
        let path = folder.path().join(other);
        fs::copy(file(name), &path).unwrap();
        assert_eq!(weights(&read(&path).unwrap().network), expected());
    }
}

#[test]
fn a_network_survives_its_file() {
    let folder = tempdir().unwrap();
    let [a, b] = ["a.safetensors", "b.safetensors"].map(|name| folder.path().join(name));
    let mut saved = read(&file("zip.pth")).unwrap();
    saved.network = disturbed(saved.network);
    saved.config.image_size = [17, 19];
    saved.save(&a).unwrap();
    let found = read(&a).unwrap();
    assert_eq!(found.config, saved.config);
    assert_eq!(weights(&found.network), weights(&saved.network));
    found.save(&b).unwrap();
    assert_eq!(fs::read(&a).unwrap(), fs::read(&b).unwrap());
    let model = Pretrained::open(&a, &device()).unwrap();
    assert_eq!(model.config(), &saved.config);
    let x = Tensor::ones([1, 1, 5, 7], &device());
    assert_eq!(model.denoiser().denoise(x, 0.1).dims(), [1, 1, 5, 7]);
    let nowhere = folder.path().join("nowhere").join("a");
    assert!(matches!(found.save(&nowhere), Err(ModelError::Write { path, .. }) if path == nowhere));
}

#[test]
fn a_carried_configuration_must_fit_the_tensors() {
    let (_folder, path) = holding(&[]);
    read(&file("zip.pth")).unwrap().save(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    let edited = |from: &[u8], to: &[u8]| {
        assert_eq!(from.len(), to.len());
        let mut bytes = whole.clone();
        let at = bytes.windows(from.len()).position(|part| part == from);
        bytes[at.unwrap()..][..from.len()].copy_from_slice(to);
        fs::write(&path, bytes).unwrap();
        refusal(&path)
    };
    let error = edited(br#"\"blocks_per_level\":1"#, br#"\"blocks_per_level\":2"#);
    let ModelError::Weights {
        missing,
        unexpected,
        ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!((missing.len(), unexpected.len()), (6, 0));
    let error = edited(br#"\"format\":1"#, br#"\"format\":2"#);
    assert!(matches!(error, ModelError::Format { found: 2, .. }));
    // A number of blocks that would fill the memory with empty layers.
    let error = edited(
        br#"[2,3],\"blocks_per_level\":1"#,
        br#"[9],\"blocks_per_level\":999"#,
    );
    let is = |error, expected: CheckpointProblem| {
        let ModelError::Checkpoint { problem, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(problem, expected);
    };
    let (needed, found) = (1998, 10);
    is(error, CheckpointProblem::Layers { needed, found });
    let error = edited(
        br#"\"channels\":1,\"widths\":[2,3]"#,
        br#"\"channels\":9999,\"widths\":[]"#,
    );
    let (field, found) = ("channels".into(), 9999);
    is(error, CheckpointProblem::Configuration { field, found });
    let error = edited(
        br#"\"image_size\":[128,128]"#,
        br#"\"image_size\":[9000000]"#,
    );
    let (field, found) = ("image_size".into(), 9_000_000);
    is(error, CheckpointProblem::Configuration { field, found });
}

#[test]
fn names_that_do_not_exist_are_answered_with_those_that_do() {
    let error = import(&file("zip.pth"), Some("dalle"), &device()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("\"dalle\"") && import_names().all(|name| text.contains(name)));
    let names: Vec<_> = import_names().collect();
    assert!(names.is_sorted() && names.contains(&"drunet-gray"));
}

#[test]
fn a_checkpoint_of_no_known_network_shows_its_tensors() {
    // A name may hold what a terminal obeys.
    let tensors = [("a.weight", [2, 3]), ("b\u{1b}.weight", [3, 4])];
    let bytes = [0; 48];
    let views = tensors.map(|(name, shape)| {
        let length = 4 * shape[0] * shape[1];
        let data = &bytes[..length];
        let view =
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.into(), data);
        (name, view.unwrap())
    });
    let (_folder, path) = holding(&safetensors::serialize(views, None).unwrap());
    let error = refusal(&path);
    let text = error.to_string();
    assert!(
        text.contains("2 tensors begin with a.weight [2, 3], b .weight [3, 4]"),
        "{text}"
    );
    assert!(text.contains("drunet-color"), "{text}");
    assert!(matches!(error, ModelError::Unrecognised { tensors, .. } if tensors.len() == 2));
}

#[test]
fn tensors_that_do_not_fit_are_named_as_in_the_file() {
    let error = refusal(&file("integers.pth"));
    let text = error.to_string();
    assert_eq!(text.matches("of I64").count(), 5, "{text}");
    let ModelError::Weights { mismatched, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(mismatched.len(), SIZES.len());
    assert!(mismatched.iter().all(|tensor| tensor.dtype == DType::I64));
    assert!(
        mismatched
            .iter()
            .any(|tensor| tensor.name == "m_up1.1.res.2.weight")
    );
    let ModelError::Weights {
        unexpected,
        missing,
        mismatched,
        ..
    } = refusal(&file("counted.pth"))
    else {
        panic!("accepted")
    };
    assert_eq!(unexpected, ["steps"]);
    assert_eq!((missing.len(), mismatched.len()), (0, 0));
}

#[test]
fn files_that_are_no_checkpoints_are_told_apart() {
    use CheckpointProblem as Problem;
    let folder = tempdir().unwrap();
    assert_eq!(problem(folder.path()), Problem::Folder);
    let cases: [(&[u8], Problem, &str); 9] = [
        (b"", Problem::Empty, "is empty"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 130\n",
            Problem::LfsPointer,
            "git LFS pointer",
        ),
        (b"\n <!DOCTYPE html><html>", Problem::WebPage, "web page"),
        (b"<HTML><title>404</title>", Problem::WebPage, "web page"),
        (b"\x80\x02}q\x00.", Problem::PlainPickle, "no tensors"),
        (b"\x80\x05}\x94.", Problem::PlainPickle, "no tensors"),
        (
            b"\x89PNG\r\n",
            Problem::Unknown {
                first: b"\x89PNG\r\n".to_vec(),
            },
            r"begins with \x89PNG\r\n",
        ),
        (
            b"{}",
            Problem::Unknown {
                first: b"{}".to_vec(),
            },
            "unknown kind",
        ),
        (
            &[0; 100],
            Problem::Unknown { first: vec![0; 16] },
            "unknown kind",
        ),
    ];
    for (bytes, expected, words) in cases {
        let (_folder, path) = holding(bytes);
        let found = problem(&path);
        assert_eq!(found, expected);
        assert!(found.to_string().contains(words), "{found}");
    }
    let mut archive = [0; 512];
    archive[257..262].copy_from_slice(b"ustar");
    assert_eq!(
        problem(&holding(&archive).1.with_file_name("file.pth")),
        Problem::Tar
    );
}

#[test]
fn archives_of_other_things_are_told_apart() {
    use CheckpointProblem as Problem;
    assert_eq!(problem(&file("script.pt")), Problem::TorchScript);
    assert_eq!(problem(&file("numbers.pth")), Problem::NoTensors);
    assert!(matches!(
        problem(&file("compressed.pth")),
        Problem::Expands { bytes, length } if bytes > 1 << 20 && length < 5000
    ));
    assert!(matches!(
        problem(&file("expanded.pth")),
        Problem::Oversized { name, bytes, .. } if name == "m_head.weight" && bytes == 6 << 30
    ));
    let error = refusal(&file("list.pth"));
    assert!(matches!(error, ModelError::Pytorch { .. }), "{error}");
    assert!(
        error.to_string().contains("Expected a dictionary"),
        "{error}"
    );
}

#[test]
fn a_file_of_another_network_than_asked_for_is_told_from_an_incomplete_one() {
    let error = import(&file("zip.pth"), Some("drunet-gray"), &device()).unwrap_err();
    let ModelError::OtherNetwork {
        found,
        name,
        expected,
        ..
    } = error
    else {
        panic!("{error}")
    };
    let Architecture::Drunet(found) = *found else {
        panic!("{found:?}")
    };
    assert_eq!((found.widths, name.as_str()), (vec![2, 3], "drunet-gray"));
    let published = Architecture::Drunet(DrunetConfig::published(1));
    assert_eq!(*expected, published);
    // A weight that is missing.
    let bytes = fs::read(file("f32.safetensors")).unwrap();
    let whole = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let lost = "m_up1.1.res.2.weight";
    let views = whole.iter().filter(|(name, _)| *name != lost);
    let (_folder, path) = holding(&safetensors::serialize(views, None).unwrap());
    let error = refusal(&path);
    let ModelError::Weights {
        missing,
        unexpected,
        mismatched,
        ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(missing, [lost]);
    assert_eq!((unexpected.len(), mismatched.len()), (0, 0));
}

#[test]
fn a_damaged_tensor_is_no_weight() {
    let mut bytes = fs::read(file("zip.pth")).unwrap();
    // The first number of the first tensor, -1.
    let number = (-1.0_f32).to_le_bytes();
    let at = bytes.windows(4).position(|four| four == number).unwrap();
    bytes[at] ^= 1;
    let (_folder, path) = holding(&bytes);
    let error = refusal(&path);
    assert!(matches!(error, ModelError::Read { .. }), "{error}");
    assert!(error.to_string().contains("checksum"), "{error}");
}

#[test]
fn a_file_that_does_not_exist_is_named() {
    let nowhere = file("nowhere.pth");
    assert!(matches!(read(&nowhere), Err(ModelError::Read { path, .. }) if path == nowhere));
}

#[test]
fn a_cut_file_is_refused_at_every_length() {
    for name in ["zip.pth", "legacy.pth", "legacy4.pth", "f32.safetensors"] {
        let whole = fs::read(file(name)).unwrap();
        let (_folder, path) = holding(&[]);
        // Below 200 bytes it may not be known what the file is.
        for length in (200..whole.len()).step_by(97).chain([whole.len() - 1]) {
            fs::write(&path, &whole[..length]).unwrap();
            let text = refusal(&path).to_string();
            assert!(text.contains("cut short"), "{name} to {length}: {text}");
        }
    }
}
