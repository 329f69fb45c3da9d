//! What the kernel knows about this process, read when somebody asks.
//!
//! Names are those of Prometheus' own client libraries, so that common dashboards work. A value that cannot be read is
//! left out: a wrong zero would look like an answer.

use std::fmt;
use std::fs;
use std::sync::OnceLock;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use rustix::process::{Resource, getrlimit};

/// Reads `/proc/self` at each scrape.
#[derive(Debug)]
pub(super) struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut gauge = |name: &str, help: &str, value: Option<f64>| match value {
            Some(value) => {
                encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
            }
            None => Ok(()),
        };
        gauge(
            "process_start_time_seconds",
            "Start of the process in seconds since the epoch.",
            start_time(),
        )?;
        gauge("process_resident_memory_bytes", "Resident memory.", resident_bytes())?;
        gauge("process_open_fds", "File descriptors in use.", open_fds())?;
        gauge("process_max_fds", "File descriptors that the process may use.", max_fds())
    }
}

/// Resident memory in bytes: second field of `statm`, in pages (proc_pid_statm(5)).
fn resident_bytes() -> Option<f64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some((pages * rustix::param::page_size() as u64) as f64)
}

/// Linux 6.2 and later tell the number as the size of the folder; before that it is counted.
fn open_fds() -> Option<f64> {
    const FOLDER: &str = "/proc/self/fd";
    let told = fs::metadata(FOLDER).ok()?.len();
    if told > 0 {
        return Some(told as f64);
    }
    // One of them is the descriptor that reads the folder.
    Some(fs::read_dir(FOLDER).ok()?.count().saturating_sub(1) as f64)
}

fn max_fds() -> Option<f64> {
    Some(getrlimit(Resource::Nofile).current.map_or(f64::INFINITY, |limit| limit as f64))
}

/// Start of the process: its ticks since boot (field 22 of `stat`) after the time of boot (`btime`).
fn start_time() -> Option<f64> {
    static START: OnceLock<Option<f64>> = OnceLock::new();
    *START.get_or_init(|| {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The second field is the name in brackets and may hold anything; the rest follows the last bracket.
        let (_, rest) = stat.rsplit_once(')')?;
        let ticks: u64 = rest.split_ascii_whitespace().nth(19)?.parse().ok()?;
        let system = fs::read_to_string("/proc/stat").ok()?;
        let boot: u64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        Some(boot as f64 + ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn the_kernel_tells_all_four() {
        assert!(resident_bytes().unwrap() > 100_000.0);
        assert!(max_fds().unwrap() >= 1.0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        let age = now - start_time().unwrap();
        assert!((-2.0..3600.0).contains(&age), "{age}");
    }

    #[test]
    fn more_files_are_seen() {
        let before = open_fds().unwrap();
        let files: Vec<_> = (0..100).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        // Other tests of this process open and close files too.
        assert!(open_fds().unwrap() > before + 50.0);
        drop(files);
    }
}
