//! Times, which every decision gets passed in.

/// Milliseconds since the Unix epoch.
pub type Millis = u64;
