//! Statistics that were stored in the middle of a run and taken up again.

use burn::tensor::{DType, Device, Shape, Tensor, TensorData};
use serde::{Serialize, de::DeserializeOwned};
use tweedie_metrics::{
    Autocorrelation, AutocorrelationRecord, ChainMoments, ChainMomentsRecord, EXACT_DRAWS,
    HeldRecord, RecordError, StreamingQuantiles, StreamingQuantilesRecord, Welford, WelfordRecord,
};
use tweedie_testkit::device;

use crate::markov::autoregressive;

fn draws(count: usize) -> Vec<Tensor<2>> {
    autoregressive(count, [3, 4], 0.7, 11)
}

/// A statistic that is run to `stop`, stored, taken up and run on gives the record of one that never stopped.
fn assert_continues<S, R: PartialEq + std::fmt::Debug>(
    draws: &[Tensor<2>],
    stop: usize,
    empty: impl Fn() -> S,
    update: impl Fn(&mut S, Tensor<2>),
    record: impl Fn(&S) -> R,
    restore: impl Fn(R) -> Result<S, RecordError>,
) {
    let mut whole = empty();
    for draw in draws {
        update(&mut whole, draw.clone());
    }
    let mut first = empty();
    for draw in &draws[..stop] {
        update(&mut first, draw.clone());
    }
    let mut second = restore(record(&first)).unwrap();
    assert_eq!(record(&second), record(&first));
    for draw in &draws[stop..] {
        update(&mut second, draw.clone());
    }
    assert_eq!(record(&second), record(&whole));
    assert_ne!(record(&second), record(&first));
}

#[test]
fn a_restored_statistic_continues_bit_for_bit() {
    let device = device();
    let single = |draws: Vec<Tensor<2>>| -> Vec<Tensor<2>> {
        draws
            .into_iter()
            .map(|draw| draw.cast(DType::F32))
            .collect()
    };
    for draws in [draws(300), single(draws(300))] {
        // Nothing yet; a draw a batch; in the middle of a batch of 4; at its end; at the last of all batches.
        for stop in [0, 5, 79, 80, 256] {
            assert_continues(
                &draws,
                stop,
                ChainMoments::<2>::default,
                ChainMoments::update,
                ChainMoments::record,
                |record| record.restore(&device),
            );
            assert_continues(
                &draws,
                stop,
                || Autocorrelation::<2>::new(&[2, 9]),
                Autocorrelation::update,
                Autocorrelation::record,
                |record| record.restore(&device),
            );
            assert_continues(
                &draws,
                stop,
                Welford::<2>::default,
                Welford::update,
                Welford::record,
                |record| record.restore(&device),
            );
            // Three draws each: 237 are held, 240 too, and 768 are counts.
            assert_continues(
                &draws,
                stop,
                || StreamingQuantiles::<2>::new(&[0.1, 0.5]),
                StreamingQuantiles::update,
                StreamingQuantiles::record,
                |record| record.restore(&device),
            );
        }
    }
}

#[test]
fn what_a_restored_statistic_tells_is_the_same() {
    let device = device();
    let mut chains = ChainMoments::<2>::default();
    let mut correlation = Autocorrelation::<2>::new(&[1]);
    let mut quantiles = StreamingQuantiles::<2>::new(&[0.5]);
    for draw in draws(100) {
        chains.update(draw.clone());
        correlation.update(draw.clone());
        quantiles.update(draw);
    }
    let again: ChainMoments<2> = chains.record().restore(&device).unwrap();
    assert_eq!(again.draws(), 100);
    let tells = |chains: &ChainMoments<2>| {
        [
            chains.mean(),
            chains.std(),
            chains.split_rhat(),
            chains.ess(),
            chains.mcse(),
        ]
        .map(|found| found.unwrap().into_data())
    };
    assert_eq!(tells(&again), tells(&chains));
    let again: Autocorrelation<2> = correlation.record().restore(&device).unwrap();
    let tells = |found: &Autocorrelation<2>| found.autocorrelation().unwrap().into_data();
    assert_eq!(tells(&again), tells(&correlation));
    let again: StreamingQuantiles<2> = quantiles.record().restore(&device).unwrap();
    let tells = |found: &StreamingQuantiles<2>| found.quantiles().unwrap().into_data();
    assert_eq!(tells(&again), tells(&quantiles));
}

#[test]
fn records_are_data() {
    fn is_data<R: Serialize + DeserializeOwned>() {}
    is_data::<ChainMomentsRecord>();
    is_data::<AutocorrelationRecord>();
    is_data::<WelfordRecord>();
    is_data::<StreamingQuantilesRecord>();
}

/// The name of a field, and what is done to it.
type Damage<R> = (&'static str, fn(&mut R));

/// Each damage alone is refused, by an error that names the field.
fn assert_refused<R: Clone, S>(
    record: &R,
    restore: impl Fn(R) -> Result<S, RecordError>,
    damages: &[Damage<R>],
) {
    assert!(restore(record.clone()).is_ok());
    for (name, damage) in damages {
        let mut damaged = record.clone();
        damage(&mut damaged);
        let Err(error) = restore(damaged) else {
            panic!("a damaged {name} is accepted");
        };
        assert!(error.to_string().contains(name), "{name}: {error}");
    }
}

fn zeros(shape: &[usize]) -> TensorData {
    TensorData::zeros::<f64, _>(Shape::from(shape.to_vec()))
}

#[test]
fn damaged_chains_are_refused() {
    let device = device();
    let mut chains = ChainMoments::<2>::default();
    draws(77).into_iter().for_each(|draw| chains.update(draw));
    let record = chains.record();
    let restore = |record: ChainMomentsRecord| record.restore::<2>(&device);
    assert_refused(
        &record,
        restore,
        &[
            ("batches", |r| r.batches = 7),
            ("batches", |r| r.batches = 6),
            ("length", |r| r.length = 3),
            ("length", |r| r.length = 0),
            ("length", |r| r.length = 1 << 33),
            ("count", |r| r.length = 8),
            ("count", |r| r.full[3].count = 3),
            ("count", |r| r.full[3].count = 0),
            ("full", |r| r.full.truncate(15)),
            ("full", |r| r.full = vec![r.full[0].clone(); 32]),
            ("full", |r| {
                r.full[3].mean = zeros(&[2, 4]);
                r.full[3].squares = zeros(&[2, 4]);
            }),
            ("squares", |r| r.full[3].squares = zeros(&[2, 4])),
            ("mean", |r| r.full[3].mean = zeros(&[3, 4, 1])),
            ("mean", |r| {
                r.full[3].mean = TensorData::zeros::<i32, _>([3, 4])
            }),
            ("mean", |r| r.full[3].mean = zeros(&[0, 4])),
            ("squares", |r| {
                r.full[3].squares = TensorData::zeros::<f32, _>([3, 4])
            }),
            ("open", |r| r.open.as_mut().unwrap().count = 4),
            ("count", |r| r.open.as_mut().unwrap().count = 0),
            ("sum", |r| r.open.as_mut().unwrap().sum = zeros(&[3, 5])),
            ("squares", |r| {
                r.open.as_mut().unwrap().squares = zeros(&[3])
            }),
        ],
    );
    assert!(matches!(
        record.restore::<4>(&device),
        Err(RecordError::Rank {
            name: "mean",
            expected: 4,
            found: 2
        })
    ));
}

#[test]
fn damaged_moments_and_correlations_are_refused() {
    let device = device();
    let (mut moments, mut found) = (Welford::<2>::default(), Autocorrelation::<2>::new(&[2, 5]));
    for draw in draws(10) {
        moments.update(draw.clone());
        found.update(draw);
    }
    assert_refused(
        &moments.record(),
        |record: WelfordRecord| record.restore::<2>(&device),
        &[
            ("count", |r| r.moments.as_mut().unwrap().count = 0),
            ("squares", |r| {
                r.moments.as_mut().unwrap().squares = zeros(&[1, 5])
            }),
            ("mean", |r| {
                r.moments.as_mut().unwrap().mean = zeros(&[2, 4]);
                r.moments.as_mut().unwrap().squares = zeros(&[2, 4]);
            }),
        ],
    );
    assert_refused(
        &found.record(),
        |record: AutocorrelationRecord| record.restore::<2>(&device),
        &[
            ("lags", |r| r.lags[0] = 0),
            ("lags", |r| r.lags.clear()),
            ("latest", |r| r.lags[0] = 6),
            ("products", |r| r.lags.push(1)),
            ("first", |r| r.counted.as_mut().unwrap().first.truncate(1)),
            ("count", |r| r.counted.as_mut().unwrap().count = 0),
            ("latest", |r| r.counted.as_mut().unwrap().count = 4),
            ("latest", |r| {
                r.counted.as_mut().unwrap().latest[4] = zeros(&[3, 5])
            }),
            ("origin", |r| {
                r.counted.as_mut().unwrap().origin = zeros(&[12])
            }),
            ("sum", |r| r.counted.as_mut().unwrap().sum = zeros(&[4, 3])),
        ],
    );
}

#[test]
fn damaged_quantiles_are_refused() {
    let device = device();
    let restore = |record: StreamingQuantilesRecord| record.restore::<2>(&device);
    let record_after = |count: usize| {
        let mut found = StreamingQuantiles::<2>::new(&[0.5]);
        draws(count).into_iter().for_each(|draw| found.update(draw));
        found.record()
    };
    let both: [Damage<StreamingQuantilesRecord>; 6] = [
        ("levels", |r| r.levels[0] = 1.5),
        ("levels", |r| r.levels[0] = f64::NAN),
        ("shape", |r| r.counted.as_mut().unwrap().shape = vec![2, 2]),
        ("shape", |r| {
            r.counted.as_mut().unwrap().shape = vec![1, 4, 1]
        }),
        ("draws", |r| r.counted.as_mut().unwrap().shape = vec![1, 5]),
        ("dtype", |r| r.counted.as_mut().unwrap().dtype = DType::I32),
    ];
    let held = record_after(20);
    assert_refused(&held, restore, &both);
    assert_refused(
        &held,
        restore,
        &[
            ("draws", |r| r.counted.as_mut().unwrap().count = 0),
            ("draws", |r| r.counted.as_mut().unwrap().count = 61),
            ("draws", |r| r.counted.as_mut().unwrap().count = EXACT_DRAWS),
            ("draws", |r| {
                r.counted.as_mut().unwrap().draws =
                    HeldRecord::All(TensorData::zeros::<f32, _>([240]));
            }),
        ],
    );
    let counts = record_after(100);
    assert_refused(&counts, restore, &both);
    assert_refused(
        &counts,
        restore,
        &[
            ("draws", |r| r.counted.as_mut().unwrap().count = 301),
            ("draws", |r| r.counted.as_mut().unwrap().count = 100),
            ("draws", |r| edges(r)[7] = 1e9),
        ],
    );
}

fn edges(record: &mut StreamingQuantilesRecord) -> &mut [f64] {
    match &mut record.counted.as_mut().unwrap().draws {
        HeldRecord::Counts(gaps) => gaps.edges.as_mut_slice().unwrap(),
        HeldRecord::All(_) => panic!("all draws are held"),
    }
}

#[test]
fn a_record_of_nothing_is_nothing() {
    let device: Device = device();
    let chains: ChainMoments<4> = ChainMoments::<2>::new(8).record().restore(&device).unwrap();
    assert_eq!(chains.draws(), 0);
    let found: Welford<4> = WelfordRecord::default().restore(&device).unwrap();
    assert_eq!(found.count(), 0);
}
