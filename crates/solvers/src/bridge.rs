//! A Brownian path read ahead of the time: an increment once drawn is split, never thrown away.
//!
//! Given the increment `dw` over a step of length `l`, the one over its first part `q l` is `q dw + sqrt(q (1 - q) l) z`.
//!
//! Rackauckas & Nie 2017, algorithm RSwM3, <https://doi.org/10.3934/dcdsb.2017133>.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span, combine};

/// A piece of the path of which the increment alone is known.
pub(crate) struct Piece<const D: usize> {
    span: Span,
    increment: Tensor<D>,
}

/// All that is known of a path beyond the present time.
pub(crate) struct Ahead<const D: usize> {
    /// Adjoining, the nearest last.
    known: Vec<Piece<D>>,
}

impl<const D: usize> Ahead<D> {
    pub(crate) fn new() -> Self {
        Self { known: Vec::new() }
    }

    /// The pieces that make up a step from the present time, the nearest first.
    pub(crate) fn take(
        &mut self,
        shape: [usize; D],
        span: Span,
        noise: &mut dyn Noise<D>,
    ) -> Vec<Piece<D>> {
        let mut taken = Vec::new();
        let mut time = span.from;
        while time > span.to {
            let rest = Span {
                from: time,
                to: span.to,
            };
            let piece = match self.known.pop() {
                Some(piece) if piece.span.to < span.to => {
                    let (near, far) = piece.split(span.to, noise);
                    self.known.push(far);
                    near
                }
                Some(piece) => piece,
                None => Piece::fresh(shape, rest, noise),
            };
            time = piece.span.to;
            taken.push(piece);
        }
        taken
    }

    /// Takes back the pieces of a step that was not made.
    pub(crate) fn give_back(&mut self, taken: Vec<Piece<D>>) {
        self.known.extend(taken.into_iter().rev());
    }
}

impl<const D: usize> Piece<D> {
    fn fresh(shape: [usize; D], span: Span, noise: &mut dyn Noise<D>) -> Self {
        let normal = noise.normal_over(shape, span.from, span.to);
        Self {
            span,
            increment: combine([(span.step().abs().sqrt(), normal)]),
        }
    }

    fn split(self, at: f64, noise: &mut dyn Noise<D>) -> (Self, Self) {
        let Self { span, increment } = self;
        let share = (span.from - at) / (span.from - span.to);
        let spread = (share * (span.from - span.to) * (1.0 - share)).sqrt();
        let normal = noise.normal(increment.dims());
        let near = combine([(share, increment.clone()), (spread, normal)]);
        let far = combine([(1.0, increment), (-1.0, near.clone())]);
        let piece = |from, to, increment| Self {
            span: Span { from, to },
            increment,
        };
        (piece(span.from, at, near), piece(at, span.to, far))
    }
}

/// The increment over all of some pieces.
///
/// # Panics
/// If there are none.
pub(crate) fn total<const D: usize>(pieces: &[Piece<D>]) -> Tensor<D> {
    let mut increments = pieces.iter().map(|piece| piece.increment.clone());
    let first = increments.next().expect("a step has at least one piece");
    increments.fold(first, |sum, increment| {
        combine([(1.0, sum), (1.0, increment)])
    })
}
