//! Checkpoints made to harm: an answer and no more, whatever the bytes.

use std::{fs, panic, path::Path};

use tempfile::tempdir;
use tweedie_models::{CheckpointProblem, ModelError, import};
use tweedie_testkit::device;

use crate::mutation::Mutations;

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
fn a_header_longer_than_its_file_is_refused() {
    let mut bytes = fs::read(golden().join("f32.safetensors")).unwrap();
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    for length in [u64::MAX, 1 << 40, 99_999_999, bytes.len() as u64] {
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        fs::write(&path, &bytes).unwrap();
        let error = import(&path, None, &device()).unwrap_err();
        assert!(matches!(error, ModelError::Safetensors { .. }), "{error}");
    }
}
