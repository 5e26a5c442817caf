//! The weights of a module by their paths, in PyTorch's words: `weight` and `bias` of norms, `[out, in]` matrices of linear
//! layers.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Tensor, TensorData},
};

use crate::ModelError;

/// One weight of a module.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// The path without the variants of enums.
    pub(super) name: String,
    /// Shape in PyTorch's form.
    pub(super) shape: Vec<usize>,
}

/// All weights of a module. None of them is computed for it.
pub(super) fn slots<M: Module>(module: &M) -> Vec<Slot> {
    let mut list = List::default();
    module.visit(&mut list);
    list.slots
}

/// The module with all its weights replaced: `values` has them in PyTorch's form.
pub(super) fn filled<M: Module>(
    module: M,
    values: impl FnMut(&Slot) -> Result<Vec<f32>, ModelError>,
) -> Result<M, ModelError> {
    let mut fill = Fill {
        path: Path::default(),
        values,
        failure: None,
    };
    let module = module.map(&mut fill);
    match fill.failure {
        None => Ok(module),
        Some(failure) => Err(failure),
    }
}

/// Where in a module a visitor is.
#[derive(Default)]
struct Path(Vec<(String, String)>);

impl Path {
    fn enter(&mut self, name: &str, container: &str) {
        self.0.push((name.into(), container.into()));
    }

    fn exit(&mut self) {
        self.0.pop();
    }

    fn slot(&self, mut shape: Vec<usize>) -> Slot {
        let mut words: Vec<&str> = self
            .0
            .iter()
            .filter(|(_, container)| !container.starts_with("Enum:"))
            .map(|(name, _)| name.as_str())
            .collect();
        if self.is_in(&[
            "GroupNorm",
            "BatchNorm",
            "LayerNorm",
            "InstanceNorm",
            "RmsNorm",
        ]) && let Some(last) = words.last_mut()
        {
            *last = match *last {
                "gamma" => "weight",
                "beta" => "bias",
                other => other,
            };
        }
        if self.is_transposed(&shape) {
            shape.reverse();
        }
        Slot {
            name: words.join("."),
            shape,
        }
    }

    fn is_transposed(&self, shape: &[usize]) -> bool {
        shape.len() == 2 && self.is_in(&["Linear"])
    }

    fn is_in(&self, modules: &[&str]) -> bool {
        self.0
            .last()
            .and_then(|(_, container)| container.strip_prefix("Struct:"))
            .is_some_and(|module| modules.contains(&module))
    }
}

#[derive(Default)]
struct List {
    path: Path,
    slots: Vec<Slot>,
}

impl ModuleVisitor for List {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = param.lazy_shape().to_vec();
        self.slots.push(self.path.slot(shape));
    }
}

struct Fill<F> {
    path: Path,
    values: F,
    /// The first.
    failure: Option<ModelError>,
}

impl<F: FnMut(&Slot) -> Result<Vec<f32>, ModelError>> ModuleMapper for Fill<F> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.failure.is_some() {
            return param;
        }
        let shape = param.lazy_shape().to_vec();
        let slot = self.path.slot(shape.clone());
        match (self.values)(&slot) {
            Err(failure) => {
                self.failure = Some(failure);
                param
            }
            Ok(mut values) => {
                if self.path.is_transposed(&shape) {
                    values = transposed(&values, slot.shape[1]);
                }
                let device = param.lazy_device();
                let options = (&device, burn::tensor::DType::F32);
                let value = Tensor::from_data(TensorData::new(values, shape), options);
                let id = param.id;
                param.transform_for_load(value, id)
            }
        }
    }
}

/// A matrix with this many columns, column by column.
fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| values[column..].iter().step_by(columns).copied())
        .collect()
}
