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
fn a_lesion_is_of_one_sign_and_has_a_soft_edge() {
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
        assert!(beside > 0.0, "phantom {index}: a hard edge");
    }
}

/// Pixels of bone or of air alone: the head's brightest, and zero.
fn is_beyond_the_tissue(healthy: &Image) -> Vec<bool> {
    let bone = healthy.maximum();
    let pixels = healthy.pixels().iter();
    pixels.map(|&p| p == bone || p == 0.0).collect()
}

#[test]
fn lesions_end_at_the_rim() {
    let set = set(2, 64);
    let mut cut = 0;
    for index in 0..100 {
        let planted = set.planted(index);
        let (change, mask) = (change(&planted), planted.mask.pixels());
        let beyond = is_beyond_the_tissue(&planted.healthy);
        for pixel in (0..64 * 64).filter(|&pixel| beyond[pixel]) {
            assert_eq!((change[pixel], mask[pixel]), (0.0, 0.0), "phantom {index}");
        }
        cut += usize::from(touches(&change, &beyond, 64));
    }
    // The rim does cut some.
    assert!(cut > 5, "{cut}");
}

/// Whether the change reaches what is beyond the tissue.
fn touches(change: &[f32], beyond: &[bool], size: usize) -> bool {
    let mut changed = (0..change.len()).filter(|&pixel| change[pixel] != 0.0);
    changed.any(|pixel| {
        let near = [pixel - 1, pixel + 1, pixel - size, pixel + size];
        near.into_iter().any(|near| beyond[near])
    })
}

/// In units of its area and its value, of a whole lesion `int_0^1 2 r s(r) dr` lies within the mask and `int_1^1.25` beside it,
/// with `s` the half period of a cosine from 0.75 to 1.25.
#[test]
fn the_edge_of_a_lesion_is_a_cosine_about_its_mask() {
    const SIZE: usize = 240;
    let set = set(4, SIZE);
    let (mut shares, mut whole) = ([0.0; 2], 0.0);
    for index in 0..40 {
        let planted = set.planted(index);
        let change = change(&planted);
        if touches(&change, &is_beyond_the_tissue(&planted.healthy), SIZE) {
            continue;
        }
        let value = change.iter().fold(0.0_f32, |m, c| m.max(c.abs()));
        let area: f32 = planted.mask.pixels().iter().sum();
        for (change, is_ill) in change.iter().zip(planted.mask.pixels()) {
            let place = usize::from(*is_ill == 0.0);
            shares[place] += f64::from(change.abs()) / f64::from(value * area);
        }
        whole += 1.0;
    }
    assert!(whole > 20.0, "{whole} whole lesions");
    let (pi, edge) = (std::f64::consts::PI, 0.5_f64);
    let cosine = (edge / pi).powi(2);
    let expected = [
        (1.0 - edge / 2.0).powi(2) + edge / 2.0 - edge * edge / 8.0 + edge / pi - cosine,
        edge / 2.0 + edge * edge / 8.0 - edge / pi - cosine,
    ];
    for (sum, expected) in shares.iter().zip(expected) {
        let found = sum / whole;
        // The mask has whole pixels, a tenth of the least semi-axis wide: of second order where the value falls evenly.
        assert!((found - expected).abs() < 4e-3, "{found} for {expected}");
    }
}

/// The centre is uniform in an ellipse `0.65 (a, b)` about the head's: `E |p|^2 = 0.65^2 E[a^2 + b^2]/4 + 2 Var(head)`.
#[test]
fn lesions_are_spread_over_the_tissue() {
    const SIZE: usize = 32;
    let set = set(8, SIZE);
    let centre = |index: u64| {
        let change = change(&set.planted(index));
        // Where the value is whole: no rim comes there.
        let whole = 0.999 * change.iter().fold(0.0_f32, |m, c| m.max(c.abs()));
        let place = |pixel: usize| (2 * pixel + 1) as f64 / SIZE as f64 - 1.0;
        let pixels: Vec<usize> = (0..SIZE * SIZE)
            .filter(|&pixel| change[pixel].abs() > whole)
            .collect();
        let count = pixels.len() as f64;
        let mean = |of: fn(usize) -> usize| pixels.iter().map(|&p| place(of(p))).sum::<f64>();
        [mean(|p| p % SIZE) / count, mean(|p| p / SIZE) / count]
    };
    let centres: Vec<[f64; 2]> = (0..1000).map(centre).collect();
    let check = |name: &str, of: &dyn Fn(&[f64; 2]) -> f64, expected: f64| {
        let found: Vec<f64> = centres.iter().map(of).collect();
        let count = found.len() as f64;
        let mean = found.iter().sum::<f64>() / count;
        let variance = found.iter().map(|f| (f - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let z = (mean - expected) / (variance / count).sqrt();
        assert!(z.abs() < 4.9, "{name}: {mean} for {expected}, z {z}");
    };
    check("x", &|[x, _]| *x, 0.0);
    check("y", &|[_, y]| *y, 0.0);
    // Of a uniform number from `low` to `high`.
    let square = |low: f64, high: f64| (low * low + low * high + high * high) / 3.0;
    let inner = |low: f64, high: f64| {
        // `E (a - rim)^2`.
        square(low, high) - (low + high) * 0.11 + square(0.08, 0.14)
    };
    let axes = inner(0.60, 0.72) + inner(0.74, 0.86);
    let expected = 0.65_f64.powi(2) * axes / 4.0 + 2.0 * square(0.0, 0.08);
    check("distance", &|[x, y]| x * x + y * y, expected);
}

/// `[sum, sum x, sum y, sum x y]` over the pixels of 16 x 16, of the healthy head, the ill one and the mask: by numpy, from the law
/// and the same random numbers.
const MOMENTS: [(u64, [[f64; 4]; 3]); 2] = [
    (
        1,
        [
            [64.2280848, -3.4384914, -3.4288292, 1.2011062],
            [65.4087387, -3.7303632, -3.2256849, 1.1515754],
            [6.0, -1.5, 1.125, -0.28125],
        ],
    ),
    (
        2,
        [
            [65.9696578, 2.0583576, -2.9137233, -1.5269661],
            [65.2288633, 1.8328477, -2.6520367, -1.4477263],
            [2.0, 0.625, -0.75, -0.234375],
        ],
    ),
];

#[test]
fn phantoms_are_those_that_their_law_makes() {
    for (index, expected) in MOMENTS {
        let Planted {
            image,
            healthy,
            mask,
        } = set(7, 16).planted(index);
        for (picture, expected) in [healthy, image, mask].iter().zip(expected) {
            let mut found = [0.0; 4];
            for (pixel, value) in picture.pixels().iter().enumerate() {
                let place = |pixel: usize| (2 * pixel + 1) as f64 / 16.0 - 1.0;
                let (x, y) = (place(pixel % 16), place(pixel / 16));
                let terms = [1.0, x, y, x * y].map(|weight| weight * f64::from(*value));
                found
                    .iter_mut()
                    .zip(terms)
                    .for_each(|(sum, term)| *sum += term);
            }
            for (found, expected) in found.iter().zip(expected) {
                // Of 256 pixels in single precision.
                assert!(
                    (found - expected).abs() < 2e-5,
                    "phantom {index}: {found} for {expected}"
                );
            }
        }
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
