//! A process for each seed: it begins as this one was after its warm-up, whatever ran before.
//!
//! A world in a process that has had others is not the same: the order of hash maps depends on how many there were, and
//! what is made once per process is made or not.

// To fork needs C's interface.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::time::Duration;

/// Something that runs in a process of its own.
#[derive(Debug)]
pub struct Fork {
    process: libc::pid_t,
    output: File,
}

impl Fork {
    /// Runs `work` in a copy of this process, which must have no other thread. What it returns is the output.
    pub fn run(work: impl FnOnce() -> String) -> Self {
        let mut pipe = [0; 2];
        // SAFETY: the kernel writes two descriptors.
        assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0, "no pipe");
        // SAFETY: this process has one thread, so no lock can be held by another one.
        let process = unsafe { libc::fork() };
        assert!(process >= 0, "no process");
        // SAFETY: nobody else owns these descriptors.
        let (output, mut input) =
            unsafe { (File::from_raw_fd(pipe[0]), File::from_raw_fd(pipe[1])) };
        if process == 0 {
            drop(output);
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            if let Ok(text) = result {
                // Without a reader nobody wants the output.
                let _ = input.write_all(text.as_bytes());
            }
            // SAFETY: ends this process without running what its parent registered.
            unsafe { libc::_exit(0) };
        }
        drop(input);
        Self { process, output }
    }

    /// The output, once the process has ended; empty if it panicked.
    pub fn wait(mut self) -> String {
        let mut text = String::new();
        // What cannot be read is missing, as after a panic.
        let _ = self.output.read_to_string(&mut text);
        // SAFETY: the process is our child, and nobody else waits for it.
        unsafe { libc::waitpid(self.process, std::ptr::null_mut(), 0) };
        text
    }
}

/// How long all processes that were waited for had a core.
pub fn cpu_time_of_children() -> Duration {
    // SAFETY: numbers may be zero.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one `rusage`.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    let duration = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    duration(usage.ru_utime) + duration(usage.ru_stime)
}
