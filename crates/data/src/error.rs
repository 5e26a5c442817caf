//! What can be wrong with images and the files that hold them.

use std::path::PathBuf;

use crate::Split;

/// Why an image or a dataset was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system, or the gzip decoder, said.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file's content is neither PNG nor JPEG.
    #[error("{} is neither a PNG nor a JPEG image", path.display())]
    NotAnImage {
        /// The file.
        path: PathBuf,
    },
    /// A PNG or JPEG file is damaged.
    #[error("cannot decode {}: {source}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: image::ImageError,
    },
    /// An image could not be encoded as PNG.
    #[error("cannot encode {}: {source}", path.display())]
    Encode {
        /// The file that was to be written.
        path: PathBuf,
        /// What the encoder said.
        source: image::ImageError,
    },
    /// A JPEG file has no end marker.
    #[error("{} is truncated: {bytes} bytes without an end-of-image marker", path.display())]
    TruncatedJpeg {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
    /// An image has transparent pixels, whose colour is undefined here.
    #[error("{} has transparent pixels; only opaque images are read", path.display())]
    Transparent {
        /// The file.
        path: PathBuf,
    },
    /// An image without a pixel.
    #[error(
        "an image needs at least one channel, row and column, found {channels} x {height} x {width}"
    )]
    EmptyImage {
        /// Channels asked for.
        channels: usize,
        /// Rows asked for.
        height: usize,
        /// Columns asked for.
        width: usize,
    },
    /// The number of values does not fit the shape.
    #[error("found {found} pixel values for an image of {channels} x {height} x {width}")]
    PixelCount {
        /// Channels stated.
        channels: usize,
        /// Rows stated.
        height: usize,
        /// Columns stated.
        width: usize,
        /// Number of values given.
        found: usize,
    },
    /// A pixel is NaN or infinite.
    #[error("pixel value {value} at channel {channel}, row {row}, column {column} is not finite")]
    NotFinite {
        /// The value.
        value: f32,
        /// Its channel.
        channel: usize,
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
    },
    /// Images that must share a shape do not.
    #[error("image {index} is {found:?} (channels, height, width), but image 0 is {expected:?}")]
    ShapeMismatch {
        /// Position of the image that differs.
        index: usize,
        /// Its channels, height and width.
        found: [usize; 3],
        /// Those of image 0.
        expected: [usize; 3],
    },
    /// The number of channels does not fit the purpose.
    #[error("found an image of {found} channels, expected {expected}")]
    ChannelCount {
        /// Channels found.
        found: usize,
        /// What is possible, in words.
        expected: &'static str,
    },
    /// An operation on several images was given none.
    #[error("no images given")]
    NoImages,
    /// A folder holds no image.
    #[error("no .png, .jpg or .jpeg file in {} or below: {}", folder.display(), others(found))]
    EmptyFolder {
        /// The folder.
        folder: PathBuf,
        /// What other files there are.
        found: Vec<PathBuf>,
    },
    /// An image is smaller than the crop.
    #[error(
        "{} is {height} x {width} after resizing, smaller than the crop of {crop} x {crop}",
        path.display()
    )]
    TooSmall {
        /// The file.
        path: PathBuf,
        /// Rows after resizing.
        height: usize,
        /// Columns after resizing.
        width: usize,
        /// Side of the crop.
        crop: usize,
    },
    /// A setting is zero that must be positive.
    #[error("`{setting}` is 0, expected at least 1")]
    ZeroSetting {
        /// Name of the setting.
        setting: &'static str,
    },
    /// A folder lacks the files of a split.
    #[error(
        "{} has no `{file}`, plain or .gz: the {split} split is missing{}",
        folder.display(),
        if *other_present { format!("; only the {} split is there", split.other()) } else { String::new() }
    )]
    MissingSplit {
        /// The folder.
        folder: PathBuf,
        /// The split asked for.
        split: Split,
        /// The file looked for.
        file: String,
        /// Whether the other split's images are in the folder.
        other_present: bool,
    },
    /// A file of a dataset is missing.
    #[error("{} has no `{file}`", folder.display())]
    MissingFile {
        /// The folder.
        folder: PathBuf,
        /// The file looked for.
        file: String,
    },
    /// An IDX file starts with the wrong magic number: it is another kind of file.
    #[error(
        "{}: magic number {found:#010x}, expected {expected:#010x} ({meaning})",
        path.display()
    )]
    Magic {
        /// The file.
        path: PathBuf,
        /// First four bytes, big-endian.
        found: u32,
        /// Those of the expected kind.
        expected: u32,
        /// What the expected number stands for.
        meaning: &'static str,
    },
    /// A file is shorter or longer than its format or header says.
    #[error("{}: {found} bytes (uncompressed), expected {expected}", path.display())]
    ByteCount {
        /// The file.
        path: PathBuf,
        /// Bytes found, after decompression.
        found: u64,
        /// Bytes expected.
        expected: u64,
    },
    /// An IDX header announces an empty set or images without pixels.
    #[error("{}: the header announces {count} items of {height} x {width}", path.display())]
    EmptySet {
        /// The file.
        path: PathBuf,
        /// Items announced.
        count: usize,
        /// Rows announced.
        height: usize,
        /// Columns announced.
        width: usize,
    },
    /// A label is not a class number.
    #[error("{}: label {found} at index {index}, expected 0 to {}", path.display(), classes - 1)]
    Label {
        /// The file.
        path: PathBuf,
        /// Position of the label.
        index: usize,
        /// The label.
        found: u8,
        /// Number of classes.
        classes: u8,
    },
    /// The image file and the label file do not belong together.
    #[error(
        "{} holds {image_count} images, but {} holds {label_count} labels",
        images.display(),
        labels.display()
    )]
    CountMismatch {
        /// The image file.
        images: PathBuf,
        /// Images in it.
        image_count: usize,
        /// The label file.
        labels: PathBuf,
        /// Labels in it.
        label_count: usize,
    },
    /// There are more or fewer labels than images.
    #[error("found {labels} labels for {images} images")]
    LabelCount {
        /// How many images there are.
        images: usize,
        /// How many labels there are.
        labels: usize,
    },
    /// A label is no class.
    #[error("label {index} (counted from 0) is {found}, expected a class below {classes}")]
    LabelRange {
        /// Position of the label.
        index: usize,
        /// The label.
        found: usize,
        /// Number of classes.
        classes: usize,
    },
}

/// Says what files were found.
fn others(found: &[PathBuf]) -> String {
    match found {
        [] => "no file at all".to_owned(),
        [only] => format!("only {}", only.display()),
        [first, ..] => format!("{} other files, such as {}", found.len(), first.display()),
    }
}
