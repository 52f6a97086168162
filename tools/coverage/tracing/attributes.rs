//! `#[instrument]` that does nothing.

extern crate proc_macro;

use proc_macro::TokenStream;

/// Leaves a function as it is written.
#[proc_macro_attribute]
pub fn instrument(_: TokenStream, function: TokenStream) -> TokenStream {
    function
}
