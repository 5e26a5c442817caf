//! Weights through files.

use std::{collections::BTreeMap, fs, path::Path};

use burn::tensor::DType;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use tempfile::tempdir;
use tweedie_models::{
    ModelError, TimeInjection, UNetConfig, load_checkpoint, load_weights, save_weights,
};
use tweedie_testkit::device;

use crate::support::{awake, in_double, small, untrained, weights};

fn config() -> UNetConfig {
    small(TimeInjection::ScaleShift)
}

/// Shapes by name, from the header of a safetensors file.
fn header(path: &Path) -> BTreeMap<String, Vec<usize>> {
    let bytes = fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let entries: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let entries = entries.as_object().unwrap().iter();
    entries
        .filter(|(name, _)| *name != "__metadata__")
        .map(|(name, entry)| {
            let shape = serde_json::from_value(entry["shape"].clone()).unwrap();
            (name.clone(), shape)
        })
        .collect()
}

#[test]
fn a_round_trip_changes_no_bit() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let saved = awake(&config(), &device());
    save_weights(&saved, &path).unwrap();
    for target in [device(), device().autodiff()] {
        let mut loaded = config().init(1, &target).unwrap();
        assert_ne!(weights(&loaded), weights(&saved));
        load_weights(&mut loaded, &path).unwrap();
        assert_eq!(weights(&loaded), weights(&saved));
        if target.is_autodiff() {
            assert_eq!(untrained(&loaded), 0);
        }
    }
}

#[test]
fn equal_weights_make_equal_files_and_nothing_else_is_left_behind() {
    let folder = tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
    save_weights(&config().init(1, &device()).unwrap(), &a).unwrap();
    save_weights(&awake(&config(), &device()), &b).unwrap();
    assert_ne!(fs::read(&a).unwrap(), fs::read(&b).unwrap());
    save_weights(&awake(&config(), &device()), &a).unwrap();
    assert_eq!(fs::read(&a).unwrap(), fs::read(&b).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn names_and_layout_are_those_of_pytorch() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    save_weights(&config().init(1, &device()).unwrap(), &path).unwrap();
    // Readers of PyTorch look for this.
    let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
    assert!(text.contains(r#""__metadata__":{"format":"pt"}"#));
    let header = header(&path);
    assert_eq!(header["input.weight"], [4, 2, 3, 3]);
    assert_eq!(header["time.first.weight"], [16, 4]);
    assert_eq!(header["norm.weight"], [4]);
    assert_eq!(header["norm.bias"], [4]);
    assert_eq!(
        header["encoder.0.stages.0.attention.qkv.weight"],
        [12, 4, 1, 1]
    );
}

#[test]
fn double_precision_is_read_as_single() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let network = awake(&config(), &device());
    save_weights(&in_double(network.clone()), &path).unwrap();
    let mut loaded = config().init(1, &device()).unwrap();
    load_weights(&mut loaded, &path).unwrap();
    assert_eq!(weights(&loaded), weights(&network));
}

#[test]
fn tensors_that_do_not_fit_are_listed_together() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let mut other = config();
    other.channels = 1;
    other.attention_levels = vec![1];
    save_weights(&other.init(1, &device()).unwrap(), &path).unwrap();
    let mut network = config().init(2, &device()).unwrap();
    let before = weights(&network);
    let error = load_weights(&mut network, &path).unwrap_err();
    let message = error.to_string();
    let ModelError::Weights {
        path: found_path,
        missing,
        unexpected,
        mismatched,
    } = error
    else {
        panic!("{message}")
    };
    assert_eq!(found_path, path);
    // One attention layer has 6 tensors; level 0 and level 1 have 3 of them each.
    assert_eq!((missing.len(), unexpected.len()), (18, 18));
    assert!(missing.contains(&"encoder.0.stages.0.attention.qkv.weight".to_string()));
    assert!(unexpected.contains(&"encoder.1.stages.0.attention.norm.bias".to_string()));
    let names: Vec<_> = mismatched.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["input.weight", "output.bias", "output.weight"]);
    assert_eq!(mismatched[0].expected, [4, 2, 3, 3]);
    assert_eq!(mismatched[0].found, [4, 1, 3, 3]);
    assert!(message.contains("18 missing: ") && message.contains("18 unexpected: "));
    assert!(message.contains(path.to_str().unwrap()));
    assert_eq!(weights(&network), before);
}

#[test]
fn counters_of_norms_are_not_needed() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let network = awake(&config(), &device());
    save_weights(&network, &path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let whole = SafeTensors::deserialize(&bytes).unwrap();
    let seven = 7_i64.to_le_bytes();
    for (name, is_taken) in [("norm.num_batches_tracked", true), ("norm.steps", false)] {
        let counter = TensorView::new(Dtype::I64, vec![], &seven).unwrap();
        let tensors = whole.iter().chain([(name, counter)]);
        fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
        let mut loaded = config().init(1, &device()).unwrap();
        assert_eq!(load_checkpoint(&mut loaded, &path).is_ok(), is_taken);
        assert_eq!(weights(&loaded) == weights(&network), is_taken);
    }
}

#[test]
fn integers_are_no_weights() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    save_weights(&config().init(1, &device()).unwrap(), &path).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    for start in 0..bytes.len() - 5 {
        if &bytes[start..start + 5] == b"\"F32\"" {
            bytes[start + 1] = b'I';
        }
    }
    fs::write(&path, bytes).unwrap();
    let error = load_weights(&mut config().init(1, &device()).unwrap(), &path).unwrap_err();
    let ModelError::Weights { mismatched, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(mismatched.len(), header(&path).len());
    assert!(mismatched.iter().all(|m| m.dtype == DType::I32));
}

#[test]
fn damaged_files_are_refused_by_name() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("damaged.safetensors");
    let mut network = config().init(1, &device()).unwrap();
    save_weights(&network, &path).unwrap();
    let whole = fs::read(&path).unwrap();
    let cuts = [0, 5, 8, 60, whole.len() / 2, whole.len() - 1];
    let mut endless = whole.clone();
    endless[..8].fill(0xff);
    let longer = [&whole[..], b"more"].concat();
    let text = b"<!doctype html><title>404</title>".to_vec();
    let damaged = cuts.iter().map(|&cut| whole[..cut].to_vec());
    for bytes in damaged.chain([endless, longer, text]) {
        fs::write(&path, &bytes).unwrap();
        let error = load_weights(&mut network, &path).unwrap_err();
        assert!(
            matches!(&error, ModelError::Safetensors { path: found, .. } if *found == path),
            "{} bytes: {error}",
            bytes.len()
        );
        assert!(error.to_string().contains("damaged.safetensors"));
    }
}

#[test]
fn places_that_cannot_be_read_or_written_are_named() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("nowhere").join("a.safetensors");
    let mut network = config().init(1, &device()).unwrap();
    assert!(matches!(
        load_weights(&mut network, &path),
        Err(ModelError::Read { path: found, .. }) if found == path
    ));
    assert!(matches!(
        save_weights(&network, &path),
        Err(ModelError::Write { path: found, .. }) if found == path
    ));
}
