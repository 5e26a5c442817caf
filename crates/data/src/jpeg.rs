//! Finding truncated JPEG files, which decoders fill with grey and accept.
//!
//! A JPEG stream is a list of segments `FF marker [length payload]` up to the first start of scan
//! (`FF DA`), then entropy-coded data in which `FF` is always followed by `00` or a restart marker,
//! then, possibly after more segments and scans, the end of image (`FF D9`).
//! ITU-T T.81, annex B, <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>.

const START_OF_SCAN: u8 = 0xDA;
const END_OF_IMAGE: u8 = 0xD9;

/// Whether an end-of-image marker follows the first scan. The segments before it are stepped over by
/// their lengths, because an embedded thumbnail is a JPEG stream with an end marker of its own.
pub(crate) fn is_complete(file: &[u8]) -> bool {
    let mut position = 2;
    while let Some(&[0xFF, marker, high, low]) = file.get(position..position + 4) {
        match marker {
            // A fill byte: any number of them may precede a marker.
            0xFF => position += 1,
            START_OF_SCAN => {
                return file[position..]
                    .windows(2)
                    .any(|pair| pair == [0xFF, END_OF_IMAGE]);
            }
            _ => position += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    false
}
