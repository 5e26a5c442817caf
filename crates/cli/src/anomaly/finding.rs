//! How well a map finds the pixels of lesions.

use std::fmt;

use serde::Serialize;
use tweedie::metrics::{auroc, best_dice, dice};

/// A mean over phantoms.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Mean {
    mean: f64,
    standard_error: f64,
}

/// What a map is worth.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// Area under the curve of the pixels of one phantom.
    auroc: Mean,
    /// The same for the pixels of the head alone, those that are not black.
    auroc_head: Mean,
    /// Area under the curve of the pixels of all phantoms together.
    auroc_pooled: f64,
    /// Dice of one phantom at the threshold that is best for those of the other half.
    dice: Mean,
    /// The best Dice of all pixels together, over all thresholds.
    dice_pooled: f64,
}

/// A phantom's pixels.
pub(super) struct Pixels {
    pub(super) is_ill: Vec<bool>,
    pub(super) is_head: Vec<bool>,
}

impl Finding {
    /// Of one map for each phantom; there are at least two.
    pub(super) fn of(maps: &[Vec<f64>], phantoms: &[Pixels]) -> Self {
        let pairs = || maps.iter().zip(phantoms);
        let inside = |(map, pixels): (&Vec<f64>, &Pixels)| {
            let places = || (0..map.len()).filter(|&place| pixels.is_head[place]);
            let scores: Vec<f64> = places().map(|place| map[place]).collect();
            let is_ill: Vec<bool> = places().map(|place| pixels.is_ill[place]).collect();
            auroc(&scores, &is_ill)
        };
        let whole = pooled(pairs());
        // Even phantoms are judged by the threshold of odd ones and the other way round, which knows nothing of them.
        let thresholds = [0, 1].map(|half| {
            let others = pairs().enumerate().filter(|(index, _)| index % 2 != half);
            let (scores, is_ill) = pooled(others.map(|(_, pair)| pair));
            best_dice(&scores, &is_ill).threshold
        });
        let dices = pairs().enumerate().map(|(index, (map, pixels))| {
            let found: Vec<bool> = map
                .iter()
                .map(|score| *score >= thresholds[index % 2])
                .collect();
            dice(&found, &pixels.is_ill)
        });
        Self {
            auroc: Mean::of(
                pairs()
                    .map(|(map, pixels)| auroc(map, &pixels.is_ill))
                    .collect(),
            ),
            auroc_head: Mean::of(pairs().map(inside).collect()),
            auroc_pooled: auroc(&whole.0, &whole.1),
            dice: Mean::of(dices.collect()),
            dice_pooled: best_dice(&whole.0, &whole.1).dice,
        }
    }
}

fn pooled<'a>(pairs: impl Iterator<Item = (&'a Vec<f64>, &'a Pixels)>) -> (Vec<f64>, Vec<bool>) {
    let (mut scores, mut is_ill) = (Vec::new(), Vec::new());
    for (map, pixels) in pairs {
        scores.extend_from_slice(map);
        is_ill.extend_from_slice(&pixels.is_ill);
    }
    (scores, is_ill)
}

impl Mean {
    fn of(values: Vec<f64>) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>()
            / (count - 1.0);
        Self {
            mean,
            standard_error: (variance / count).sqrt(),
        }
    }
}

impl fmt::Display for Mean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} ± {:.3}", self.mean, self.standard_error)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "AUROC {} (head alone {}, pooled {:.3})  Dice {} (pooled, best {:.3})",
            self.auroc, self.auroc_head, self.auroc_pooled, self.dice, self.dice_pooled
        )
    }
}
