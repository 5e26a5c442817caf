//! The normal numbers of NumPy's legacy generator, bit for bit: those of `numpy.random.seed(n)` and `numpy.random.randn`.
//!
//! Mersenne Twister (Matsumoto & Nishimura 1998, <https://doi.org/10.1145/272991.272995>), two words of it for a uniform number
//! with 53 bits, and the polar method (Marsaglia & Bray 1964, <https://doi.org/10.1137/1006063>), which makes two normal
//! numbers at a time, of which NumPy gives the second first.

use rand_mt::Mt;

/// The generator.
pub(crate) struct LegacyNormal {
    words: Mt,
    spare: Option<f64>,
}

impl LegacyNormal {
    pub(crate) fn seeded(seed: u32) -> Self {
        Self {
            words: Mt::new(seed),
            spare: None,
        }
    }

    /// Uniform on [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        let [high, low] = [5, 6].map(|dropped| f64::from(self.words.next_u32() >> dropped));
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    /// Standard normal.
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(value) = self.spare.take() {
            return value;
        }
        loop {
            let [first, second] = [(); 2].map(|()| 2.0 * self.uniform() - 1.0);
            let square = first * first + second * second;
            if square < 1.0 && square != 0.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(factor * first);
                return factor * second;
            }
        }
    }
}
