//! Writes that must not be given up while there is time: outcomes of sends.

use campaign::delivery::recording::delay_before_retry;
use campaign::time::Millis;
use cloud::Error;
use tracing::warn;

/// Repeats a write until it succeeds, until it fails for good, or until the time `until`, where the last try is.
pub(crate) async fn persist<T, F>(until: Millis, write: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut failures = 0;
    loop {
        let error = match write().await {
            Err(error) if error.kind.is_transient() => error,
            result => {
                if failures > 0 && result.is_ok() {
                    cloud::sometimes!("a write of a sender succeeds after it has failed");
                }
                return result;
            }
        };
        failures += 1;
        let jitter = rand::random();
        let Some(delay) = delay_before_retry(failures, until, cloud::now(), jitter) else {
            return Err(error);
        };
        warn!(
            failures,
            delay_ms = delay.as_millis() as u64,
            "a write is repeated: {error}"
        );
        tokio::time::sleep(delay).await;
    }
}
