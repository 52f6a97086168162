//! Virtual time and seeded entropy for everything on one thread, the standard library and dependencies included.
//!
//! The C library's `clock_gettime` and `getrandom` are replaced in every program that links this crate. On a
//! thread that has not entered virtual time or has no seed they ask the kernel as before.
//!
//! Two things must not happen in virtual time: tokio's `resume`, which reads the clock while it locks it, and work
//! on other threads (`spawn_blocking`), which sees the real time.

// The replaced functions have C's interface.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use libc::{c_int, c_long, c_uint, c_void, clockid_t, size_t, ssize_t, timespec};
use tokio::time::Instant;

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// When virtual time began.
#[derive(Clone, Copy)]
struct Origin {
    instant: Instant,
    realtime_ms: u64,
    monotonic_nanos: i128,
}

// Constants without destructors, so that they can be read at any time, also while the thread ends.
thread_local! {
    static ORIGIN: Cell<Option<Origin>> = const { Cell::new(None) };
    static SKEW_MS: Cell<i64> = const { Cell::new(0) };
    static ENTROPY: Cell<Option<u64>> = const { Cell::new(None) };
    static IS_READING: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, this thread has virtual time.
#[derive(Debug)]
#[must_use]
pub struct TimeGuard(PhantomData<*const ()>);

/// While it lives, this thread's entropy comes from a seed.
#[derive(Debug)]
#[must_use]
pub struct EntropyGuard(PhantomData<*const ()>);

/// Lets virtual time begin at `base_ms` milliseconds since the Unix epoch. It passes as tokio's paused clock does:
/// call this within a runtime that was started paused.
pub fn enter(base_ms: u64) -> TimeGuard {
    let origin = Origin {
        instant: Instant::now(),
        realtime_ms: base_ms,
        monotonic_nanos: kernel_nanos(libc::CLOCK_MONOTONIC),
    };
    ORIGIN.set(Some(origin));
    TimeGuard(PhantomData)
}

impl Drop for TimeGuard {
    fn drop(&mut self) {
        ORIGIN.set(None);
    }
}

/// Lets this thread's entropy come from a seed: the order of hash maps, ids, the jitter of the SDK's retries. Call
/// this on a new thread, before it makes its first hash map and its runtime.
pub fn seed(seed: u64) -> EntropyGuard {
    ENTROPY.set(Some(seed));
    fastrand::seed(seed);
    EntropyGuard(PhantomData)
}

impl Drop for EntropyGuard {
    fn drop(&mut self) {
        ENTROPY.set(None);
    }
}

/// The virtual time in milliseconds since the Unix epoch, without skew; the real time outside of virtual time.
pub fn now_ms() -> u64 {
    let nanos = match virtual_time() {
        Some((origin, elapsed)) => i128::from(origin.realtime_ms) * 1_000_000 + elapsed,
        None => kernel_nanos(libc::CLOCK_REALTIME),
    };
    (nanos / 1_000_000) as u64
}

/// Runs a world on a thread of its own, with its seed and a paused runtime of one thread.
pub fn run<F, T>(entropy: u64, base_ms: u64, world: impl FnOnce() -> F + Send) -> T
where
    F: Future<Output = T>,
    T: Send,
{
    let run_on_this_thread = || {
        let _entropy = seed(entropy);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
        let tasks = tokio::task::LocalSet::new();
        let result = tasks.block_on(&runtime, async {
            let _time = enter(base_ms);
            world().await
        });
        // Tasks that are still running must not see the real time while they are dropped.
        let _context = runtime.enter();
        let _time = enter(base_ms);
        drop(tasks);
        result
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(run_on_this_thread);
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// A future whose host's clock is wrong by `skew_ms`.
#[derive(Debug)]
pub struct WithSkew<F> {
    skew_ms: i64,
    future: Pin<Box<F>>,
}

/// Lets the clock be wrong by `skew_ms` while the future runs; tasks that it spawns have the right time.
pub fn with_skew<F: Future>(skew_ms: i64, future: F) -> WithSkew<F> {
    WithSkew {
        skew_ms,
        future: Box::pin(future),
    }
}

impl<F: Future> Future for WithSkew<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _restore = RestoreSkew(SKEW_MS.replace(self.skew_ms));
        self.future.as_mut().poll(context)
    }
}

/// Restores the skew also if the future panics.
struct RestoreSkew(i64);

impl Drop for RestoreSkew {
    fn drop(&mut self) {
        SKEW_MS.set(self.0);
    }
}

/// When virtual time began, and the nanoseconds since then.
fn virtual_time() -> Option<(Origin, i128)> {
    let origin = ORIGIN.get()?;
    // Tokio itself may read the clock while it is asked for the time.
    if IS_READING.replace(true) {
        return None;
    }
    let elapsed = Instant::now().saturating_duration_since(origin.instant);
    IS_READING.set(false);
    Some((origin, elapsed.as_nanos() as i128))
}

fn kernel_nanos(clock: clockid_t) -> i128 {
    let mut time = timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one timespec.
    unsafe { libc::syscall(libc::SYS_clock_gettime, c_long::from(clock), &raw mut time) };
    i128::from(time.tv_sec) * NANOS_PER_SECOND + i128::from(time.tv_nsec)
}

/// Replaces the C library's function.
///
/// # Safety
///
/// `time` must point to a writable `timespec`, as with the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    let nanos = match (clock, virtual_time()) {
        (libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE, Some((origin, elapsed))) => {
            let ms = i128::from(origin.realtime_ms) + i128::from(SKEW_MS.get());
            ms * 1_000_000 + elapsed
        }
        (libc::CLOCK_MONOTONIC, Some((origin, elapsed))) => origin.monotonic_nanos + elapsed,
        _ => {
            // SAFETY: the caller's pointer is passed on.
            let result =
                unsafe { libc::syscall(libc::SYS_clock_gettime, c_long::from(clock), time) };
            return result as c_int;
        }
    };
    // SAFETY: the caller's pointer is writable.
    unsafe {
        (*time).tv_sec = (nanos / NANOS_PER_SECOND) as libc::time_t;
        (*time).tv_nsec = (nanos % NANOS_PER_SECOND) as c_long;
    }
    0
}

/// Replaces the C library's function.
///
/// # Safety
///
/// `buffer` must point to `length` writable bytes, as with the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    let Some(state) = ENTROPY.get() else {
        // SAFETY: the caller's pointer is passed on.
        return unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) as ssize_t };
    };
    let mut rng = fastrand::Rng::with_seed(state);
    if length > 0 {
        // SAFETY: the caller's buffer has `length` writable bytes.
        rng.fill(unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) });
    }
    ENTROPY.set(Some(rng.get_seed()));
    length as ssize_t
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    const BASE_MS: u64 = 1_800_000_000_000;

    fn system_ms() -> u64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        since_epoch.expect("after 1970").as_millis() as u64
    }

    #[test]
    fn system_time_and_instants_follow_tokio() {
        let before = system_ms();
        run(1, BASE_MS, async || {
            let started = std::time::Instant::now();
            assert_eq!(system_ms(), BASE_MS);
            tokio::time::sleep(Duration::from_secs(3600)).await;
            assert_eq!(
                (system_ms(), now_ms()),
                (BASE_MS + 3_600_000, BASE_MS + 3_600_000)
            );
            assert_eq!(started.elapsed(), Duration::from_secs(3600));
        });
        let after = system_ms();
        assert!((before..before + 60_000).contains(&after), "real outside");
    }

    #[test]
    fn skew_belongs_to_its_future() {
        run(1, BASE_MS, async || {
            let late = with_skew(120_000, async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                system_ms()
            });
            let early = with_skew(-120_000, async {
                tokio::time::sleep(Duration::from_secs(2)).await;
                (system_ms(), now_ms())
            });
            let (late, early) = tokio::join!(late, early);
            assert_eq!(late, BASE_MS + 121_000);
            assert_eq!(early, (BASE_MS - 118_000, BASE_MS + 2_000));
            assert_eq!(system_ms(), BASE_MS + 2_000);
        });
    }

    #[test]
    fn hash_maps_have_the_order_of_the_seed() {
        let order = |seed| {
            run(seed, BASE_MS, async || {
                (0..100)
                    .collect::<HashSet<i32>>()
                    .into_iter()
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }
}
