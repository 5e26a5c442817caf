//! Loading of the optimiser's moments. burn starts afresh where a moment is missing, and panics in the next step where one has
//! another shape; here both are errors.

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::ModuleOptimizer,
    store::{BurnpackStore, ModuleStore, RecordError},
    tensor::{Bytes, Tensor},
};

/// Tensors that Adam keeps for each parameter.
const MOMENTS: usize = 2;

/// `optimiser` with the state in `bytes`, which must be that of a network with the parameters of `module`.
pub(crate) fn load<M: Module>(
    optimiser: ModuleOptimizer,
    bytes: Bytes,
    module: &M,
) -> Result<ModuleOptimizer, RecordError> {
    let mut shapes = Shapes(BTreeMap::new());
    module.visit(&mut shapes);
    let mut store = BurnpackStore::from_bytes(Some(bytes.clone()));
    for (name, tensor) in store.get_all_tensors()? {
        let expected = tensor.param_id.and_then(|id| shapes.0.get(&id));
        let fits = expected.is_some_and(|shape| shape[..] == tensor.shape[..]);
        if !fits || !tensor.dtype.is_float() {
            return Err(RecordError::Validation(format!(
                "{name} has shape {:?} and type {:?}, its parameter {expected:?}",
                tensor.shape, tensor.dtype
            )));
        }
    }
    let loaded = optimiser.from_bytes(bytes)?;
    let (found, expected) = (loaded.to_record().len(), MOMENTS * shapes.0.len());
    if found != expected {
        return Err(RecordError::Validation(format!(
            "found {found} moments, expected {expected}"
        )));
    }
    Ok(loaded)
}

/// The shapes of all parameters, by identity.
struct Shapes(BTreeMap<u64, Vec<usize>>);

impl ModuleVisitor for Shapes {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.insert(param.id.val(), param.val().dims().to_vec());
    }
}
