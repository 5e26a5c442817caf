//! What a network hears that is always told the same.

use burn::tensor::{Int, Tensor};
use tweedie_core::{Backbone, Conditioned, Conditioning, Given};
use tweedie_testkit::{device, exact, values};

/// Answers `x + 10 class + 100 image + 1000 noise`; its variance is a thousandth of that.
struct Says;

impl Backbone<2> for Says {
    fn forward(&self, x: Tensor<2>, conditioning: Conditioning<2>) -> Tensor<2> {
        let Given { class, image } = conditioning.given;
        let class = class.expect("a class is told").float().cast(x.dtype());
        let image = image.expect("an image is shown");
        let noise = conditioning.noise.cast(x.dtype());
        // Rows must be there: nothing is repeated by the operators.
        assert_eq!(
            (class.dims()[0], image.dims()[0]),
            (x.dims()[0], x.dims()[0])
        );
        x + class.unsqueeze_dim(1).mul_scalar(10.0)
            + image.mul_scalar(100.0)
            + noise.unsqueeze_dim(1).mul_scalar(1000.0)
    }

    fn forward_with_variance(
        &self,
        x: Tensor<2>,
        conditioning: Conditioning<2>,
    ) -> (Tensor<2>, Option<Tensor<2>>) {
        let mean = self.forward(x, conditioning);
        (mean.clone(), Some(mean.mul_scalar(1e-3)))
    }
}

fn given(classes: &[i64], images: &[f64]) -> Given<2> {
    let class = Tensor::<1, Int>::from_data(classes, &device());
    let image = exact(images, [images.len(), 1]);
    Given {
        class: Some(class),
        image: Some(image),
    }
}

/// What is said of rows 1, 2 and 3 at the labels 4, 5 and 6, whose caller says something else.
fn said(given: Given<2>) -> [Vec<f64>; 3] {
    let told = Conditioned {
        backbone: Says,
        given,
    };
    let x = || exact(&[1.0, 2.0, 3.0], [3, 1]);
    let conditioning = || Conditioning {
        noise: exact(&[4.0, 5.0, 6.0], [3]),
        given: self::given(&[1, 1, 1], &[1.0; 3]),
    };
    let (mean, variance) = told.forward_with_variance(x(), conditioning());
    let plain = told.forward(x(), conditioning());
    [plain, mean, variance.unwrap().mul_scalar(1e3)].map(|said| values(&said))
}

#[test]
fn one_row_holds_for_all_and_a_caller_is_not_heard() {
    for said in said(given(&[7], &[9.0])) {
        let expected = [4971.0, 5972.0, 6973.0];
        let close = said.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(close, "{said:?}");
    }
}

#[test]
fn each_row_can_have_its_own() {
    for said in said(given(&[7, 8, 2], &[9.0, 0.0, 3.0])) {
        let expected = [4971.0, 5082.0, 6323.0];
        let close = said.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(close, "{said:?}");
    }
}
