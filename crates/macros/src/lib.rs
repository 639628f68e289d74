//! The attribute `tracewell::trace`: a span for each call of a function. Re-exported and documented there.
//!
//! Written over tokens as they are: what a function's attribute has to know is little, and who depends on the library
//! builds no parser of Rust for it.

mod expand;
mod function;
mod options;
mod problem;

use proc_macro::TokenStream;

/// See `tracewell::trace`.
#[proc_macro_attribute]
pub fn trace(options: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = options::Options::read(options)
        .and_then(|options| Ok(expand::expand(&options, function::Function::read(item.clone())?)));
    match expanded {
        Ok(function) => function,
        // The function stays, so that the only error is this one.
        Err(problem) => problem.into_tokens().into_iter().chain(item).collect(),
    }
}
