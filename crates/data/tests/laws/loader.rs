//! burn's data loader over these datasets.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataset::Dataset;
use burn::tensor::Tensor;
use tweedie_data::{Image, ImageBatcher, Phantoms};

fn batches(num_workers: usize, shuffle: Option<u64>) -> Vec<Tensor<4>> {
    let mut builder = DataLoaderBuilder::new(ImageBatcher)
        .batch_size(4)
        .num_workers(num_workers)
        .set_device(tweedie_testkit::device());
    if let Some(seed) = shuffle {
        builder = builder.shuffle(seed);
    }
    let loader = builder.build(Phantoms::new(1, 10, 16, 16).unwrap());
    loader.iter().map(Result::unwrap).collect()
}

#[test]
fn batches_hold_the_images_in_order() {
    let phantoms = Phantoms::new(1, 10, 16, 16).unwrap();
    let batches = batches(0, None);
    let sizes: Vec<usize> = batches.iter().map(|batch| batch.dims()[0]).collect();
    assert_eq!(sizes, [4, 4, 2]);
    let images: Vec<Image> = batches
        .into_iter()
        .flat_map(|batch| Image::unbatch(batch).unwrap())
        .collect();
    let expected: Vec<Image> = (0..10).map(|i| phantoms.get(i).unwrap()).collect();
    assert_eq!(images, expected);
}

#[test]
fn shuffling_is_seeded_and_loses_nothing() {
    let images = |seed: u64| -> Vec<Image> {
        batches(0, Some(seed))
            .into_iter()
            .flat_map(|b| Image::unbatch(b).unwrap())
            .collect()
    };
    assert_eq!(images(5), images(5));
    assert_ne!(images(5), images(6));
    let phantoms = Phantoms::new(1, 10, 16, 16).unwrap();
    let shuffled = images(5);
    assert!((0..10).all(|i| shuffled.contains(&phantoms.image(i))));
}

#[test]
#[should_panic(expected = "image 10 of 10")]
fn an_index_beyond_the_end_panics() {
    let _ = Phantoms::new(1, 10, 16, 16).unwrap().get(10);
}
