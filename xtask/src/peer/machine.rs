//! The machine: what it is, and what else it did meanwhile. Read from Linux's files; elsewhere they are unknown.

use std::fs;

/// What vector code looks for.
const FEATURES: &[&str] = &[
    "avx",
    "avx2",
    "fma",
    "avx512f",
    "avx512dq",
    "avx512bw",
    "avx512vl",
    "avx512_vnni",
    "avx512_bf16",
    "amx_tile",
    "amx_bf16",
    "asimd",
    "sve",
];

const UNKNOWN: &str = "unknown";

/// Its processor, the number of its cores, and their vector instructions.
pub(super) fn processor() -> String {
    let text = file("/proc/cpuinfo");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let name = field(&text, "model name").unwrap_or(UNKNOWN);
    let flags = field(&text, "flags").or_else(|| field(&text, "Features"));
    let flags: Vec<&str> = flags.unwrap_or_default().split_whitespace().collect();
    let known = FEATURES.iter().copied();
    let features: Vec<&str> = known.filter(|feature| flags.contains(feature)).collect();
    format!("{name}, {cores} core(s), {}", features.join(" "))
}

pub(super) fn memory() -> String {
    let gib = total_memory(&file("/proc/meminfo"));
    gib.map_or(UNKNOWN.to_owned(), |gib| format!("{gib:.1} GiB"))
}

/// Watches how much of the machine other programs take: those that are not this one, nor one that it started and saw end.
pub(super) struct Watch {
    start: Option<Ticks>,
}

impl Watch {
    pub(super) fn start() -> Self {
        Self {
            start: Ticks::now(),
        }
    }

    /// The share of all cores' time since the start, in words.
    pub(super) fn others(&self) -> String {
        let share = self.start.as_ref().zip(Ticks::now());
        let share = share.and_then(|(start, now)| now.others_since(start));
        share.map_or(UNKNOWN.to_owned(), |share| {
            format!("{:.0} % of all cores", 100.0 * share)
        })
    }
}

/// Clock ticks since the machine was started.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ticks {
    all: f64,
    idle: f64,
    own: f64,
}

impl Ticks {
    fn now() -> Option<Self> {
        Self::parse(&file("/proc/stat"), &file("/proc/self/stat"))
    }

    fn parse(machine: &str, process: &str) -> Option<Self> {
        let numbers = |text: &str| -> Vec<f64> {
            let words = text.split_whitespace();
            words.filter_map(|word| word.parse().ok()).collect()
        };
        // User, nice, system, idle, waiting for devices, two kinds of interrupts, taken by a host; guests are counted twice.
        let machine = numbers(machine.lines().next()?.strip_prefix("cpu ")?);
        let machine = machine.get(..8)?;
        // After the name, which may hold anything, and the state come numbers; the 11th is the first time.
        let process = numbers(process.rsplit_once(')')?.1);
        let own = process.get(10..14)?;
        Some(Self {
            all: machine.iter().sum(),
            idle: machine[3] + machine[4],
            own: own.iter().sum(),
        })
    }

    fn others_since(&self, start: &Self) -> Option<f64> {
        let all = self.all - start.all;
        let others = all - (self.idle - start.idle) - (self.own - start.own);
        (all > 0.0).then(|| (others / all).max(0.0))
    }
}

/// A file of the system, empty where there is none.
fn file(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// What stands after the first `name` and its colon.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    let found = pairs.find(|(key, _)| key.trim() == name);
    found.map(|(_, value)| value.trim())
}

/// In GiB.
fn total_memory(text: &str) -> Option<f64> {
    let kib = field(text, "MemTotal")?.split_whitespace().next()?;
    Some(kib.parse::<f64>().ok()? / 1_048_576.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_read_from_its_files() {
        let cpu = "processor\t: 0\nmodel name\t: A Processor\nflags\t\t: fpu avx2 fma\nmodel name : other";
        assert_eq!(field(cpu, "model name"), Some("A Processor"));
        assert_eq!(field(cpu, "flags"), Some("fpu avx2 fma"));
        assert_eq!(field(cpu, "Features"), None);
        let memory = "MemTotal:  2097152 kB\nMemFree: 3 kB\n";
        assert_eq!(total_memory(memory), Some(2.0));
        assert_eq!(total_memory(""), None);
    }

    #[test]
    fn others_have_what_is_neither_idle_nor_ours() {
        let process = |own: u32| format!("7 (a ) 9 b) S 1 2 3 4 5 6 7 8 9 10 {own} 20 30 40 50 60");
        let ticks = |machine: &str, own| Ticks::parse(machine, &process(own));
        let start = ticks("cpu  100 0 50 1000 10 1 2 3 99 99\ncpu0 1\n", 10).unwrap();
        let expected = Ticks {
            all: 1166.0,
            idle: 1010.0,
            own: 100.0,
        };
        assert_eq!(start, expected);
        // 200 ticks later: 100 idle, 60 ours, 40 of others.
        let end = ticks("cpu  200 0 50 1090 20 1 2 3 99 99\n", 70).unwrap();
        assert_eq!(end.others_since(&start), Some(0.2));
        assert_eq!(start.others_since(&start), None);
        assert_eq!(ticks("intr 5\n", 1), None);
        assert_eq!(Ticks::parse("cpu  1 2 3\n", "7 (a) S 1\n"), None);
    }
}
