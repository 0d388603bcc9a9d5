//! How many servers a load needs so that few of its clients wait long.
//!
//! A. K. Erlang, "Solution of some Problems in the Theory of Probabilities of Significance in
//! Automatic Telephone Exchanges", 1917: with Poisson arrivals, exponential service times and one
//! queue for c servers at load a = λ·S, a client has to wait with probability
//! C(c, a) = B / (1 − ρ (1 − B)), where ρ = a / c and B is the blocking probability by its recursion
//! B(n) = a·B(n−1) / (n + a·B(n−1)), B(0) = 1; and longer than t with C · exp(−(c − a)·t / S).
//!
//! Real arrivals and services vary more or less than that. A. O. Allen, "Probability, Statistics and
//! Queueing Theory", 1978 (the Allen-Cunneen approximation) stretches waits by v = (Ca² + Cs²) / 2, the
//! mean of the squared coefficients of variation of arrivals and services; so S becomes S·v above.
//! Rejected: H. Sakasegawa's closed form, 1977, which approximates the mean wait well and the
//! probability of a long one not at all.

/// Beyond so many servers nothing is asked.
const SERVERS_MAX: u32 = 10_000;

/// A goal for the time in the queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct WaitGoal {
    /// The wait that few should exceed, in units of the mean service time, variability included.
    pub services: f64,
    /// The part of the clients that may exceed it.
    pub exceeding: f64,
}

/// Gives the probability that a client has to wait; 1 where the queue would grow without bound.
pub(crate) fn waits(servers: u32, load: f64) -> f64 {
    let count = f64::from(servers);
    if load.is_nan() || load >= count {
        return 1.0;
    }
    if load <= 0.0 {
        return 0.0;
    }
    let blocking = (1..=servers).fold(1.0, |b, n| next(b, load, n));
    of_blocking(blocking, load, count)
}

/// Takes the recursion of the blocking probability to the next server.
fn next(blocking: f64, load: f64, servers: u32) -> f64 {
    load * blocking / (f64::from(servers) + load * blocking)
}

fn of_blocking(blocking: f64, load: f64, count: f64) -> f64 {
    blocking / (1.0 - load / count * (1.0 - blocking))
}

/// Gives the probability that a client waits for more than `services` mean service times.
pub(crate) fn waits_longer(servers: u32, load: f64, services: f64) -> f64 {
    let room = (f64::from(servers) - load).max(0.0);
    waits(servers, load) * (-room * services).exp()
}

/// Gives the probability that at least `queue` clients wait at a moment: C · ρ^Q (M/M/c).
pub(crate) fn queues(servers: u32, load: f64, queue: u32) -> f64 {
    let waiting = waits(servers, load);
    if waiting >= 1.0 {
        return 1.0;
    }
    waiting * (load / f64::from(servers)).powf(f64::from(queue))
}

/// Gives the least number of servers with which the goal is met; 1 for a load that is no number.
pub(crate) fn servers_for(load: f64, goal: &WaitGoal) -> u32 {
    if load.is_nan() || load <= 0.0 {
        return 1;
    }
    let (mut count, mut blocking) = (0, 1.0);
    // One pass: what n servers block follows from what n − 1 do.
    while count < SERVERS_MAX {
        count += 1;
        blocking = next(blocking, load, count);
        let room = f64::from(count) - load;
        if room > 0.0 {
            let waits = of_blocking(blocking, load, f64::from(count));
            if waits * (-room * goal.services).exp() <= goal.exceeding {
                break;
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    #[test]
    fn waiting_is_that_of_the_textbook() {
        // One server: ρ. Two servers and one erlang: 1/3. Three and two: B = 4/19, C = 4/9.
        near(waits(1, 0.5), 0.5);
        near(waits(2, 1.0), 1.0 / 3.0);
        near(waits(3, 2.0), 4.0 / 9.0);
        near(waits(4, 4.0), 1.0);
        near(waits(4, 0.0), 0.0);
        near(waits(4, f64::NAN), 1.0);
    }

    #[test]
    fn long_waits_fall_exponentially() {
        near(waits_longer(3, 2.0, 0.0), 4.0 / 9.0);
        near(waits_longer(3, 2.0, 2.0), 4.0 / 9.0 * (-2.0_f64).exp());
        near(waits_longer(2, 5.0, 9.0), 1.0);
    }

    #[test]
    fn long_queues_fall_geometrically() {
        near(queues(2, 1.0, 3), 1.0 / 3.0 / 8.0);
        near(queues(2, 2.0, 50), 1.0);
    }

    #[test]
    fn the_goal_is_met_with_as_few_as_can_be() {
        // C(2, 1) = 1/3 and C(3, 1) = 1/11: one in ten may wait at all.
        assert_eq!(servers_for(1.0, &WaitGoal { services: 0.0, exceeding: 0.1 }), 3);
        assert_eq!(servers_for(1.0, &WaitGoal { services: 0.0, exceeding: 0.34 }), 2);
        // 1/3 · exp(−1.3) = 0.0908.
        assert_eq!(servers_for(1.0, &WaitGoal { services: 1.3, exceeding: 0.1 }), 2);
        assert_eq!(servers_for(0.0, &WaitGoal { services: 0.0, exceeding: 0.0 }), 1);
        assert_eq!(servers_for(f64::NAN, &WaitGoal { services: 0.0, exceeding: 0.1 }), 1);
        assert_eq!(servers_for(1e9, &WaitGoal { services: 0.0, exceeding: 0.1 }), SERVERS_MAX);
    }
}
