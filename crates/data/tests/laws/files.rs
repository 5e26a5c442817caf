//! PNG and JPEG files: round trips, depths and colours, and damaged files.

use std::fs;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, Rgb, Rgba};
use tempfile::TempDir;
use tweedie_data::{Channels, DataError, Image};

use crate::samples::{image_of, ramp};

fn write(
    folder: &TempDir,
    name: &str,
    image: impl Into<DynamicImage>,
    format: ImageFormat,
) -> PathBuf {
    let path = folder.path().join(name);
    image.into().save_with_format(&path, format).unwrap();
    path
}

fn photograph(width: u32, height: u32) -> ImageBuffer<Rgb<u8>, Vec<u8>> {
    ImageBuffer::from_fn(width, height, |x, y| {
        let wave =
            |phase: f32| (127.5 + 100.0 * (0.2 * (x as f32 + 2.0 * y as f32) + phase).sin()) as u8;
        Rgb([wave(0.0), wave(1.0), wave(2.0)])
    })
}

#[test]
fn png_files_keep_8_bit_images_exactly() {
    let folder = TempDir::new().unwrap();
    for shape in [[1, 16, 16], [3, 9, 11]] {
        let path = folder.path().join("image.png");
        let image = ramp(shape);
        image.save(&path).unwrap();
        assert_eq!(Image::load(&path, None).unwrap(), image);
    }
}

#[test]
fn saving_clamps_and_rounds_to_the_nearest_level() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("image.png");
    let values = vec![
        -0.3,
        0.0,
        0.4999 / 255.0,
        0.5001 / 255.0,
        253.6 / 255.0,
        1.7,
    ];
    Image::new(1, 1, 6, values).unwrap().save(&path).unwrap();
    let levels: Vec<f32> = Image::load(&path, None)
        .unwrap()
        .pixels()
        .iter()
        .map(|value| value * 255.0)
        .collect();
    assert_eq!(levels, [0.0, 0.0, 0.0, 1.0, 254.0, 255.0]);
}

#[test]
fn sixteen_bits_are_read_in_full() {
    let folder = TempDir::new().unwrap();
    let grey = ImageBuffer::<Luma<u16>, _>::from_raw(3, 1, vec![0, 257, 65535]).unwrap();
    let path = write(&folder, "grey.png", grey, ImageFormat::Png);
    let image = Image::load(&path, None).unwrap();
    assert_eq!(image.shape(), [1, 1, 3]);
    assert_eq!(image.pixels(), [0.0, 257.0 / 65535.0, 1.0]);

    let rgb = ImageBuffer::<Rgb<u16>, _>::from_raw(1, 1, vec![1, 30000, 65534]).unwrap();
    let path = write(&folder, "rgb.png", rgb, ImageFormat::Png);
    let image = Image::load(&path, None).unwrap();
    assert_eq!(
        image.pixels(),
        [1.0, 30000.0, 65534.0].map(|value: f32| value / 65535.0)
    );
}

#[test]
fn colours_are_converted_on_request_only() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("colour.png");
    let colour = image_of([3, 1, 2], |c, _, j| {
        [[0.2, 1.0], [0.4, 0.0], [0.6, 0.0]][c][j]
    });
    colour.save(&path).unwrap();
    assert_eq!(Image::load(&path, None).unwrap().channels(), 3);
    let grey = Image::load(&path, Some(Channels::Grey)).unwrap();
    let expected = [0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.6, 0.299];
    for (found, expected) in grey.pixels().iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }

    let path = folder.path().join("grey.png");
    let grey = ramp([1, 4, 4]);
    grey.save(&path).unwrap();
    let colour = Image::load(&path, Some(Channels::Rgb)).unwrap();
    assert_eq!(colour.shape(), [3, 4, 4]);
    assert_eq!(colour.pixels(), grey.pixels().repeat(3));
}

#[test]
fn jpeg_files_are_read_by_content() {
    let folder = TempDir::new().unwrap();
    let path = write(
        &folder,
        "misnamed.png",
        photograph(40, 24),
        ImageFormat::Jpeg,
    );
    let image = Image::load(&path, None).unwrap();
    assert_eq!(image.shape(), [3, 24, 40]);
    let original = photograph(40, 24);
    let error = (0..24 * 40)
        .map(|i| (image.pixels()[i] - f32::from(original.as_raw()[3 * i]) / 255.0).abs())
        .sum::<f32>()
        / (24.0 * 40.0);
    assert!(error < 0.1, "mean error of the red channel {error}");
}

#[test]
fn transparency_is_refused_and_opaque_alpha_dropped() {
    let folder = TempDir::new().unwrap();
    let mut rgba = ImageBuffer::from_pixel(4, 4, Rgba([10_u8, 20, 30, 255]));
    let path = write(&folder, "opaque.png", rgba.clone(), ImageFormat::Png);
    assert_eq!(Image::load(&path, None).unwrap().channels(), 3);
    rgba.put_pixel(3, 3, Rgba([10, 20, 30, 254]));
    let path = write(&folder, "transparent.png", rgba, ImageFormat::Png);
    let error = Image::load(&path, None).unwrap_err();
    assert!(
        matches!(&error, DataError::Transparent { path: p } if *p == path),
        "{error}"
    );
}

#[test]
fn truncated_files_are_refused_by_name() {
    let folder = TempDir::new().unwrap();
    for (name, format) in [("a.png", ImageFormat::Png), ("a.jpg", ImageFormat::Jpeg)] {
        let path = write(&folder, name, photograph(64, 64), format);
        Image::load(&path, None).unwrap();
        let whole = fs::read(&path).unwrap();
        for kept in [8, whole.len() / 3, whole.len() / 2, whole.len() - 20] {
            fs::write(&path, &whole[..kept]).unwrap();
            let error = Image::load(&path, None).expect_err("a truncated file");
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

#[test]
fn the_end_marker_of_a_thumbnail_does_not_count() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "a.jpg", photograph(64, 64), ImageFormat::Jpeg);
    let whole = fs::read(&path).unwrap();
    // An application segment that holds a start of scan and an end of image, as a thumbnail would.
    let mut file = whole[..2].to_vec();
    file.extend([0xFF, 0xE1, 0x00, 0x08, 0xFF, 0xDA, 0x00, 0x00, 0xFF, 0xD9]);
    file.extend(&whole[2..]);
    fs::write(&path, &file).unwrap();
    Image::load(&path, None).unwrap();
    fs::write(&path, &file[..file.len() - 2]).unwrap();
    assert!(matches!(
        Image::load(&path, None),
        Err(DataError::TruncatedJpeg { .. })
    ));
}

#[test]
fn other_files_are_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notes.png");
    fs::write(&path, "not an image").unwrap();
    let error = Image::load(&path, None).unwrap_err();
    assert!(
        matches!(&error, DataError::NotAnImage { path: p } if *p == path),
        "{error}"
    );
    let error = Image::load(folder.path().join("absent.png"), None).unwrap_err();
    assert!(matches!(error, DataError::Read { .. }), "{error}");
    assert!(error.to_string().contains("absent.png"), "{error}");
}

#[test]
fn failed_writes_name_the_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("absent").join("image.png");
    let error = ramp([1, 2, 2]).save(&path).unwrap_err();
    assert!(
        matches!(&error, DataError::Write { path: p, .. } if *p == path),
        "{error}"
    );
    let error = ramp([2, 2, 2]).save(Path::new("never.png")).unwrap_err();
    assert!(
        matches!(error, DataError::ChannelCount { found: 2, .. }),
        "{error}"
    );
}
