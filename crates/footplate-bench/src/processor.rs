//! Time of the processor, which is the same on a machine that has other work as well.

use std::{hint::black_box, time::Duration};

use crate::Result;

/// Seconds that the kernel says this line of `schedstat` ran.
fn seconds(text: &str) -> Result<f64> {
    let nanoseconds = text.split_whitespace().next().ok_or("empty schedstat")?;
    Ok(nanoseconds.parse::<f64>()? / 1e9)
}

/// What this thread has spent so far.
fn spent() -> Result<f64> {
    // The kernel brings the count up to date when a thread rests, otherwise only now and then.
    std::thread::sleep(Duration::from_micros(50));
    seconds(&std::fs::read_to_string("/proc/thread-self/schedstat")?)
}

/// Seconds of the processor that work on this thread takes.
pub(crate) fn timed(mut work: impl FnMut() -> Result<usize>) -> Result<f64> {
    let began = spent()?;
    black_box(work()?);
    Ok(spent()? - began)
}

/// What the threads of a process have spent so far that have not ended.
pub(crate) fn of_process(id: u32) -> Result<f64> {
    let mut sum = 0.0;
    for thread in std::fs::read_dir(format!("/proc/{id}/task"))?.flatten() {
        // It may end while it is looked at.
        if let Ok(text) = std::fs::read_to_string(thread.path().join("schedstat")) {
            sum += seconds(&text)?;
        }
    }
    Ok(sum)
}
