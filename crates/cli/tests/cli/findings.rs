//! What the maps of `anomaly` are worth, by hand.

use serde_json::{Value, json};

use crate::finding::{Finding, Pixels};

/// Four pixels: a healthy one outside of the head, two healthy ones in it, and the lesion.
fn pixels() -> Pixels {
    Pixels {
        is_ill: vec![false, false, false, true],
        is_head: vec![false, true, true, true],
    }
}

fn number(found: &Value, path: &str) -> f64 {
    let number = found.pointer(path).and_then(Value::as_f64);
    number.unwrap_or_else(|| panic!("no number at {path} in {found}"))
}

/// Even phantoms need a threshold between 5 and 10, odd ones one between 2 and 3.
#[test]
fn a_threshold_is_that_of_the_other_half() {
    let (even, odd) = (vec![0.0, 1.0, 5.0, 10.0], vec![7.0, 1.0, 2.0, 3.0]);
    let maps = [even.clone(), odd.clone(), even, odd];
    let phantoms = [pixels(), pixels(), pixels(), pixels()];
    let found = json!(Finding::of(&maps, &phantoms));

    // At 3 or more the even ones have 5 and 10; at 10 or more the odd ones have nothing.
    let dices: [f64; 4] = [2.0 / 3.0, 0.0, 2.0 / 3.0, 0.0];
    let mean = dices.iter().sum::<f64>() / 4.0;
    let variance = dices.iter().map(|dice| (dice - mean).powi(2)).sum::<f64>() / 3.0;
    // The lesion is above all healthy pixels of an even phantom, above two of three of an odd one, and above all in its head.
    let areas: [f64; 4] = [1.0, 2.0 / 3.0, 1.0, 2.0 / 3.0];
    // Of all phantoms: 10 is above the 12 healthy pixels, 3 above all but the two with 5 and the two with 7.
    let pooled = (2.0 * 12.0 + 2.0 * 8.0) / (4.0 * 12.0);
    for (path, expected) in [
        ("/dice/mean", mean),
        ("/dice/standard_error", (variance / 4.0).sqrt()),
        ("/auroc/mean", areas.iter().sum::<f64>() / 4.0),
        ("/auroc/standard_error", (1.0_f64 / 27.0 / 4.0).sqrt()),
        ("/auroc_head/mean", 1.0),
        ("/auroc_pooled", pooled),
        // Both 10s and nothing else; with 3 and more, four of eight pixels would be right.
        ("/dice_pooled", 4.0 / 6.0),
    ] {
        let found = number(&found, path);
        assert!(
            (found - expected).abs() < 1e-12,
            "{path}: {found}, {expected}"
        );
    }
}
