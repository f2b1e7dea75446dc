//! What `sys/host-info` tells of the machine, in the shapes of Vault's: read from
//! `/proc` at the moment of asking. What cannot be read, as elsewhere than on Linux,
//! is left out and named in a warning, as Vault does.

use std::{collections::BTreeMap, fs, io};

use lessor_model::clock::Timestamp;
use serde_json::{Map, Value, json};

/// What is told, and a sentence for each part that is missing.
pub(super) fn collect(now: Timestamp) -> (Value, Vec<String>) {
    let mut data = Map::from_iter([("timestamp".to_owned(), json!(now.rfc3339()))]);
    let mut warnings = Vec::new();
    for (name, part) in [
        ("cpu", read("cpuinfo").map(|text| processors(&text))),
        ("cpu_times", read("stat").map(|text| processor_times(&text))),
        ("disk", read("self/mounts").map(|text| disks(&text))),
        ("host", host(now)),
        ("memory", read("meminfo").map(|text| memory(&text))),
    ] {
        match part {
            Ok(part) => {
                data.insert(name.to_owned(), part);
            }
            Err(error) => warnings.push(format!("{name} cannot be told on this machine: {error}")),
        }
    }
    (data.into(), warnings)
}

fn read(file: &str) -> io::Result<String> {
    fs::read_to_string(format!("/proc/{file}"))
}

/// `/proc/cpuinfo`: a block of `name : value` for each processor.
fn processors(text: &str) -> Value {
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
            let text = |name: &str| fields.get(name).copied().unwrap_or_default();
            Some(json!({
                "cpu": fields.get("processor")?.parse::<u64>().ok()?,
                "vendorId": text("vendor_id"),
                "family": text("cpu family"),
                "model": text("model"),
                "stepping": whole("stepping"),
                "physicalId": text("physical id"),
                "coreId": text("core id"),
                "cores": 1,
                "modelName": text("model name"),
                "mhz": number("cpu MHz").unwrap_or_default(),
                "cacheSize": whole("cache size"),
                "flags": text("flags").split_whitespace().collect::<Vec<_>>(),
                "microcode": text("microcode"),
            }))
        })
        .collect()
}

/// `/proc/stat`: a line of ticks for each processor, and one for all of them.
fn processor_times(text: &str) -> Value {
    const NAMES: [&str; 10] = [
        "user",
        "nice",
        "system",
        "idle",
        "iowait",
        "irq",
        "softirq",
        "steal",
        "guest",
        "guestNice",
    ];
    /// Ticks a second on every Linux that is in use.
    const TICKS: f64 = 100.0;
    let of_line = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.strip_prefix("cpu")?;
        name.parse::<u32>().ok()?;
        let mut times = Map::from_iter([("cpu".to_owned(), json!(format!("cpu{name}")))]);
        for name in NAMES {
            let ticks = words.next().and_then(|word| word.parse::<f64>().ok());
            times.insert(name.to_owned(), json!(ticks.unwrap_or_default() / TICKS));
        }
        Some(Value::Object(times))
    };
    text.lines().filter_map(of_line).collect()
}

/// `/proc/self/mounts`: file systems on devices, each device once.
fn disks(text: &str) -> Value {
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
        Some(json!({
            "path": path,
            "fstype": kind,
            "total": total * block,
            "free": known.f_bavail * block,
            "used": used * block,
            "usedPercent": percent(used, used + known.f_bavail),
            "inodesTotal": known.f_files,
            "inodesUsed": inodes_used,
            "inodesFree": known.f_ffree,
            "inodesUsedPercent": percent(inodes_used, known.f_files),
        }))
    };
    text.lines().filter_map(of_line).collect()
}

/// The machine and its system.
fn host(now: Timestamp) -> io::Result<Value> {
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
    Ok(json!({
        "hostname": hostname(),
        "uptime": uptime,
        "bootTime": now.unix_seconds().saturating_sub(uptime),
        "procs": processes,
        "os": std::env::consts::OS,
        "platform": of_release("ID"),
        "platformFamily": of_release("ID"),
        "platformVersion": of_release("VERSION_ID"),
        "kernelVersion": line("sys/kernel/osrelease")?,
        "kernelArch": std::env::consts::ARCH,
        "virtualizationSystem": "",
        "virtualizationRole": "",
        "hostid": fs::read_to_string("/etc/machine-id").unwrap_or_default().trim(),
    }))
}

/// The machine's name; empty where it cannot be read.
pub(super) fn hostname() -> String {
    let name = read("sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// `/proc/meminfo`, in bytes, under the names that Vault shows.
fn memory(text: &str) -> Value {
    const NAMES: [(&str, &str); 20] = [
        ("total", "MemTotal"),
        ("available", "MemAvailable"),
        ("free", "MemFree"),
        ("active", "Active"),
        ("inactive", "Inactive"),
        ("buffers", "Buffers"),
        ("cached", "Cached"),
        ("writeback", "Writeback"),
        ("dirty", "Dirty"),
        ("shared", "Shmem"),
        ("slab", "Slab"),
        ("sreclaimable", "SReclaimable"),
        ("sunreclaim", "SUnreclaim"),
        ("pagetables", "PageTables"),
        ("swapcached", "SwapCached"),
        ("commitlimit", "CommitLimit"),
        ("committedas", "Committed_AS"),
        ("swaptotal", "SwapTotal"),
        ("swapfree", "SwapFree"),
        ("mapped", "Mapped"),
    ];
    let known: BTreeMap<&str, u64> = text
        .lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            let kilobytes = value.split_whitespace().next()?.parse::<u64>().ok()?;
            Some((name, kilobytes << 10))
        })
        .collect();
    let bytes = |name: &str| known.get(name).copied().unwrap_or_default();
    let mut shown: Map<String, Value> = NAMES
        .iter()
        .map(|(shown, name)| ((*shown).to_owned(), json!(bytes(name))))
        .collect();
    let used = bytes("MemTotal").saturating_sub(bytes("MemAvailable"));
    shown.insert("used".to_owned(), json!(used));
    let percent = percent(used, bytes("MemTotal"));
    shown.insert("usedPercent".to_owned(), json!(percent));
    shown.into()
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 * 100.0 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read() {
        let cpu = processors(
            "processor\t: 0\nvendor_id\t: AMD\ncpu family\t: 25\ncpu MHz\t\t: 2596.1\ncache size\t: 1024 KB\nflags\t\t: fpu vme\n\nprocessor\t: 1\n\n",
        );
        assert_eq!(cpu[0]["mhz"], 2596.1);
        assert_eq!(cpu[0]["cacheSize"], 1024);
        assert_eq!(cpu[0]["flags"], json!(["fpu", "vme"]));
        assert_eq!(cpu[1]["cpu"], 1);
        let times = processor_times("cpu  1 2 3\ncpu0 100 0 250 7\nintr 5\n");
        assert_eq!(times.as_array().unwrap().len(), 1);
        assert_eq!(
            (&times[0]["user"], &times[0]["system"]),
            (&json!(1.0), &json!(2.5))
        );
        let memory = memory("MemTotal: 100 kB\nMemAvailable: 25 kB\n");
        assert_eq!(
            (&memory["total"], &memory["usedPercent"]),
            (&json!(102_400), &json!(75.0))
        );
        assert_eq!(disks("proc /proc proc rw 0 0\n"), json!([]));
    }
}
