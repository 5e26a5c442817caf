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

/// Digits of 6 x 6 pixels, all of class 3.
pub(crate) fn digits(place: &Place, train: u32, test: u32) {
    digits_of(6, place, train, test);
}

/// Grey squares in the place of digits, all of class 3.
pub(crate) fn digits_of(side: u32, place: &Place, train: u32, test: u32) {
    fs::create_dir(place.path("digits")).unwrap();
    for (prefix, count) in [("train", train), ("t10k", test)] {
        let pixels = vec![128; (count * side * side) as usize];
        let images = idx(0x803, &[count, side, side], &pixels);
        let labels = idx(0x801, &[count], &vec![3; count as usize]);
        place.write(&format!("digits/{prefix}-images-idx3-ubyte"), images);
        place.write(&format!("digits/{prefix}-labels-idx1-ubyte"), labels);
    }
}

/// A folder of grey images of 16 x 20 pixels.
pub(crate) fn pictures(place: &Place, folder: &str, count: usize) {
    fs::create_dir_all(place.path(folder)).unwrap();
    let phantoms = Phantoms::new(1, count, 16, 20).unwrap();
    for index in 0..count as u64 {
        let image: Image = phantoms.image(index);
        image
            .save(place.path(&format!("{folder}/{index}.png")))
            .unwrap();
    }
}

#[test]
fn digits_are_padded_to_the_size_asked_for() {
    let place = Place::new();
    digits(&place, 9, 5);
    let line = "train --config small.toml --data mnist --path digits";
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
    pictures(&place, "pictures", 4);
    let line = "train --config small.toml --data folder --path pictures --size 8 --channels grey";
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

#[test]
fn classes_are_told_where_the_network_is_told_any() {
    let place = Place::new();
    digits(&place, 9, 5);
    let line = "train --config small.toml --data mnist --path digits --size 8 --out";
    place.succeed(&format!(
        "{line} ten --set task.model.architecture.classes=10"
    ));
    let refused = place.run(&format!(
        "{line} three --set task.model.architecture.classes=3"
    ));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.err.contains("10 classes") && refused.err.contains("one of 3"),
        "{refused:?}"
    );

    // Labels of another set in the format.
    let labels = idx(0x801, &[9], &[3, 3, 3, 3, 12, 3, 3, 3, 3]);
    place.write("digits/train-labels-idx1-ubyte", labels);
    let refused = place.run(&format!(
        "{line} odd --set task.model.architecture.classes=10"
    ));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.err.contains("12") && refused.err.contains("index 4"),
        "{refused:?}"
    );
}

#[test]
fn a_folder_has_a_subfolder_for_each_class() {
    let place = Place::new();
    pictures(&place, "pictures/cats", 3);
    pictures(&place, "pictures/dogs", 2);
    let line =
        "train --config small.toml --data folder --path pictures --size 8 --channels grey --out";
    let done = place.succeed(&format!(
        "{line} two --set task.model.architecture.classes=2"
    ));
    assert!(done.out.contains("folder: 3 images"), "{done:?}");
    assert!(
        done.out
            .contains("held out    2: the last files of each class"),
        "{done:?}"
    );

    let refused = place.run(&format!(
        "{line} four --set task.model.architecture.classes=4"
    ));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.err.contains("2 classes") && refused.err.contains("one of 4"),
        "{refused:?}"
    );

    // One that is held out leaves nothing to learn.
    pictures(&place, "pictures/eels", 1);
    let refused = place.run(&format!(
        "{line} three --set task.model.architecture.classes=3"
    ));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.err.contains("eels/0.png alone") && refused.err.contains("at least 2"),
        "{refused:?}"
    );
    fs::remove_dir_all(place.path("pictures/eels")).unwrap();

    pictures(&place, "pictures", 1);
    let refused = place.run(&format!(
        "{line} stray --set task.model.architecture.classes=2"
    ));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.err.contains("0.png lies in no subfolder"),
        "{refused:?}"
    );
}

#[test]
fn a_folder_without_images_says_what_is_there() {
    let place = Place::new();
    fs::create_dir_all(place.path("pictures/deep")).unwrap();
    place.write("pictures/deep/notes.txt", "");
    place.write("pictures/a.tiff", "");
    let refused = place.run("train --data folder --path pictures --out run");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for word in [".png, .jpg or .jpeg", "pictures", "2 other files", "a.tiff"] {
        assert!(refused.err.contains(word), "{word} in {refused:?}");
    }
}
