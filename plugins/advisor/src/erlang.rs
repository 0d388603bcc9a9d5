//! How long clients would wait for one of several servers.
//!
//! A. K. Erlang, "Solution of some Problems in the Theory of Probabilities of Significance in
//! Automatic Telephone Exchanges", 1917: with Poisson arrivals, exponential service times and one
//! queue, the probability of having to wait is C(c, a) = B / (1 − ρ (1 − B)) with ρ = a / c and B the
//! blocking probability by its recursion B(n) = a·B(n−1) / (n + a·B(n−1)); the mean wait of all is
//! C · W / (c − a), W being the mean service time. Real loads come in bursts and wait longer, so this
//! says how much better another size is rather than how good.

/// Gives the mean wait in the unit of `service`; `None` where the queue would grow without bound.
///
/// `load` is the mean number of servers in use (arrivals times service time, in erlangs).
pub(crate) fn mean_wait(servers: u32, load: f64, service: f64) -> Option<f64> {
    let count = f64::from(servers);
    if load.is_nan() || load < 0.0 || load >= count {
        return None;
    }
    let blocking = (1..=servers).fold(1.0, |b, n| load * b / (f64::from(n) + load * b));
    let utilization = load / count;
    let waits = blocking / (1.0 - utilization * (1.0 - blocking));
    Some(waits * service / (count - load))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_those_of_the_textbook() {
        // One server is M/M/1: W·ρ / (1 − ρ).
        let one = mean_wait(1, 0.5, 10.0).expect("there is room");
        assert!((one - 10.0).abs() < 1e-9, "{one}");
        // Two servers and one erlang: C = 1/3.
        let two = mean_wait(2, 1.0, 3.0).expect("there is room");
        assert!((two - 1.0).abs() < 1e-9, "{two}");
    }

    #[test]
    fn a_queue_without_room_has_no_mean() {
        assert_eq!(mean_wait(4, 4.0, 1.0), None);
        assert_eq!(mean_wait(0, 0.0, 1.0), None);
        assert_eq!(mean_wait(4, f64::NAN, 1.0), None);
        assert_eq!(mean_wait(4, 0.0, 1.0), Some(0.0));
    }
}
