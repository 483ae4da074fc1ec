//! How busy the machine is, for figures that depend on it.

/// Processes that run or wait for a processor, the mean of the last minute: the first figure of
/// `uptime`. `None` where there is no /proc/loadavg.
pub(crate) fn load() -> Option<f64> {
    let loads = std::fs::read_to_string("/proc/loadavg").ok()?;
    loads.split(' ').next()?.parse().ok()
}

/// For how many of those there are processors; 1 where the system does not say.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
