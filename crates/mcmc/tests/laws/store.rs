//! Files of draws and traces are NumPy's.

use std::{fs, fs::File, io::Read};

use burn::tensor::{DType, Tensor};
use tweedie_core::Rng;
use tweedie_mcmc::{ChainConfig, ChainEvent, Chains, sample_chains};
use tweedie_testkit::{device, exact, values};
use zip::ZipArchive;

use crate::chains::{Counter, GO_ON, Walk, config, rng, zeros};

/// Type, shape and numbers of a file in NumPy's format 1.0, of which what lies behind the last number is cut off, as NumPy
/// does.
fn parse(bytes: &[u8]) -> (String, Vec<usize>, Vec<f64>) {
    assert_eq!(bytes[..8], *b"\x93NUMPY\x01\x00");
    let length = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!(length % 64, 0);
    assert_eq!(bytes[length - 1], b'\n');
    let header = std::str::from_utf8(&bytes[10..length]).unwrap().trim_end();
    let rest = header.strip_prefix("{'descr': '").unwrap();
    let (kind, rest) = rest
        .split_once("', 'fortran_order': False, 'shape': (")
        .unwrap();
    let axes = rest.strip_suffix("), }").unwrap();
    let axes = axes
        .split(',')
        .map(str::trim)
        .filter(|axis| !axis.is_empty());
    let shape: Vec<usize> = axes.map(|axis| axis.parse().unwrap()).collect();
    let count = shape.iter().product::<usize>();
    let numbers = match kind {
        "<f8" => bytes[length..]
            .chunks_exact(8)
            .map(|b| f64::from_le_bytes(b.try_into().unwrap()))
            .collect(),
        "<f4" => bytes[length..]
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()).into())
            .collect(),
        other => panic!("{other}"),
    };
    let mut numbers: Vec<f64> = numbers;
    assert!(numbers.len() >= count);
    numbers.truncate(count);
    (kind.into(), shape, numbers)
}

#[test]
fn the_file_of_draws_is_an_array_at_any_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("draws.npy");
    fs::write(&path, "what another run has left").unwrap();
    let config = ChainConfig {
        check_every: 4,
        ..config(25, 5, 2)
    };
    let chains = Chains::new(Walk { rho: 0.7 }, config)
        .unwrap()
        .with_store(&path);
    let mut told: Vec<f64> = Vec::new();
    let mut seen = Vec::new();
    let run = chains.run(zeros(3, 2), &mut rng(), |event| {
        match event {
            ChainEvent::Draw { draws, .. } => told.extend(values(draws)),
            ChainEvent::Iteration { .. } => {
                let (_, shape, numbers) = parse(&fs::read(&path).unwrap());
                assert_eq!(numbers, told[..numbers.len()]);
                seen.push(shape[0]);
            }
            ChainEvent::Check { iteration, .. } => {
                let (_, shape, _) = parse(&fs::read(&path).unwrap());
                assert_eq!(shape, [(iteration - 5) / 2, 3, 2]);
            }
            _ => {}
        }
        GO_ON
    });
    assert_eq!(
        parse(&fs::read(&path).unwrap()),
        ("<f8".into(), vec![10, 3, 2], told)
    );
    assert_eq!(run.unwrap().store(), Some(path.as_path()));
    assert!(seen.is_sorted() && seen[0] == 0);
}

#[test]
fn single_precision_is_written_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("draws.npy");
    let start = Tensor::<4>::zeros([2, 1, 1, 3], (&device(), DType::F32));
    let chains = Chains::new(Walk { rho: 0.7 }, config(6, 2, 1))
        .unwrap()
        .with_store(&path);
    let mut told: Vec<f64> = Vec::new();
    let mut rng = Rng::seeded(7, &device()).with_dtype(DType::F32);
    chains
        .run(start, &mut rng, |event| {
            if let ChainEvent::Draw { draws, .. } = event {
                told.extend(values(draws));
            }
            GO_ON
        })
        .unwrap();
    assert_eq!(
        parse(&fs::read(&path).unwrap()),
        ("<f4".into(), vec![4, 2, 1, 1, 3], told)
    );
}

#[test]
fn a_run_that_diverges_leaves_the_draws_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("draws.npy");
    let kernel = Counter {
        bad: Some((1, 1007.0)),
        instead: f64::NAN,
        refuses: false,
    };
    let chains = Chains::new(kernel, config(40, 0, 2))
        .unwrap()
        .with_store(&path);
    chains.run(zeros(2, 1), &mut rng(), |_| GO_ON).unwrap_err();
    let expected = [1002.0, 1002.0, 1004.0, 1004.0, 1006.0, 1006.0];
    assert_eq!(parse(&fs::read(&path).unwrap()).2, expected);
}

#[test]
fn draws_behind_the_end_of_a_shorter_run_are_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let [path, place, early] =
        ["draws.npy", "checkpoint", "early"].map(|name| folder.path().join(name));
    let chains = |iterations| {
        Chains::new(Walk { rho: 0.7 }, config(iterations, 5, 2))
            .unwrap()
            .with_store(&path)
            .with_checkpoint(&place, 1, "")
            .unwrap()
    };
    chains(15).run(zeros(3, 2), &mut rng(), |_| GO_ON).unwrap();
    let expected = fs::read(&path).unwrap();
    let run = chains(25).run(zeros(3, 2), &mut rng(), |event| {
        if let ChainEvent::Checkpoint {
            iteration: 12,
            path,
        } = event
        {
            fs::copy(path, &early).unwrap();
        }
        GO_ON
    });
    run.unwrap();
    assert!(fs::read(&path).unwrap().len() > expected.len());
    fs::copy(&early, &place).unwrap();
    chains(15)
        .resume(&zeros(3, 2), &mut rng(), |_| GO_ON)
        .unwrap();
    assert_eq!(fs::read(&path).unwrap(), expected);
}

fn arrays(path: &std::path::Path) -> Vec<(String, Vec<usize>, Vec<f64>)> {
    let mut archive = ZipArchive::new(File::open(path).unwrap()).unwrap();
    let count = archive.len();
    let read = |index| {
        let mut entry = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let (_, shape, numbers) = parse(&bytes);
        // Nothing lies behind the numbers.
        let width = if parse(&bytes).0 == "<f8" { 8 } else { 4 };
        assert_eq!((bytes.len() - width * numbers.len()) % 64, 0);
        (entry.name().unwrap().into_owned(), shape, numbers)
    };
    (0..count).map(read).collect()
}

#[test]
fn an_export_has_traces_and_draws_chain_by_chain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chains.npz");
    let config = ChainConfig {
        keep: usize::MAX,
        ..config(12, 2, 2)
    };
    let base = || {
        Chains::new(Walk { rho: 0.7 }, config.clone())
            .unwrap()
            .with_direction("tilt", exact(&[0.3, -2.0], [1, 2]))
            .unwrap()
    };
    let run = base().run(zeros(3, 2), &mut rng(), |_| GO_ON).unwrap();
    run.export_npz(&path).unwrap();
    let found = arrays(&path);
    let trace = |trace: usize| run.traces[trace].chains.concat();
    let pixels = |draws: &Tensor<2>, chain: usize| values(draws)[2 * chain..][..2].to_vec();
    let of_chain = |chain| run.kept.iter().flat_map(move |draws| pixels(draws, chain));
    let draws: Vec<f64> = (0..3).flat_map(of_chain).collect();
    let expected = [
        ("posterior/tilt.npy".to_owned(), vec![3, 5], trace(0)),
        ("sample_stats/energy.npy".to_owned(), vec![3, 5], trace(1)),
        ("posterior/x.npy".to_owned(), vec![3, 5, 2], draws.clone()),
    ];
    assert_eq!(found, expected);
    // By draws first they would be other numbers.
    let by_draw: Vec<f64> = run.kept.iter().flat_map(values).collect();
    assert_ne!(by_draw, draws);

    // Draws from a file are the same.
    let stored = base().with_store(folder.path().join("draws.npy"));
    let run = stored.run(zeros(3, 2), &mut rng(), |_| GO_ON).unwrap();
    run.export_npz(&path).unwrap();
    assert_eq!(arrays(&path), expected);
}

#[test]
fn an_export_without_draws_has_the_traces_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chains.npz");
    let run = sample_chains(
        Counter::default(),
        zeros(2, 1),
        &config(9, 5, 1),
        &mut rng(),
        |_| GO_ON,
    );
    run.unwrap().export_npz(&path).unwrap();
    let names: Vec<String> = arrays(&path).into_iter().map(|array| array.0).collect();
    assert_eq!(
        names,
        [
            "sample_stats/energy.npy",
            "sample_stats/acceptance_rate.npy"
        ]
    );
}
