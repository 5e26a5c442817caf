//! The law of the phantoms with lesions: determinism, classes, and where a lesion changes a head.

use burn::data::dataset::Dataset;
use tweedie_data::{DataError, Image, LesionPhantoms, Planted};

fn set(seed: u64, size: usize) -> LesionPhantoms {
    LesionPhantoms::new(seed, 1000, size, size).unwrap()
}

/// What the lesion changes, pixel by pixel.
fn change(planted: &Planted) -> Vec<f32> {
    let pixels = planted.image.pixels().iter().zip(planted.healthy.pixels());
    pixels.map(|(ill, healthy)| ill - healthy).collect()
}

#[test]
fn a_phantom_depends_on_seed_and_index_alone() {
    let short = LesionPhantoms::new(3, 8, 32, 32).unwrap();
    assert_eq!(set(3, 32).get(7).unwrap(), short.get(7).unwrap());
    assert_eq!(set(3, 32).example(5000), short.example(5000));
    assert_ne!(short.example(7).image, short.example(5).image);
    assert_ne!(short.example(7).image, set(4, 32).example(7).image);
    assert_eq!(short.len(), 8);
}

#[test]
fn odd_phantoms_have_the_lesion_that_is_told() {
    let set = set(1, 32);
    for index in 0..20 {
        let (shown, planted) = (set.example(index), set.planted(index));
        let ill = index % 2 == 1;
        assert_eq!(shown.class, Some(usize::from(ill)));
        let expected = if ill { planted.image } else { planted.healthy };
        assert_eq!(shown.image, expected, "phantom {index}");
    }
}

#[test]
fn a_lesion_changes_its_mask_and_little_else() {
    let set = set(2, 64);
    for index in 0..300 {
        let planted = set.planted(index);
        let (change, mask) = (change(&planted), planted.mask.pixels());
        assert!(mask.iter().all(|&is| is == 0.0 || is == 1.0));
        let total = |inside: f32| {
            let pixels = change.iter().zip(mask).filter(|(_, is)| **is == inside);
            let (sum, size, count) = pixels.fold((0.0, 0.0, 0), |(sum, size, count), (c, _)| {
                (sum + c, size + c.abs(), count + 1)
            });
            (sum, size, count as f32)
        };
        let ((sum, size, count), (_, beside, _)) = (total(1.0), total(0.0));
        // Half of the value at the least, and all of it at the most; of one sign.
        assert!(
            (0.06..0.22).contains(&(size / count)),
            "phantom {index}: {size} over {count} pixels"
        );
        assert!(
            (sum.abs() - size).abs() < 1e-4 * size,
            "phantom {index}: two signs"
        );
        // In units of its area, the cosine edge has 0.17 inside of 1 missing and 0.33 outside; a rim takes some of it.
        assert!(
            beside < 0.6 * size,
            "phantom {index}: {beside} beside {size}"
        );
        assert!(beside > 0.0, "phantom {index}: a hard edge");
    }
}

#[test]
fn lesions_are_as_often_dark_as_bright() {
    let set = set(5, 16);
    let count = 1000;
    let bright = (0..count).filter(|&index| change(&set.planted(index)).iter().sum::<f32>() > 0.0);
    let z = (bright.count() as f64 - 500.0) / 250f64.sqrt();
    assert!(z.abs() < 4.9, "z {z}");
}

#[test]
fn pixels_are_in_range_and_no_brighter_than_bone() {
    let set = set(6, 33);
    for index in 0..200 {
        let Planted { image, healthy, .. } = set.planted(index);
        for picture in [image, healthy] {
            assert!(
                picture
                    .pixels()
                    .iter()
                    .all(|pixel| (0.0..=1.0).contains(pixel))
            );
            assert_eq!(picture.pixels()[0], 0.0);
            assert!(picture.maximum() > 0.7, "no skull in phantom {index}");
        }
    }
}

#[test]
fn sizes_show_the_same_object() {
    let (coarse, fine) = (set(2, 32), set(2, 128));
    for index in 0..20 {
        let mut pooled = vec![0.0; 32 * 32];
        for (position, value) in fine.example(index).image.pixels().iter().enumerate() {
            pooled[position / 128 / 4 * 32 + position % 128 / 4] += value / 16.0;
        }
        let pooled = Image::new(1, 32, 32, pooled).unwrap();
        let pairs = coarse.example(index).image;
        let pairs = pairs.pixels().iter().zip(pooled.pixels());
        let error = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // An edge of height 1 across a pixel: its coverage differs by less than one of 4 columns of points.
        assert!(error < 0.25, "phantom {index}: {error}");
    }
}

#[test]
fn a_size_of_zero_is_refused() {
    assert!(matches!(
        LesionPhantoms::new(0, 1, 0, 32),
        Err(DataError::EmptyImage { height: 0, .. })
    ));
}
