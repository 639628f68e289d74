//! The product from outside.
