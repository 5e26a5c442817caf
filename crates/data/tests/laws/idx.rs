//! MNIST files, small ones made here: plain, gzipped, and damaged in every way.

use std::fs;
use std::io::Write;
use std::path::Path;

use burn::data::dataset::Dataset;
use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;
use tweedie_data::{DataError, Idx, Split};

const COUNT: usize = 7;
const HEIGHT: usize = 4;
const WIDTH: usize = 5;

fn idx(sizes: &[usize], values: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, sizes.len() as u8];
    for size in sizes {
        file.extend((*size as u32).to_be_bytes());
    }
    file.extend(values);
    file
}

fn images() -> Vec<u8> {
    let values: Vec<u8> = (0..COUNT * HEIGHT * WIDTH)
        .map(|i| (i * 37 % 256) as u8)
        .collect();
    idx(&[COUNT, HEIGHT, WIDTH], &values)
}

fn labels() -> Vec<u8> {
    idx(&[COUNT], &[3, 1, 4, 1, 5, 9, 0])
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn with_images(content: Vec<u8>) -> DataError {
    let folder = folder(&[
        ("train-images-idx3-ubyte", content),
        ("train-labels-idx1-ubyte", labels()),
    ]);
    Idx::open(folder.path(), Split::Train).expect_err("a damaged image file")
}

fn with_labels(content: Vec<u8>) -> DataError {
    let folder = folder(&[
        ("train-images-idx3-ubyte", images()),
        ("train-labels-idx1-ubyte", content),
    ]);
    Idx::open(folder.path(), Split::Train).expect_err("a damaged label file")
}

fn names(error: &DataError, file: &str) -> bool {
    error.to_string().contains(file)
}

#[test]
fn plain_and_gzipped_files_are_the_same_set() {
    let plain = folder(&[
        ("train-images-idx3-ubyte", images()),
        ("train-labels-idx1-ubyte", labels()),
    ]);
    let packed = folder(&[
        ("t10k-images-idx3-ubyte.gz", gzipped(&images())),
        ("t10k-labels-idx1-ubyte.gz", gzipped(&labels())),
    ]);
    // Names that say the opposite of the content, and the dotted form.
    let odd = folder(&[
        ("train-images.idx3-ubyte", gzipped(&images())),
        ("train-labels.idx1-ubyte.gz", labels()),
    ]);
    let sets = [
        Idx::open(plain.path(), Split::Train).unwrap(),
        Idx::open(packed.path(), Split::Test).unwrap(),
        Idx::open(odd.path(), Split::Train).unwrap(),
    ];
    for set in &sets {
        assert_eq!(set.len(), COUNT);
        assert_eq!(set.shape(), [1, HEIGHT, WIDTH]);
        assert_eq!(set.labels(), [3, 1, 4, 1, 5, 9, 0]);
        for index in 0..COUNT {
            let expected: Vec<f32> = (0..HEIGHT * WIDTH)
                .map(|p| ((index * HEIGHT * WIDTH + p) * 37 % 256) as f32 / 255.0)
                .collect();
            assert_eq!(set.get(index).unwrap().pixels(), expected);
        }
    }
}

#[test]
fn padding_puts_a_black_border_around_each_image() {
    let folder = folder(&[
        ("train-images-idx3-ubyte", images()),
        ("train-labels-idx1-ubyte", labels()),
    ]);
    let plain = Idx::open(folder.path(), Split::Train).unwrap();
    let padded = plain.clone().padded(2);
    assert_eq!(
        (padded.len(), padded.shape()),
        (COUNT, [1, HEIGHT + 4, WIDTH + 4])
    );
    for index in 0..COUNT {
        let (inner, outer) = (plain.get(index).unwrap(), padded.get(index).unwrap());
        for row in 0..HEIGHT + 4 {
            for column in 0..WIDTH + 4 {
                let inside = (2..HEIGHT + 2).contains(&row) && (2..WIDTH + 2).contains(&column);
                let expected = if inside {
                    inner.pixels()[(row - 2) * WIDTH + column - 2]
                } else {
                    0.0
                };
                assert_eq!(outer.pixels()[row * (WIDTH + 4) + column], expected);
            }
        }
    }
}

#[test]
fn a_missing_split_is_told_apart_from_a_missing_set() {
    let only_test = folder(&[
        ("t10k-images-idx3-ubyte", images()),
        ("t10k-labels-idx1-ubyte", labels()),
    ]);
    Idx::open(only_test.path(), Split::Test).unwrap();
    let error = Idx::open(only_test.path(), Split::Train).unwrap_err();
    assert!(
        matches!(
            error,
            DataError::MissingSplit {
                other_present: true,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .ends_with("the train split is missing; only the test split is there")
    );

    let error = Idx::open(TempDir::new().unwrap().path(), Split::Test).unwrap_err();
    assert!(
        matches!(
            error,
            DataError::MissingSplit {
                other_present: false,
                ..
            }
        ),
        "{error}"
    );

    let no_labels = folder(&[("train-images-idx3-ubyte", images())]);
    let error = Idx::open(no_labels.path(), Split::Train).unwrap_err();
    assert!(matches!(error, DataError::MissingFile { .. }), "{error}");
    assert!(names(&error, "train-labels-idx1-ubyte"));
}

#[test]
fn truncated_files_are_refused_with_their_byte_counts() {
    let whole = images();
    for kept in [5, 15, 16, whole.len() - 1] {
        let error = with_images(whole[..kept].to_vec());
        let expected = if kept < 16 { 16 } else { whole.len() as u64 };
        assert!(
            matches!(error, DataError::ByteCount { found, expected: e, .. }
                if found == kept as u64 && e == expected),
            "{error}"
        );
        assert!(names(&error, "train-images-idx3-ubyte"));
    }
    let packed = gzipped(&whole);
    let error = with_images(packed[..packed.len() / 2].to_vec());
    assert!(matches!(error, DataError::ByteCount { .. }), "{error}");

    let error = with_labels(labels()[..10].to_vec());
    assert!(
        matches!(
            error,
            DataError::ByteCount {
                found: 10,
                expected: 15,
                ..
            }
        ),
        "{error}"
    );
    assert!(names(&error, "train-labels-idx1-ubyte"));
}

#[test]
fn a_gzip_trailer_that_is_cut_or_wrong_is_noticed() {
    let mut packed = gzipped(&images());
    let checksum = packed.len() - 8;
    packed[checksum] ^= 1;
    let error = with_images(packed.clone());
    assert!(matches!(error, DataError::Read { .. }), "{error}");
    assert!(names(&error, "train-images-idx3-ubyte"));
}

#[test]
fn surplus_bytes_are_refused() {
    let mut file = images();
    file.push(0);
    let whole = images().len() as u64;
    let error = with_images(file);
    assert!(
        matches!(error, DataError::ByteCount { found, expected, .. }
            if found == whole + 1 && expected == whole),
        "{error}"
    );
}

#[test]
fn mislabelled_files_are_refused_by_their_magic_number() {
    let error = with_images(labels());
    assert!(
        matches!(
            error,
            DataError::Magic {
                found: 0x0801,
                expected: 0x0803,
                ..
            }
        ),
        "{error}"
    );
    let error = with_labels(images());
    assert!(
        matches!(
            error,
            DataError::Magic {
                found: 0x0803,
                expected: 0x0801,
                ..
            }
        ),
        "{error}"
    );
    let error = with_images(b"<html>not found</html>".to_vec());
    assert!(
        matches!(
            error,
            DataError::Magic {
                found: 0x3C68_746D,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("0x3c68746d, expected 0x00000803"),
        "{error}"
    );
}

#[test]
fn huge_and_empty_sizes_in_a_header_are_refused() {
    let error = with_images(idx(&[0xFFFF_FFFF; 3], &[0; 10]));
    assert!(
        matches!(
            error,
            DataError::ByteCount {
                expected: u64::MAX,
                ..
            }
        ),
        "{error}"
    );
    let error = with_images(idx(&[3, 0, 5], &[]));
    assert!(
        matches!(
            error,
            DataError::EmptySet {
                count: 3,
                height: 0,
                width: 5,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn labels_must_match_the_images_and_be_classes() {
    let error = with_labels(idx(&[COUNT - 1], &[0; COUNT - 1]));
    assert!(
        matches!(
            error,
            DataError::CountMismatch {
                image_count: 7,
                label_count: 6,
                ..
            }
        ),
        "{error}"
    );
    let error = with_labels(idx(&[COUNT], &[0, 1, 2, 10, 4, 5, 6]));
    assert!(
        matches!(
            error,
            DataError::Label {
                index: 3,
                found: 10,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .ends_with("label 10 at index 3, expected 0 to 9"),
        "{error}"
    );
}

#[test]
fn a_folder_in_place_of_a_file_is_missing() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join(Path::new("train-images-idx3-ubyte"))).unwrap();
    let error = Idx::open(folder.path(), Split::Train).unwrap_err();
    assert!(matches!(error, DataError::MissingSplit { .. }), "{error}");
}
