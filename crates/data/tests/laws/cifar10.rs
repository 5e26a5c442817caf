//! CIFAR-10 batches, made here: records of the right kind, and wrong ones.

use std::fs;

use burn::data::dataset::Dataset;
use tempfile::TempDir;
use tweedie_data::{Cifar10, DataError, Split};

const RECORD: usize = 3073;

/// The byte at `place` of record `record` of batch `batch`; place 0 is the label.
fn byte(batch: usize, record: usize, place: usize) -> u8 {
    if place == 0 {
        (record % 10) as u8
    } else {
        ((batch * 31 + record * 7 + place) % 256) as u8
    }
}

fn batch(number: usize, records: usize) -> Vec<u8> {
    let mut file = Vec::with_capacity(records * RECORD);
    for record in 0..records {
        file.extend((0..RECORD).map(|place| byte(number, record, place)));
    }
    file
}

#[test]
fn the_five_training_batches_follow_one_another() {
    let folder = TempDir::new().unwrap();
    for number in 1..=5 {
        let path = folder.path().join(format!("data_batch_{number}.bin"));
        fs::write(path, batch(number, 10_000)).unwrap();
    }
    let set = Cifar10::open(folder.path(), Split::Train).unwrap();
    assert_eq!((set.len(), set.labels().len()), (50_000, 50_000));
    for index in [0, 9_999, 10_000, 34_567, 49_999] {
        let (number, record) = (index / 10_000 + 1, index % 10_000);
        assert_eq!(set.labels()[index], byte(number, record, 0));
        let image = set.get(index).unwrap();
        assert_eq!(image.shape(), [3, 32, 32]);
        for place in [1, 1024, 1025, 3072] {
            let expected = f32::from(byte(number, record, place)) / 255.0;
            assert_eq!(
                image.pixels()[place - 1],
                expected,
                "image {index}, byte {place}"
            );
        }
    }
}

#[test]
fn a_missing_batch_is_named() {
    let folder = TempDir::new().unwrap();
    let error = Cifar10::open(folder.path(), Split::Test).unwrap_err();
    assert!(matches!(error, DataError::MissingFile { .. }), "{error}");
    assert!(error.to_string().contains("test_batch.bin"), "{error}");
}

#[test]
fn a_truncated_batch_is_refused_even_between_records() {
    let folder = TempDir::new().unwrap();
    for found in [9_999 * RECORD, 9_999 * RECORD + 100] {
        fs::write(folder.path().join("test_batch.bin"), vec![0; found]).unwrap();
        let error = Cifar10::open(folder.path(), Split::Test).unwrap_err();
        assert!(
            matches!(error, DataError::ByteCount { found: f, expected: 30_730_000, .. }
                if f == found as u64),
            "{error}"
        );
        assert!(error.to_string().contains("test_batch.bin"), "{error}");
    }
}

#[test]
fn a_label_that_is_no_class_is_refused() {
    let folder = TempDir::new().unwrap();
    let mut file = vec![0; 10_000 * RECORD];
    file[4321 * RECORD] = 200;
    fs::write(folder.path().join("test_batch.bin"), file).unwrap();
    let error = Cifar10::open(folder.path(), Split::Test).unwrap_err();
    assert!(
        matches!(
            error,
            DataError::Label {
                index: 4321,
                found: 200,
                classes: 10,
                ..
            }
        ),
        "{error}"
    );
}
