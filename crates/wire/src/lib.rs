//! wire

pub mod propagation;
