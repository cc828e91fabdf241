//! What a process and the machine have used, as `/proc` has it.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::io::Errno;
use rustix::param::clock_ticks_per_second;

/// What the threads of a process have used since each of them began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Time on a processor, to the nanosecond (`schedstat`), with what the kernel did meanwhile; of the
    /// threads that there are: one that has ended took its time along.
    pub run: Duration,
    /// Of it in the program and in the kernel, in samples of a clock (`stat`): only their proportion
    /// is of use.
    pub user_ticks: u64,
    pub system_ticks: u64,
}

/// What process `pid` has used.
///
/// # Errors
///
/// When it is gone, or `/proc` is not as proc(5) has it.
pub fn usage(pid: u32) -> io::Result<Usage> {
    let mut run = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        match run_time(&thread?.path().join("schedstat").display().to_string()) {
            Err(error) if is_gone(&error) => {}
            of_thread => run += of_thread?,
        }
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is a name in brackets, which may hold anything; the third is the first here.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    Ok(Usage {
        run,
        user_ticks: number(fields, 11)?,
        system_ticks: number(fields, 12)?,
    })
}

/// What the calling thread has used.
///
/// # Errors
///
/// When `/proc` is not as proc(5) has it.
pub fn own_run_time() -> io::Result<Duration> {
    run_time("/proc/thread-self/schedstat")
}

/// Memory of process `pid` that is in use, in bytes (`VmRSS`).
///
/// # Errors
///
/// As [`usage`].
pub fn resident(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(number(line.unwrap_or(""), 0)? * 1024)
}

/// Time that all processors of the machine have been busy, whoever had them, other guests too.
///
/// # Errors
///
/// When `/proc` is not as proc(5) has it.
pub fn busy() -> io::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let fields = stat.strip_prefix("cpu ").unwrap_or("");
    let mut ticks = 0;
    for field in [0, 1, 2, 5, 6, 7] {
        ticks += number(fields, field)?; // all but idle and waiting for disks
    }
    let seconds = ticks as f64 / clock_ticks_per_second() as f64;
    Ok(Duration::from_secs_f64(seconds))
}

/// A thread may end between the listing and the reading.
fn is_gone(error: &io::Error) -> bool {
    let codes = [Errno::NOENT, Errno::SRCH].map(Errno::raw_os_error);
    error
        .raw_os_error()
        .is_some_and(|code| codes.contains(&code))
}

fn run_time(path: &str) -> io::Result<Duration> {
    let text = fs::read_to_string(path)?;
    Ok(Duration::from_nanos(number(&text, 0)?))
}

fn number(fields: &str, place: usize) -> io::Result<u64> {
    let field = fields.split_whitespace().nth(place);
    let number = field.and_then(|field| field.parse().ok());
    number.ok_or_else(|| io::Error::other(format!("field {place} of a file in /proc: {field:?}")))
}

#[cfg(test)]
mod tests {
    use std::process;

    use super::*;

    #[test]
    fn memory_that_is_touched_is_resident() {
        let before = resident(process::id()).unwrap();
        let touched = vec![1u8; 64 << 20];
        let after = resident(process::id()).unwrap();
        assert!(after >= before + (60 << 20), "{before} {after}");
        drop(touched);
    }
}
