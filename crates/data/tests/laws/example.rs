//! Images with classes and without, one by one and in batches.

use burn::data::{
    dataloader::batcher::Batcher,
    dataset::{Dataset, InMemDataset},
};
use tweedie_data::{DataError, ExampleBatcher, Image, Labelled, Unlabelled};
use tweedie_testkit::{device, values};

use crate::samples::image_of;

/// Three images of one pixel: 0, 0.25 and 0.5.
fn images() -> InMemDataset<Image> {
    let image = |index: usize| image_of([1, 1, 1], |_, _, _| index as f32 / 4.0);
    InMemDataset::new((0..3).map(image).collect())
}

#[test]
fn each_image_keeps_its_class_in_a_batch_and_a_part_of_it() {
    let labelled = Labelled::new(images(), vec![2, 0, 1], 3).unwrap();
    assert_eq!(labelled.len(), 3);
    let items = (0..3).map(|index| labelled.get(index).unwrap()).collect();
    let batch = ExampleBatcher.batch(items, &device());
    assert_eq!(values(&batch.images), [0.0, 0.25, 0.5]);
    assert_eq!(batch.classes, Some(vec![2, 0, 1]));
    let part = batch.part(1, 2);
    assert_eq!((part.len(), part.is_empty()), (2, false));
    assert_eq!(values(&part.images), [0.25, 0.5]);
    assert_eq!(part.classes, Some(vec![0, 1]));
}

#[test]
fn a_batch_has_classes_where_all_its_images_do() {
    let labelled = Labelled::new(images(), vec![2, 0, 1], 3).unwrap();
    let unlabelled = Unlabelled(images());
    assert_eq!(unlabelled.len(), 3);
    let mixed = vec![labelled.get(0).unwrap(), unlabelled.get(1).unwrap()];
    let batch = ExampleBatcher.batch(mixed, &device());
    assert_eq!(values(&batch.images), [0.0, 0.25]);
    assert_eq!(batch.classes, None);
    assert_eq!(batch.part(0, 1).classes, None);
}

#[test]
fn labels_that_do_not_fit_are_refused() {
    for labels in [vec![0, 1], vec![0, 1, 0, 1]] {
        let count = labels.len();
        let error = Labelled::new(images(), labels, 2).err().unwrap();
        assert!(
            matches!(error, DataError::LabelCount { images: 3, labels } if labels == count),
            "{error}"
        );
    }
    let error = Labelled::new(images(), vec![0, 2, 1], 2).err().unwrap();
    assert!(
        matches!(
            error,
            DataError::LabelRange {
                index: 1,
                found: 2,
                classes: 2
            }
        ),
        "{error}"
    );
}
