//! Times, which every decision gets passed in.

/// Milliseconds since the Unix epoch.
pub type Millis = u64;

/// The clocks of two processes may differ by so much. Lambda's differ by milliseconds, but no promise depends on that.
pub const CLOCK_MARGIN_MS: Millis = 5 * 60_000;
