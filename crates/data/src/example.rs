//! What a network learns from: images, with their classes where there are any.

use burn::{
    data::{
        dataloader::batcher::Batcher,
        dataset::{Dataset, DatasetError},
    },
    tensor::{Device, Tensor},
};

use crate::{DataError, Image};

/// An image and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The image.
    pub image: Image,
    /// Its class, counted from 0.
    pub class: Option<usize>,
}

/// Examples of one shape, on a device.
#[derive(Clone, Debug)]
pub struct ExampleBatch {
    /// `[batch, channels, height, width]`, in [0, 1].
    pub images: Tensor<4>,
    /// The class of each image, on the host; none where an image has none.
    pub classes: Option<Vec<usize>>,
}

impl ExampleBatch {
    /// How many examples there are.
    pub fn len(&self) -> usize {
        self.images.dims()[0]
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `count` examples from `first` on.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn part(&self, first: usize, count: usize) -> Self {
        Self {
            images: self.images.clone().narrow(0, first, count),
            classes: self
                .classes
                .as_ref()
                .map(|classes| classes[first..first + count].to_vec()),
        }
    }
}

/// Images without classes: no further word is needed.
impl From<Tensor<4>> for ExampleBatch {
    fn from(images: Tensor<4>) -> Self {
        Self {
            images,
            classes: None,
        }
    }
}

/// Stacks examples of one shape for burn's data loader.
///
/// # Panics
/// `batch` panics if it is given no examples, or images of different shapes.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExampleBatcher;

impl Batcher<Example, ExampleBatch> for ExampleBatcher {
    fn batch(&self, items: Vec<Example>, device: &Device) -> ExampleBatch {
        let classes = items.iter().map(|example| example.class).collect();
        let images: Vec<Image> = items.into_iter().map(|example| example.image).collect();
        ExampleBatch {
            images: Image::batch(&images, device).unwrap_or_else(|error| panic!("{error}")),
            classes,
        }
    }
}

/// The images of a data set as examples without a class.
#[derive(Clone, Debug)]
pub struct Unlabelled<S>(pub S);

impl<S: Dataset<Image>> Dataset<Example> for Unlabelled<S> {
    fn get(&self, index: usize) -> Result<Example, DatasetError> {
        let image = self.0.get(index)?;
        Ok(Example { image, class: None })
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// The images of a data set with a class for each.
///
/// ```
/// use burn::data::dataset::Dataset;
/// use tweedie_data::{Labelled, Phantoms};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let phantoms = Phantoms::new(0, 3, 16, 16)?;
/// let labelled = Labelled::new(phantoms, vec![0, 1, 1], 2)?;
/// assert_eq!(labelled.get(2)?.class, Some(1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Labelled<S> {
    images: S,
    labels: Vec<usize>,
}

impl<S: Dataset<Image>> Labelled<S> {
    /// `labels` has one class below `classes` for each image.
    ///
    /// # Errors
    /// [`DataError::LabelCount`] and [`DataError::LabelRange`] otherwise.
    pub fn new(images: S, labels: Vec<usize>, classes: usize) -> Result<Self, DataError> {
        if labels.len() != images.len() {
            return Err(DataError::LabelCount {
                images: images.len(),
                labels: labels.len(),
            });
        }
        if let Some(index) = labels.iter().position(|&label| label >= classes) {
            return Err(DataError::LabelRange {
                index,
                found: labels[index],
                classes,
            });
        }
        Ok(Self { images, labels })
    }
}

impl<S: Dataset<Image>> Dataset<Example> for Labelled<S> {
    fn get(&self, index: usize) -> Result<Example, DatasetError> {
        let image = self.images.get(index)?;
        let class = Some(self.labels[index]);
        Ok(Example { image, class })
    }

    fn len(&self) -> usize {
        self.images.len()
    }
}
