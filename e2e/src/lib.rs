//! What tests and benchmarks need to see Tracewell from outside: its binary as a process. Knows nothing of the product's code.

mod process;

pub use process::{ProcessFigures, ServerProcess, StartError, server_binary};
