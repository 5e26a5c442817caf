//! Image folders: order, resizing, cropping, flipping, and bad files.

use std::fs;

use burn::data::dataset::Dataset;
use tempfile::TempDir;
use tweedie_data::{Channels, Crop, DataError, Image, ImageFolder, ImageFolderConfig, Resize};

use crate::samples::{image_of, ramp};

fn folder(images: &[(&str, Image)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, image) in images {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image.save(path).unwrap();
    }
    folder
}

fn patches(size: usize) -> ImageFolderConfig {
    ImageFolderConfig {
        size,
        channels: Channels::Grey,
        resize: Resize::Keep,
        ..ImageFolderConfig::default()
    }
}

/// Row and column of the upper left corner of a crop of `ramp([1, _, width])`, and whether it is
/// mirrored.
fn corner(crop: &Image, width: usize) -> (usize, usize, bool) {
    let level = |i: usize| (crop.pixels()[i] * 255.0).round() as usize;
    let mirrored = level(1) < level(0);
    let first = if mirrored {
        level(crop.width() - 1)
    } else {
        level(0)
    };
    (first / width, first % width, mirrored)
}

#[test]
fn files_are_found_in_subfolders_in_the_order_of_their_paths() {
    let images = ["b.png", "a/z.PNG", "a/deep/er.png", "c.png"].map(|name| {
        let level = name.len() as f32 / 255.0;
        (name, image_of([1, 4, 4], |_, _, _| level))
    });
    let folder = folder(&images);
    fs::write(folder.path().join("readme.txt"), "not an image").unwrap();
    let set = ImageFolder::open(folder.path(), patches(4)).unwrap();
    let names: Vec<String> = set
        .files()
        .iter()
        .map(|path| {
            path.strip_prefix(folder.path())
                .unwrap()
                .display()
                .to_string()
        })
        .collect();
    assert_eq!(names, ["a/deep/er.png", "a/z.PNG", "b.png", "c.png"]);
    for (i, name) in names.iter().enumerate() {
        assert_eq!(set.get(i).unwrap().pixels()[0], name.len() as f32 / 255.0);
    }
}

#[test]
fn a_centre_crop_takes_the_middle() {
    let folder = folder(&[("a.png", ramp([1, 9, 14]))]);
    let set = ImageFolder::open(folder.path(), patches(4)).unwrap();
    let crop = set.get(0).unwrap();
    let expected = image_of([1, 4, 4], |_, i, j| ((i + 2) * 14 + j + 5) as f32 / 255.0);
    assert_eq!(crop, expected);
}

#[test]
fn random_crops_and_flips_depend_on_seed_and_index_alone() {
    let folder = folder(&[("a.png", ramp([1, 9, 14])), ("b.png", ramp([1, 9, 14]))]);
    let config = ImageFolderConfig {
        crop: Crop::Random,
        horizontal_flip: true,
        passes: 1000,
        seed: 3,
        ..patches(4)
    };
    let set = ImageFolder::open(folder.path(), config.clone()).unwrap();
    let shorter = ImageFolderConfig {
        passes: 5,
        ..config.clone()
    };
    let shorter = ImageFolder::open(folder.path(), shorter).unwrap();
    assert_eq!((set.len(), shorter.len()), (2000, 10));
    assert!((0..10).all(|i| set.get(i).unwrap() == shorter.get(i).unwrap()));
    let other = ImageFolderConfig { seed: 4, ..config };
    let other = ImageFolder::open(folder.path(), other).unwrap();
    assert!((0..10).any(|i| set.get(i).unwrap() != other.get(i).unwrap()));

    // 6 x 11 corners and 2 orientations, each with 2000 / 132 expected crops.
    let mut counts = vec![0_u32; 6 * 11 * 2];
    for i in 0..set.len() {
        let (row, column, mirrored) = corner(&set.get(i).unwrap(), 14);
        counts[(row * 11 + column) * 2 + usize::from(mirrored)] += 1;
    }
    let expected = 2000.0 / 132.0;
    let chi_square: f64 = counts
        .iter()
        .map(|count| (f64::from(*count) - expected).powi(2) / expected)
        .sum();
    // Mean 131 and standard deviation sqrt(2 * 131) for uniform crops.
    assert!(
        (chi_square - 131.0).abs() < 5.0 * 262.0_f64.sqrt(),
        "{chi_square}"
    );
}

#[test]
fn the_shorter_side_is_resized_and_proportions_kept() {
    // Left half black, right half white: the edge stays in the middle.
    let step = image_of([1, 40, 80], |_, _, j| if j < 40 { 0.0 } else { 1.0 });
    let folder = folder(&[("a.png", step)]);
    let config = ImageFolderConfig {
        resize: Resize::ToCrop,
        ..patches(20)
    };
    let crop = ImageFolder::open(folder.path(), config)
        .unwrap()
        .get(0)
        .unwrap();
    assert_eq!(crop.shape(), [1, 20, 20]);
    for row in crop.pixels().chunks_exact(20) {
        // Resized to 20 x 40: columns 10 to 29 are left, with the edge between 19 and 20. A Lanczos
        // filter rings within 3 pixels of it.
        assert!(row[..7].iter().all(|value| *value < 0.01), "{row:?}");
        assert!(row[13..].iter().all(|value| *value > 0.99), "{row:?}");
        assert!(row[9] < 0.5 && row[10] > 0.5, "{row:?}");
    }
    let config = ImageFolderConfig {
        resize: Resize::ShorterSide(10),
        ..patches(10)
    };
    let crop = ImageFolder::open(folder.path(), config)
        .unwrap()
        .get(0)
        .unwrap();
    assert_eq!(crop.shape(), [1, 10, 10]);
}

#[test]
fn colours_follow_the_configuration() {
    let folder = folder(&[("a.png", ramp([1, 8, 8])), ("b.png", ramp([3, 8, 8]))]);
    for (channels, count) in [(Channels::Grey, 1), (Channels::Rgb, 3)] {
        let config = ImageFolderConfig {
            channels,
            ..patches(8)
        };
        let set = ImageFolder::open(folder.path(), config).unwrap();
        assert!((0..2).all(|i| set.get(i).unwrap().channels() == count));
    }
}

#[test]
fn folders_without_images_are_refused() {
    let empty = TempDir::new().unwrap();
    fs::write(empty.path().join("readme.txt"), "nothing here").unwrap();
    let error = ImageFolder::open(empty.path(), patches(4)).unwrap_err();
    assert!(matches!(error, DataError::EmptyFolder { .. }), "{error}");
    let error = ImageFolder::open(empty.path().join("absent"), patches(4)).unwrap_err();
    assert!(matches!(error, DataError::Read { .. }), "{error}");
    assert!(error.to_string().contains("absent"), "{error}");
}

#[test]
fn one_damaged_file_among_many_is_named_at_once() {
    let names: Vec<String> = (0..10).map(|i| format!("{i}.png")).collect();
    let images: Vec<(&str, Image)> = names
        .iter()
        .map(|name| (name.as_str(), ramp([1, 16, 16])))
        .collect();
    let folder = folder(&images);
    for (name, kept) in [("8.png", 60), ("3.png", 60)] {
        let path = folder.path().join(name);
        let file = fs::read(&path).unwrap();
        fs::write(&path, &file[..kept]).unwrap();
        let error = ImageFolder::open(folder.path(), patches(4)).unwrap_err();
        assert!(matches!(error, DataError::Decode { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn files_smaller_than_the_crop_are_refused() {
    let folder = folder(&[("a.png", ramp([1, 16, 16])), ("b.png", ramp([1, 16, 15]))]);
    let error = ImageFolder::open(folder.path(), patches(16)).unwrap_err();
    assert!(
        matches!(
            error,
            DataError::TooSmall {
                height: 16,
                width: 15,
                crop: 16,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("b.png"), "{error}");
}

#[test]
fn zero_settings_are_refused() {
    let folder = folder(&[("a.png", ramp([1, 16, 16]))]);
    for (config, name) in [
        (patches(0), "size"),
        (
            ImageFolderConfig {
                passes: 0,
                ..patches(4)
            },
            "passes",
        ),
        (
            ImageFolderConfig {
                resize: Resize::ShorterSide(0),
                ..patches(4)
            },
            "shorter_side",
        ),
    ] {
        let error = ImageFolder::open(folder.path(), config).unwrap_err();
        assert!(
            matches!(error, DataError::ZeroSetting { setting } if setting == name),
            "{error}"
        );
    }
}
