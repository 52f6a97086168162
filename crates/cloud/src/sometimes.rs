//! Marks of rare branches.

#[doc(hidden)]
pub use tracing;

/// Marks a branch that is rare and matters, for the simulation, which tells whether its lives reached the branch. The text
/// says what has happened, and no other mark has it.
#[macro_export]
macro_rules! sometimes {
    ($what:literal) => {
        $crate::sometimes::tracing::event!(
            name: $what,
            target: "sometimes",
            $crate::sometimes::tracing::Level::TRACE,
            {}
        )
    };
}
