//! Checkpoints made to harm: an answer and no more, whatever the bytes.

use std::{
    fs,
    io::{Cursor, Write},
    panic,
    path::Path,
};

use safetensors::{Dtype, SafeTensorError, tensor::TensorView};
use tempfile::tempdir;
use tweedie_models::{CheckpointProblem, ModelError, import};
use tweedie_testkit::device;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::{formula::blank, mutation::Mutations};

fn golden() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/import"))
}

/// The benchmark `readers` does the same for longer, and watches the memory.
#[test]
fn damaged_files_are_answered() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("damaged");
    let whole = import(&golden().join("zip.pth"), None, &device()).unwrap();
    whole.save(&path).unwrap();
    let mutations = Mutations::new(golden(), vec![fs::read(&path).unwrap()]);
    let (mut accepted, mut refused) = (0, 0);
    for number in 0..3000 {
        fs::write(&path, mutations.make(number)).unwrap();
        let run = || import(&path, None, &device());
        match panic::catch_unwind(run) {
            Ok(Ok(_)) => accepted += 1,
            Ok(Err(error)) => {
                refused += 1;
                let text = error.to_string();
                assert!(text.len() < 2000, "{number}: more than a screen: {text}");
            }
            Err(_) => panic!("mutation {number}"),
        }
    }
    // Changed numbers inside of a tensor are not damage that a reader can see.
    assert!(accepted > 100 && refused > 1000, "{accepted} and {refused}");
}

/// A file before version 1.6 whose saved object these opcodes make.
fn legacy(object: &[u8]) -> Result<(), ModelError> {
    let whole = fs::read(golden().join("legacy.pth")).unwrap();
    // The saved object is the fourth pickle.
    let starts: Vec<_> = (0..whole.len() - 1)
        .filter(|&at| whole[at..].starts_with(b"\x80\x02"))
        .collect();
    let bytes = [
        &whole[..starts[3]],
        b"\x80\x02",
        object,
        b".",
        b"\x80\x02].",
    ]
    .concat();
    let folder = tempdir().unwrap();
    let path = folder.path().join("hostile.pth");
    fs::write(&path, bytes).unwrap();
    import(&path, None, &device()).map(|_| ())
}

fn assert_too_many(object: &[u8]) {
    let error = legacy(object).unwrap_err();
    let ModelError::Checkpoint { problem, .. } = &error else {
        panic!("{error}")
    };
    assert!(matches!(problem, CheckpointProblem::Objects { .. }));
}

#[test]
fn nested_lists_do_not_overflow_the_stack() {
    let lists = [vec![b']'; 100_000], vec![b'a'; 99_999]].concat();
    let tuples = [vec![b')'], vec![0x85; 100_000]].concat();
    let dictionaries = [
        b"}K\x01".repeat(100_000),
        b"}".to_vec(),
        b"s".repeat(100_000),
    ]
    .concat();
    for object in [lists, tuples, dictionaries] {
        let error = legacy(&object).unwrap_err();
        let refused = matches!(
            &error,
            ModelError::Pytorch { .. }
                | ModelError::Checkpoint {
                    problem: CheckpointProblem::Objects { .. },
                    ..
                }
        );
        assert!(refused, "{error}");
    }
}

#[test]
fn more_objects_than_memory_are_refused_before_they_are_made() {
    // 300 000 objects of one byte each.
    assert_too_many(&[b"(".to_vec(), vec![b'N'; 300_000], b"t".to_vec()].concat());
    // 2^40 objects: a list is copied into itself.
    let doubled = b"h\x00h\x00\x86q\x00".repeat(40);
    assert_too_many(&[b"Nq\x00", &doubled[..]].concat());
    assert_too_many(&[b"N", &b"2\x86".repeat(40)[..]].concat());
    // A tuple or list of a thousand, copied or remembered.
    let thousand = b"N".repeat(1000);
    for made in [
        [b"](", &thousand[..], b"e"].concat(),
        [b"]", &b"Na".repeat(1000)[..]].concat(),
        [b"(", &thousand[..], b"t"].concat(),
    ] {
        for again in [&b"2"[..], b"q\x00"] {
            assert_too_many(&[&made[..], &again.repeat(400)].concat());
        }
        assert_too_many(&[&made[..], b"\x94", &b"h\x00".repeat(400)].concat());
    }
    let line = [b"V", &vec![b'a'; 1 << 20][..], b"\nq\x00"].concat();
    assert_too_many(&[&line[..], b"(", &b"h\x00".repeat(100), b"t"].concat());
    // A long text, copied.
    let text = [b"X\x00\x00\x10\x00", &vec![b'a'; 1 << 20][..], b"q\x00"].concat();
    assert_too_many(&[&text[..], b"(", &b"h\x00".repeat(100), b"t"].concat());
}

#[test]
fn lengths_that_no_file_has_allocate_nothing() {
    for object in [
        &b"X\xff\xff\xff\xff"[..],
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x8b\xff\xff\xff\x7f",
    ] {
        let error = legacy(object).unwrap_err();
        assert!(matches!(error, ModelError::Pytorch { .. }), "{error}");
    }
}

#[test]
fn more_objects_than_memory_are_refused_in_archives_and_before_the_saved_object() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("hostile.pth");
    let assert_refused = || {
        let error = import(&path, None, &device()).unwrap_err();
        let ModelError::Checkpoint { problem, .. } = &error else {
            panic!("{error}")
        };
        assert!(matches!(problem, CheckpointProblem::Objects { .. }));
    };
    let tuple = |count| [&b"\x80\x02("[..], &vec![b'N'; count], b"t."].concat();

    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    archive.start_file("hostile/data.pkl", stored).unwrap();
    archive.write_all(&tuple(300_000)).unwrap();
    fs::write(&path, archive.finish().unwrap().into_inner()).unwrap();
    assert_refused();

    // In place of the version.
    let whole = fs::read(golden().join("legacy.pth")).unwrap();
    let first = whole.iter().position(|&byte| byte == b'.').unwrap();
    fs::write(&path, [&whole[..=first], &tuple(5000)].concat()).unwrap();
    assert_refused();
}

/// Shapes that promise a network of more numbers than the file has.
#[test]
fn a_network_out_of_proportion_to_its_file_is_not_made() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let width = 100_000;
    let names = ["Conv1.0.weight", "Conv_1x1.weight"].map(str::to_owned);
    let shapes = [vec![width, 1, 1, 1], vec![1, width, 1, 1]];
    blank(&path, &names.into_iter().zip(shapes).collect());
    let error = import(&path, None, &device()).unwrap_err();
    assert!(matches!(error, ModelError::Unrecognised { .. }), "{error}");
}

/// An archive of `count` empty entries, of which the directory gives the names and no more.
fn directory(count: u64) -> Vec<u8> {
    let start = b"PK\x03\x04".to_vec();
    let mut entry = b"PK\x01\x02".to_vec();
    entry.resize(46, 0);
    entry[28] = 6;
    let mut bytes = start;
    for number in 0..count {
        bytes.extend(&entry);
        bytes.extend(format!("{number:06x}").as_bytes());
    }
    let (end, length) = (bytes.len() as u64, 52 * count);
    bytes.extend(b"PK\x06\x06");
    for (number, width) in [(44, 8), (45, 2), (45, 2), (0, 4), (0, 4)] {
        bytes.extend(&u64::to_le_bytes(number)[..width]);
    }
    for number in [count, count, length, 4] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(b"PK\x06\x07\0\0\0\0");
    bytes.extend(end.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([0xff; 12]);
    bytes.extend([0; 2]);
    bytes
}

#[test]
fn archives_with_more_entries_than_networks_have_tensors_are_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("hostile.pth");
    // The first can be read, but holds no pickle; the last is damaged where nobody gets.
    for (count, is_read) in [(60_000, true), (70_000, false), (1_000_000, false)] {
        let mut bytes = directory(count);
        if count == 1_000_000 {
            let last = 4 + 52 * (count as usize - 1);
            bytes[last] = 0;
        }
        fs::write(&path, bytes).unwrap();
        let error = import(&path, None, &device()).unwrap_err();
        let too_many = matches!(
            error,
            ModelError::Checkpoint {
                problem: CheckpointProblem::Objects { .. },
                ..
            }
        );
        assert_eq!(too_many, !is_read, "{count}: {error}");
        assert!(
            too_many || error.to_string().contains("No data.pkl"),
            "{error}"
        );
    }
}

#[test]
fn a_header_longer_than_its_file_is_refused() {
    let mut bytes = fs::read(golden().join("f32.safetensors")).unwrap();
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    for length in [u64::MAX, 1 << 40, 4 << 20, bytes.len() as u64] {
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        fs::write(&path, &bytes).unwrap();
        let error = import(&path, None, &device()).unwrap_err();
        assert!(matches!(error, ModelError::Safetensors { .. }), "{error}");
    }
}

/// A header of this text, and no tensor.
fn header(text: &str) -> ModelError {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let length = (text.len() as u64).to_le_bytes();
    fs::write(&path, [&length[..], text.as_bytes()].concat()).unwrap();
    import(&path, None, &device()).unwrap_err()
}

#[test]
fn a_header_of_more_names_than_networks_have_is_refused_unread() {
    let entry =
        |number| format!(r#""{number}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#);
    let names: Vec<String> = (0..100_000).map(entry).collect();
    let error = header(&format!("{{{}}}", names.join(",")));
    let ModelError::Safetensors { source, .. } = &error else {
        panic!("{error}")
    };
    assert!(matches!(source, SafeTensorError::HeaderTooLarge), "{error}");
}

/// A tensor without elements has axes of any length.
#[test]
fn axes_of_empty_tensors_promise_nothing() {
    let text = r#"{"in_conv.weight":{"dtype":"F32","shape":[1152921504606846976,1,3,0],"data_offsets":[0,0]},
        "out_conv.weight":{"dtype":"F32","shape":[1,1152921504606846976,3,0],"data_offsets":[0,0]}}"#;
    let error = header(text);
    assert!(matches!(error, ModelError::Unrecognised { .. }), "{error}");
}

/// The file of a network of ours whose configuration has become this, with a million numbers in a row beside.
fn carrying(from: &str, to: &str) -> ModelError {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let whole = import(&golden().join("zip.pth"), None, &device()).unwrap();
    let config = serde_json::to_string(&whole.config).unwrap();
    assert!(config.contains(from), "{config}");
    let metadata = [("tweedie".to_owned(), config.replace(from, to))].into();
    let numbers = vec![0; 1 << 20];
    let long = TensorView::new(Dtype::U8, vec![1 << 20], &numbers).unwrap();
    let bytes = safetensors::serialize([("long", long)], Some(metadata)).unwrap();
    fs::write(&path, bytes).unwrap();
    import(&path, None, &device()).unwrap_err()
}

#[test]
fn a_configuration_of_more_layers_than_the_file_has_is_refused_before_they_are_made() {
    let levels = format!(r#""widths":[{}]"#, vec!["9"; 32].join(","));
    for (from, to) in [
        (r#""widths":[2,3]"#, levels.as_str()),
        (r#""blocks_per_level":1"#, r#""blocks_per_level":50000"#),
    ] {
        let error = carrying(from, to);
        let ModelError::Checkpoint { problem, .. } = &error else {
            panic!("{error}")
        };
        let CheckpointProblem::Layers { needed, found: 1 } = problem else {
            panic!("{error}")
        };
        assert!(*needed >= 64, "{error}");
    }
}
