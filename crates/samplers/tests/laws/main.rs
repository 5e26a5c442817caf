//! Samplers have the law they promise, whatever the batch size.

#[cfg(test)]
mod batches;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod on_device;
#[cfg(test)]
mod posterior;
