//! How the code is put together: who may depend on whom, how long files and functions may be, names that were given up.
//!
//! - [`dependencies`]: crates depend inwards
//! - [`limits`]: lengths of files and functions, circles of files
//! - [`names`]: names of earlier versions
//! - [`source`], [`cycles`]: read the source for these

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails here fails where it should"
)]

mod cycles;
mod dependencies;
mod limits;
mod names;
mod source;
