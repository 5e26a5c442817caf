//! Published experiments, run again.

use std::fs;

use serde_json::Value;

use crate::{
    bad_input::{FAILED, assert_refused},
    run::Place,
};

/// A NumPy file of one axis.
fn npy(kind: &str, shape: &str, body: &[u8]) -> Vec<u8> {
    let mut header =
        format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}").into_bytes();
    header.resize(117, b' ');
    header.push(b'\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    file.extend(header);
    file.extend(body);
    file
}

fn doubles(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn singles(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Wasserstein distance of Euler's method for the flow on uniform times, by its own recursion.
fn euler(spectrum: &[f64], points: u32, eps: f64) -> f64 {
    let step = (1.0 - eps) / f64::from(points - 1);
    let distance = |variance: f64| {
        let coefficient: f64 = (0..points - 1)
            .map(|k| {
                let t = 1.0 - step * f64::from(k);
                let beta = 0.1 + 19.9 * t;
                let kept = (-(0.1 * t + 0.5 * 19.9 * t * t)).exp();
                1.0 + 0.5 * step * beta * (1.0 - 1.0 / (kept * variance + 1.0 - kept))
            })
            .product();
        (coefficient.abs() - variance.sqrt()).powi(2)
    };
    spectrum.iter().map(|v| distance(*v)).sum::<f64>().sqrt()
}

#[test]
fn distances_of_a_small_spectrum_are_written_and_exact() {
    let place = Place::new();
    let spectrum = [0.5, 4.0, 0.125];
    place.write("double.npy", npy("<f8", "(3,)", &doubles(&spectrum)));
    place.write(
        "single.npy",
        npy("<f4", "(3,)", &singles(&[0.5, 4.0, 0.125])),
    );
    let done = place.succeed("reproduce gaussian-w2 --spectrum double.npy --json a.json");
    place.succeed("reproduce gaussian-w2 --spectrum single.npy --json b.json");
    let text = fs::read_to_string(place.path("a.json")).unwrap();
    assert_eq!(text, fs::read_to_string(place.path("b.json")).unwrap());
    assert!(
        done.out.contains("3 modes, total variance 4.62"),
        "{done:?}"
    );

    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    for row in &rows {
        let keys: Vec<&String> = row.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["eps", "nfe", "points", "published", "scheme", "w2"]);
        // Nothing was published for this spectrum.
        assert!(
            row["published"].is_null() && row["w2"].as_f64().unwrap() >= 0.0,
            "{row}"
        );
    }
    let found: Vec<&Value> = rows
        .iter()
        .filter(|row| row["scheme"] == "Euler (flow)" && row["eps"] == 1e-3)
        .collect();
    for (row, points) in found.into_iter().zip([50, 250, 500, 1000]) {
        assert_eq!(
            (&row["points"], &row["nfe"]),
            (&points.into(), &(points - 1).into())
        );
        let expected = euler(&spectrum, points, 1e-3);
        let w2 = row["w2"].as_f64().unwrap();
        assert!(
            (w2 / expected - 1.0).abs() < 1e-9,
            "{row}, expected {expected}"
        );
    }
}

#[test]
fn bad_spectra_are_refused() {
    let place = Place::new();
    for (name, file, words) in [
        (
            "text.npy",
            b"0.5 0.25".to_vec(),
            &["not a NumPy file", "x93NUMPY"][..],
        ),
        (
            "int.npy",
            npy("<i4", "(1,)", &[0; 4]),
            &["'<i4'", "'<f4' or '<f8'"],
        ),
        (
            "plane.npy",
            npy("<f8", "(1, 2)", &[0; 16]),
            &["(1, 2)", "one axis"],
        ),
        (
            "short.npy",
            npy("<f8", "(3,)", &[0; 16]),
            &["16 bytes", "expected 24"],
        ),
        (
            "empty.npy",
            npy("<f8", "(0,)", &[]),
            &["(0,)", "at least one number"],
        ),
        (
            "negative.npy",
            npy("<f8", "(2,)", &doubles(&[1.0, -0.5])),
            &["variance 1", "at least 0", "-0.5"],
        ),
        (
            "nan.npy",
            npy("<f8", "(1,)", &doubles(&[f64::NAN])),
            &["variance 0", "NaN"],
        ),
    ] {
        place.write(name, file);
        let done = place.run(&format!("reproduce gaussian-w2 --spectrum {name}"));
        assert_refused(&done, FAILED, words);
        assert_refused(&done, FAILED, &[name]);
    }
    let done = place.run("reproduce gaussian-w2 --spectrum absent.npy");
    assert_refused(&done, FAILED, &["cannot read absent.npy"]);
}
