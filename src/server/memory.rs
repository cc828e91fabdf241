//! How much memory there is, for a default that fits the machine.

use std::fs;
use std::sync::OnceLock;

/// In bytes: a quarter of what this process may have. The other three are for the service, for the
/// kernel's buffers of each socket, which count in a cgroup too, and for everybody else.
pub(super) fn default_memory_max() -> usize {
    static MEMORY: OnceLock<usize> = OnceLock::new();
    *MEMORY.get_or_init(|| {
        let known = [machine(), cgroup()].into_iter().flatten().min();
        known.map_or(FALLBACK, |bytes| {
            usize::try_from(bytes / 4).unwrap_or(usize::MAX)
        })
    })
}

/// In bytes, where the kernel does not say.
const FALLBACK: usize = 256 << 20;

/// In bytes, the memory of the machine (proc(5)).
fn machine() -> Option<u64> {
    total(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// In bytes, the least that the process's cgroup and those around it may have (cgroups(7)).
fn cgroup() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    limits(&groups)
        .filter_map(|path| limit(&fs::read_to_string(path).ok()?))
        .min()
}

/// The files that hold the limits on the memory of the groups in `groups`, version 2 and 1.
fn limits(groups: &str) -> impl Iterator<Item = String> {
    let files = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        match controllers.split(',').any(|name| name == "memory") {
            true => Some(("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes")),
            false if controllers.is_empty() => Some(("/sys/fs/cgroup", path, "memory.max")),
            false => None,
        }
    });
    files.flat_map(|(root, path, file)| {
        let is_inside = path.starts_with('/') && !path.contains("/..");
        let mut path = if is_inside { path } else { "/" };
        let mut found = vec![format!("{root}/{file}")]; // what a container sees as its own
        while let Some((parent, name)) = path.rsplit_once('/') {
            if !name.is_empty() {
                found.push(format!("{root}{path}/{file}"));
            }
            path = parent;
        }
        found
    })
}

/// A limit as the kernel writes it; `None` for none. Version 1 says it by a number beyond any memory.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_the_machine_is_read_in_bytes() {
        let meminfo = "MemTotal:        4030436 kB\nMemFree:          305012 kB\n";
        assert_eq!(total(meminfo), Some(4_030_436 * 1024));
        assert_eq!(total("MemTotal: lots\n"), None);
        assert!(machine().is_some_and(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn the_limits_of_a_cgroup_and_of_those_around_it_are_looked_for() {
        let found: Vec<_> = limits("0::/a.slice/b\n").collect();
        let expected = [
            "/sys/fs/cgroup/memory.max",
            "/sys/fs/cgroup/a.slice/b/memory.max",
            "/sys/fs/cgroup/a.slice/memory.max",
        ];
        assert_eq!(found, expected);
        let found: Vec<_> = limits("5:cpu,memory:/x\n4:pids:/x\n0::/../..\n").collect();
        let expected = [
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/x/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory.max",
        ];
        assert_eq!(found, expected);
        assert_eq!(
            (limit("67108864\n"), limit("max\n")),
            (Some(64 << 20), None)
        );
    }
}
