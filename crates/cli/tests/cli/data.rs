//! Data sets of files.

use std::fs;

use tweedie::data::{Image, Phantoms};

use crate::run::Place;

/// An IDX file: magic number, sizes, values.
fn idx(magic: u32, sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let header = [&[magic], sizes].concat();
    let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.extend_from_slice(values);
    bytes
}

fn digits(place: &Place, train: u32, test: u32) {
    fs::create_dir(place.path("digits")).unwrap();
    for (prefix, count) in [("train", train), ("t10k", test)] {
        let images = idx(0x803, &[count, 6, 6], &vec![128; count as usize * 36]);
        let labels = idx(0x801, &[count], &vec![3; count as usize]);
        place.write(&format!("digits/{prefix}-images-idx3-ubyte"), images);
        place.write(&format!("digits/{prefix}-labels-idx1-ubyte"), labels);
    }
}

#[test]
fn digits_are_padded_to_the_size_asked_for() {
    let place = Place::new();
    digits(&place, 9, 5);
    let line = "train --config small.json --data mnist --path digits";
    let done = place.succeed(&format!("{line} --size 8 --out run"));
    assert!(
        done.out.contains("mnist: 9 images of 1 x 8 x 8"),
        "{done:?}"
    );
    assert!(done.out.contains("held out    5"), "{done:?}");

    let refused = place.run(&format!("{line} --size 4 --out none"));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("6 x 6"), "{refused:?}");
}

#[test]
fn a_folder_is_cropped_and_its_last_files_are_held_out() {
    let place = Place::new();
    fs::create_dir(place.path("pictures")).unwrap();
    let phantoms = Phantoms::new(1, 4, 16, 20).unwrap();
    for index in 0..4 {
        let image: Image = phantoms.image(index);
        image
            .save(place.path(&format!("pictures/{index}.png")))
            .unwrap();
    }
    let line = "train --config small.json --data folder --path pictures --size 8 --channels grey";
    let fixed = place.succeed(&format!("{line} --out fixed"));
    assert!(
        fixed.out.contains("folder: 3 images of 1 x 8 x 8"),
        "{fixed:?}"
    );
    assert!(fixed.out.contains("held out    1"), "{fixed:?}");

    let varied = place.succeed(&format!(
        "{line} --out varied --resize keep --crop random --flip --batch-size 8"
    ));
    assert!(varied.out.contains("folder: 1000002 images"), "{varied:?}");

    // More images than there are, each the same every time.
    let refused = place.run(&format!("{line} --out none --batch-size 8"));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.err.contains("fewer than a batch of 8"),
        "{refused:?}"
    );
}
