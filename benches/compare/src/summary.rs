//! Rounds put together.

use crate::client::times;
use crate::measure::Sample;

/// What became of a server under a workload.
#[derive(Clone, Debug)]
pub enum Outcome {
    Measured(Box<Figures>),
    /// It was there and did not do what was asked, or could not be built.
    Failed(String),
    /// It is not installed, or the kernel has not what it needs.
    Absent,
}

impl Outcome {
    /// The figures, if there are any.
    #[must_use]
    pub fn figures(&self) -> Option<&Figures> {
        match self {
            Outcome::Measured(figures) => Some(figures),
            Outcome::Failed(_) | Outcome::Absent => None,
        }
    }
}

/// Medians over the rounds; times are of all rounds together.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Processor time of the server for a request, in microseconds: the median, the least, and what it
    /// was in each round.
    pub cpu: f64,
    pub cpu_min: f64,
    pub cpu_by_round: Vec<f64>,
    /// Of it in the program; the rest is in the kernel.
    pub user: f64,
    /// Processor time of the client for a request, in microseconds.
    pub client: f64,
    /// Requests a second.
    pub rate: f64,
    /// Of a processor: what the server used, and what anybody but it and the client did.
    pub busy: f64,
    pub others: f64,
    /// Microseconds within which half, and all but a hundredth, were answered.
    pub p50: f64,
    pub p99: f64,
    /// Bytes: of the whole server, and of its connections.
    pub resident: f64,
    pub grown: f64,
    pub answer_octets: usize,
}

impl Figures {
    /// Of one sample for each round.
    ///
    /// # Panics
    ///
    /// When there are none.
    #[must_use]
    pub fn of(samples: &[Sample]) -> Figures {
        let micros = |span: std::time::Duration| span.as_secs_f64() * 1e6;
        let each = |of: &dyn Fn(&Sample) -> f64| median(samples.iter().map(of).collect());
        let cpu = |sample: &Sample| micros(sample.server) / sample.requests.max(1) as f64;
        let cpu_by_round: Vec<f64> = samples.iter().map(cpu).collect();
        let mut all = times();
        for sample in samples {
            all += &sample.times;
        }
        let at = |share| all.value_at_quantile(share) as f64 / 1e3;
        Figures {
            cpu: median(cpu_by_round.clone()),
            cpu_min: cpu_by_round.iter().copied().fold(f64::INFINITY, f64::min),
            user: each(&|sample| cpu(sample) * user_share(sample)),
            client: each(&|sample| micros(sample.client) / sample.requests.max(1) as f64),
            rate: each(&|sample| sample.requests as f64 / sample.window.as_secs_f64()),
            busy: each(&|sample| sample.server.as_secs_f64() / sample.window.as_secs_f64()),
            others: each(&|sample| sample.others.as_secs_f64() / sample.window.as_secs_f64()),
            p50: at(0.5),
            p99: at(0.99),
            resident: each(&|sample| sample.resident as f64),
            grown: each(&|sample| sample.grown as f64),
            answer_octets: samples[0].answer_octets,
            cpu_by_round,
        }
    }

    /// Its processor time in that of `floor`: the median of the ratios within each round, since the
    /// machine is slower in some than in others.
    #[must_use]
    pub fn cpu_ratio(&self, floor: &Figures) -> f64 {
        let pairs = self.cpu_by_round.iter().zip(&floor.cpu_by_round);
        median(pairs.map(|(own, floor)| own / floor).collect())
    }
}

fn user_share(sample: &Sample) -> f64 {
    let all = (sample.user_ticks + sample.system_ticks).max(1);
    sample.user_ticks as f64 / all as f64
}

/// The middle one, or between the two of them; 0 of none.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        len if len % 2 == 1 => values[len / 2],
        len => f64::midpoint(values[len / 2 - 1], values[len / 2]),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sample(requests: u64, server_millis: u64) -> Sample {
        let mut times = times();
        times.saturating_record(50_000);
        Sample {
            requests,
            window: Duration::from_secs(1),
            server: Duration::from_millis(server_millis),
            user_ticks: 10,
            system_ticks: 30,
            client: Duration::from_millis(500),
            others: Duration::from_millis(100),
            times,
            resident: 1 << 20,
            grown: 4096,
            answer_octets: 100,
        }
    }

    #[test]
    fn figures_are_medians_for_a_request_and_ratios_are_within_a_round() {
        let floor = Figures::of(&[sample(1000, 1), sample(1000, 2), sample(1000, 8)]);
        let own = Figures::of(&[sample(1000, 3), sample(500, 1), sample(1000, 8)]);
        assert_eq!((floor.cpu, floor.cpu_min), (2.0, 1.0));
        assert_eq!((floor.user, floor.client, floor.rate), (0.5, 500.0, 1000.0));
        assert_eq!(own.cpu_ratio(&floor), 1.0); // of 3, 1 and 1
        assert!((floor.p50 - 50.0).abs() < 1.0);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![1.0, 9.0, 2.0, 4.0]), 3.0);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
