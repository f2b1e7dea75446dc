//! `sys/host-info`: the machine, in the shapes of Vault's answer, read from `/proc` at the
//! moment of asking. Parts that cannot be read, as elsewhere than on Linux, are left out and
//! named in a warning, as Vault does.

use std::{collections::BTreeMap, fs, io};

use lessor_model::clock::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// The machine as the server sees it; a part that cannot be read is left out.
#[derive(Serialize, JsonSchema)]
pub(super) struct HostInfo {
    /// The time when it was asked for.
    timestamp: String,
    /// The processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<Vec<Processor>>,
    /// The time that they spent on each kind of work since the machine started.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_times: Option<Vec<ProcessorTimes>>,
    /// File systems on devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<Vec<Disk>>,
    /// The machine and its system.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Machine>,
    /// The memory, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Memory>,
}

/// A processor.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Processor {
    /// Its number.
    cpu: u64,
    /// Its maker.
    vendor_id: String,
    /// Its family.
    family: String,
    /// Its model.
    model: String,
    /// Its stepping.
    stepping: u64,
    /// The package that it is in.
    physical_id: String,
    /// The core that it is of.
    core_id: String,
    /// 1
    cores: u32,
    /// The name that its maker gives it.
    model_name: String,
    /// Its frequency in MHz.
    mhz: f64,
    /// Its cache in KiB.
    cache_size: u64,
    /// The features that it has.
    flags: Vec<String>,
    /// The version of its microcode.
    microcode: String,
}

/// The number of seconds that a processor spent on each kind of work.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ProcessorTimes {
    /// Its name.
    cpu: String,
    /// Programs.
    user: f64,
    /// Programs of low priority.
    nice: f64,
    /// The kernel.
    system: f64,
    /// Idle time.
    idle: f64,
    /// Waiting for disks.
    iowait: f64,
    /// Interrupts.
    irq: f64,
    /// Deferred interrupts.
    softirq: f64,
    /// Other machines on the same processor.
    steal: f64,
    /// Machines inside this one.
    guest: f64,
    /// Guests of low priority.
    guest_nice: f64,
}

/// A file system.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Disk {
    /// The directory at which it is mounted.
    path: String,
    /// Its kind.
    #[serde(rename = "fstype")]
    kind: String,
    /// Its size in bytes.
    total: u64,
    /// Bytes that are free.
    free: u64,
    /// Bytes that are used.
    used: u64,
    /// The same as a part of 100.
    used_percent: f64,
    /// Files that it may have.
    inodes_total: u64,
    /// Files that it has.
    inodes_used: u64,
    /// Files that it may still have.
    inodes_free: u64,
    /// Files that it has as a part of 100.
    inodes_used_percent: f64,
}

/// The machine and its operating system.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Machine {
    /// Its name.
    hostname: String,
    /// Seconds since it started.
    uptime: u64,
    /// The time when it started, in seconds since 1970.
    boot_time: u64,
    /// Processes that run.
    procs: usize,
    /// The kernel's family.
    os: &'static str,
    /// The distribution.
    platform: String,
    /// The same.
    platform_family: String,
    /// Its version.
    platform_version: String,
    /// The kernel's version.
    kernel_version: String,
    /// The processors' architecture.
    kernel_arch: &'static str,
    /// Empty.
    virtualization_system: &'static str,
    /// Empty.
    virtualization_role: &'static str,
    /// Names the machine for ever.
    #[serde(rename = "hostid")]
    host_id: String,
}

/// The memory of a machine, in bytes, by the kernel's words.
#[derive(Serialize, JsonSchema)]
struct Memory {
    /// All memory of the machine.
    total: u64,
    /// Memory that programs can still have.
    available: u64,
    /// Memory that is not used at all.
    free: u64,
    /// Memory that was used lately.
    active: u64,
    /// Memory that was not used lately.
    inactive: u64,
    /// Buffers of disks.
    buffers: u64,
    /// Contents of files.
    cached: u64,
    /// Memory that is being written to disk.
    writeback: u64,
    /// Memory that is to be written to disk.
    dirty: u64,
    /// Memory that programs share.
    shared: u64,
    /// The kernel's own structures.
    slab: u64,
    /// The kernel's structures that can be given back.
    sreclaimable: u64,
    /// The kernel's structures that cannot be given back.
    sunreclaim: u64,
    /// Tables of pages.
    pagetables: u64,
    /// Memory that is swapped out, and in memory too.
    swapcached: u64,
    /// The amount that may be promised to programs.
    commitlimit: u64,
    /// The amount that is promised to programs.
    #[serde(rename = "committedas")]
    committed: u64,
    /// Room to swap, in all.
    swaptotal: u64,
    /// Room to swap that is free.
    swapfree: u64,
    /// Mapped files.
    mapped: u64,
    /// Memory that programs use.
    used: u64,
    /// The same as a part of 100.
    #[serde(rename = "usedPercent")]
    used_percent: f64,
}

/// The facts that could be read, and a sentence for each part that is missing.
pub(super) fn collect(now: Timestamp) -> (HostInfo, Vec<String>) {
    let mut warnings = Vec::new();
    let info = HostInfo {
        timestamp: now.rfc3339(),
        cpu: told("cpu", read("cpuinfo"), &mut warnings).map(|text| processors(&text)),
        cpu_times: told("cpu_times", read("stat"), &mut warnings)
            .map(|text| processor_times(&text)),
        disk: told("disk", read("self/mounts"), &mut warnings).map(|text| disks(&text)),
        host: told("host", host(now), &mut warnings),
        memory: told("memory", read("meminfo"), &mut warnings).map(|text| memory(&text)),
    };
    (info, warnings)
}

/// A part, or a sentence where it is missing.
fn told<T>(name: &str, part: io::Result<T>, warnings: &mut Vec<String>) -> Option<T> {
    match part {
        Ok(part) => Some(part),
        Err(error) => {
            warnings.push(format!("{name} cannot be told on this machine: {error}"));
            None
        }
    }
}

fn read(file: &str) -> io::Result<String> {
    fs::read_to_string(format!("/proc/{file}"))
}

/// `/proc/cpuinfo`: a block of `name : value` for each processor.
fn processors(text: &str) -> Vec<Processor> {
    text.split("\n\n")
        .filter_map(|block| {
            let fields: BTreeMap<&str, &str> = block
                .lines()
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.trim(), value.trim()))
                .collect();
            let number = |name: &str| {
                let first = fields.get(name)?.split_whitespace().next()?;
                first.parse::<f64>().ok()
            };
            let whole = |name: &str| number(name).unwrap_or_default() as u64;
            let text = |name: &str| (*fields.get(name).unwrap_or(&"")).to_owned();
            let flags = text("flags");
            Some(Processor {
                cpu: fields.get("processor")?.parse::<u64>().ok()?,
                vendor_id: text("vendor_id"),
                family: text("cpu family"),
                model: text("model"),
                stepping: whole("stepping"),
                physical_id: text("physical id"),
                core_id: text("core id"),
                cores: 1,
                model_name: text("model name"),
                mhz: number("cpu MHz").unwrap_or_default(),
                cache_size: whole("cache size"),
                flags: flags.split_whitespace().map(str::to_owned).collect(),
                microcode: text("microcode"),
            })
        })
        .collect()
}

/// `/proc/stat`: a line of ticks for each processor, and one for all of them.
fn processor_times(text: &str) -> Vec<ProcessorTimes> {
    /// Ticks a second on every Linux that is in use.
    const TICKS: f64 = 100.0;
    let of_line = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.strip_prefix("cpu")?;
        name.parse::<u32>().ok()?;
        let mut next = || {
            let ticks = words.next().and_then(|word| word.parse::<f64>().ok());
            ticks.unwrap_or_default() / TICKS
        };
        // In the kernel's order.
        Some(ProcessorTimes {
            cpu: format!("cpu{name}"),
            user: next(),
            nice: next(),
            system: next(),
            idle: next(),
            iowait: next(),
            irq: next(),
            softirq: next(),
            steal: next(),
            guest: next(),
            guest_nice: next(),
        })
    };
    text.lines().filter_map(of_line).collect()
}

/// `/proc/self/mounts`: file systems on devices, each device once.
fn disks(text: &str) -> Vec<Disk> {
    let mut devices = Vec::new();
    let of_line = |line: &str| {
        let mut words = line.split_whitespace();
        let (device, path, kind) = (words.next()?, words.next()?, words.next()?);
        if !device.starts_with("/dev/") || devices.contains(&device.to_owned()) {
            return None;
        }
        let known = rustix::fs::statvfs(path).ok()?;
        devices.push(device.to_owned());
        let (block, total) = (known.f_frsize, known.f_blocks);
        let used = total.saturating_sub(known.f_bfree);
        let inodes_used = known.f_files.saturating_sub(known.f_ffree);
        Some(Disk {
            path: path.to_owned(),
            kind: kind.to_owned(),
            total: total * block,
            free: known.f_bavail * block,
            used: used * block,
            used_percent: percent(used, used + known.f_bavail),
            inodes_total: known.f_files,
            inodes_used,
            inodes_free: known.f_ffree,
            inodes_used_percent: percent(inodes_used, known.f_files),
        })
    };
    text.lines().filter_map(of_line).collect()
}

/// The machine and its system.
fn host(now: Timestamp) -> io::Result<Machine> {
    let line = |file: &str| read(file).map(|text| text.trim().to_owned());
    let uptime = line("uptime")?;
    let uptime = uptime
        .split('.')
        .next()
        .and_then(|seconds| seconds.parse::<u64>().ok())
        .unwrap_or_default();
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let of_release = |name: &str| {
        let value = release
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_default().trim_matches('"').to_owned()
    };
    let processes = fs::read_dir("/proc")?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
        .count();
    let machine_id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    Ok(Machine {
        hostname: hostname(),
        uptime,
        boot_time: now.unix_seconds().saturating_sub(uptime),
        procs: processes,
        os: std::env::consts::OS,
        platform: of_release("ID"),
        platform_family: of_release("ID"),
        platform_version: of_release("VERSION_ID"),
        kernel_version: line("sys/kernel/osrelease")?,
        kernel_arch: std::env::consts::ARCH,
        virtualization_system: "",
        virtualization_role: "",
        host_id: machine_id.trim().to_owned(),
    })
}

/// The machine's name; empty where it cannot be read.
pub(super) fn hostname() -> String {
    let name = read("sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// `/proc/meminfo`, in bytes, under the names that Vault shows.
fn memory(text: &str) -> Memory {
    let known: BTreeMap<&str, u64> = text
        .lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            let kilobytes = value.split_whitespace().next()?.parse::<u64>().ok()?;
            Some((name, kilobytes << 10))
        })
        .collect();
    let bytes = |name: &str| known.get(name).copied().unwrap_or_default();
    let used = bytes("MemTotal").saturating_sub(bytes("MemAvailable"));
    Memory {
        total: bytes("MemTotal"),
        available: bytes("MemAvailable"),
        free: bytes("MemFree"),
        active: bytes("Active"),
        inactive: bytes("Inactive"),
        buffers: bytes("Buffers"),
        cached: bytes("Cached"),
        writeback: bytes("Writeback"),
        dirty: bytes("Dirty"),
        shared: bytes("Shmem"),
        slab: bytes("Slab"),
        sreclaimable: bytes("SReclaimable"),
        sunreclaim: bytes("SUnreclaim"),
        pagetables: bytes("PageTables"),
        swapcached: bytes("SwapCached"),
        commitlimit: bytes("CommitLimit"),
        committed: bytes("Committed_AS"),
        swaptotal: bytes("SwapTotal"),
        swapfree: bytes("SwapFree"),
        mapped: bytes("Mapped"),
        used,
        used_percent: percent(used, bytes("MemTotal")),
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 * 100.0 / whole as f64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read() {
        let cpu = json!(processors(
            "processor\t: 0\nvendor_id\t: AMD\ncpu family\t: 25\ncpu MHz\t\t: 2596.1\ncache size\t: 1024 KB\nflags\t\t: fpu vme\n\nprocessor\t: 1\n\n",
        ));
        assert_eq!(cpu[0]["mhz"], 2596.1);
        assert_eq!(cpu[0]["cacheSize"], 1024);
        assert_eq!(cpu[0]["flags"], json!(["fpu", "vme"]));
        assert_eq!(cpu[1]["cpu"], 1);
        let times = json!(processor_times("cpu  1 2 3\ncpu0 100 0 250 7\nintr 5\n"));
        assert_eq!(times.as_array().unwrap().len(), 1);
        assert_eq!(
            (&times[0]["user"], &times[0]["system"]),
            (&json!(1.0), &json!(2.5))
        );
        let memory = json!(memory("MemTotal: 100 kB\nMemAvailable: 25 kB\n"));
        assert_eq!(
            (&memory["total"], &memory["usedPercent"]),
            (&json!(102_400), &json!(75.0))
        );
        assert_eq!(json!(disks("proc /proc proc rw 0 0\n")), json!([]));
    }
}
