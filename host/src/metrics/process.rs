//! What the sidecar itself takes, read from `/proc/self` under the names that every client uses.

use super::text::Text;

/// Linux shows times in `/proc` in hundredths of a second on every machine that Rust's standard
/// library runs on (`USER_HZ`, part of the kernel's interface and not the timer's rate).
const TICKS_PER_S: u64 = 100;

/// Writes memory and CPU; on a system without `/proc` nothing.
pub(super) fn write(text: &mut Text) {
    if let Some(bytes) = file("status").as_deref().and_then(resident_bytes) {
        let help = "Resident memory of the sidecar.";
        text.gauge("process_resident_memory_bytes", help).sample(&[], bytes);
    }
    if let Some((ticks, threads)) = file("stat").as_deref().and_then(cpu_ticks) {
        let help = "CPU time of the sidecar, its own and the kernel's.";
        let (whole, rest) = (ticks / TICKS_PER_S, ticks % TICKS_PER_S);
        text.counter("process_cpu_seconds_total", help)
            .sample(&[], format_args!("{whole}.{rest:02}"));
        text.gauge("process_threads", "Threads of the sidecar.").sample(&[], threads);
    }
}

fn file(name: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/self/{name}")).ok()
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Reads user and system time and the number of threads: fields 14, 15 and 20 of proc(5).
fn cpu_ticks(stat: &str) -> Option<(u64, u64)> {
    // The name may hold spaces and parentheses; the last one ends it, and field 3 follows.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some((number(14)? + number(15)?, number(20)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read_as_documented() {
        assert_eq!(resident_bytes("VmPeak:\t 9 kB\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 1 2 3 4 250 51 8 9 20 0 3 0 100 1 2";
        assert_eq!(cpu_ticks(stat), Some((301, 3)));
    }
}
