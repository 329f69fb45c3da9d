//! What a failed write means, and how long to wait (consul-api 5.2 and 2.8).

use super::config::RegistrarConfig;
use crate::error::Class;
use std::time::Duration;

/// Kinds of failures of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No answer. It may get better at any time, so it is retried for ever.
    Unreachable,
    /// An answer that says "not now": 5xx, 429, or nonsense.
    Trouble,
    /// An answer that says "never": 400, 403 and the rest.
    Refusal,
}

impl Failure {
    /// The kind of an error.
    #[must_use]
    pub fn of(class: Class) -> Self {
        match class {
            Class::Transport => Self::Unreachable,
            Class::Server | Class::Busy | Class::Rejected => Self::Trouble,
            Class::Denied | Class::TokenUnknown | Class::Unsupported | Class::Mistake => Self::Refusal,
        }
    }
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The process should end with the agent's text.
    Refused,
    /// Try again.
    Retry,
}

/// Judges a failed registration. `ever`: the gateway has been registered before; its traffic is worth
/// more than the registration then. `trouble`: for how long every answer was [`Failure::Trouble`].
#[must_use]
pub fn judge(failure: Failure, ever: bool, trouble: Duration, config: &RegistrarConfig) -> Verdict {
    match failure {
        Failure::Refusal if !ever => Verdict::Refused,
        Failure::Trouble if !ever && trouble >= config.start_patience => Verdict::Refused,
        _ => Verdict::Retry,
    }
}

/// How long to wait after so many failures in a row (1 or more). `random` is from 0 up to 1.
#[must_use]
pub fn pause(failure: Failure, failures: u32, random: f64, config: &RegistrarConfig) -> Duration {
    let (first, longest) = match failure {
        Failure::Unreachable => (config.retry, config.unreachable_retry_max),
        Failure::Trouble => (config.retry, config.retry_max),
        Failure::Refusal => (config.refused_retry, config.retry_max),
    };
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    first.saturating_mul(doubled).min(longest).mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn verdicts() {
        let config = RegistrarConfig::default();
        let table = [
            (Class::Denied, false, 0, Verdict::Refused),
            (Class::TokenUnknown, false, 0, Verdict::Refused),
            (Class::Mistake, false, 0, Verdict::Refused),
            (Class::Unsupported, false, 0, Verdict::Refused),
            (Class::Server, false, 59, Verdict::Retry),
            (Class::Server, false, 60, Verdict::Refused),
            (Class::Busy, false, 59, Verdict::Retry),
            (Class::Busy, false, 61, Verdict::Refused),
            (Class::Rejected, false, 61, Verdict::Refused),
            (Class::Transport, false, 1_000_000, Verdict::Retry),
            (Class::Denied, true, 0, Verdict::Retry),
            (Class::Server, true, 1_000_000, Verdict::Retry),
        ];
        for (class, ever, trouble, expected) in table {
            assert_eq!(judge(Failure::of(class), ever, S(trouble), &config), expected, "{class:?} {trouble}");
        }
    }

    #[test]
    fn pauses_double_within_bounds() {
        let config = RegistrarConfig::default();
        let full = |failure, failures| pause(failure, failures, 1.0, &config);
        assert_eq!(full(Failure::Trouble, 1), S(1));
        assert_eq!(full(Failure::Trouble, 4), S(8));
        assert_eq!(full(Failure::Trouble, 400), S(60));
        assert_eq!(full(Failure::Unreachable, 400), S(5));
        assert_eq!(full(Failure::Refusal, 1), S(5));
        assert_eq!(full(Failure::Refusal, 9), S(60));
        assert_eq!(pause(Failure::Trouble, 3, 0.0, &config), S(2));
    }
}
