//! How a family is followed: by long polls or in turn.

use super::PlanConfig;
use crate::client::Capacity;

/// How a family is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// A long poll for each name.
    Block,
    /// Every name read in turn.
    Sweep,
}

impl Mode {
    /// The word for settings, metrics and pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Sweep => "sweep",
        }
    }
}

/// What the choice depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Names of the family that are not idle.
    pub(super) names: usize,
    /// Names of other families that are long-polled.
    pub(super) others: usize,
    /// Watches with a long poll of their own.
    pub(super) watches: usize,
    pub(super) capacity: Capacity,
}

/// What is chosen, and what it was chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) mode: Mode,
    names: usize,
    /// Names that may be long-polled, and over what; `None`: the mode is set.
    limit: Option<(usize, &'static str)>,
}

impl Choice {
    /// Why, for log and pages.
    pub(super) fn reason(&self) -> String {
        let names = self.names;
        match (self.limit, self.mode) {
            (None, _) => "as set".to_owned(),
            (Some((most, protocol)), Mode::Block) => {
                format!("{names} names over {protocol}, {most} may be long-polled")
            }
            (Some((most, protocol)), Mode::Sweep) => {
                format!("{names} names over {protocol}, only {most} may be long-polled")
            }
        }
    }
}

/// `None`: not before the first connection has shown what the agent speaks.
pub(super) fn choose(before: Option<Mode>, load: &Load, config: &PlanConfig) -> Option<Choice> {
    let names = load.names;
    if let Some(mode) = config.mode {
        return Some(Choice { mode, names, limit: None });
    }
    let room = load.capacity.blocking.saturating_sub(load.watches + load.others);
    let (limit, again, protocol) = match load.capacity.multiplexed {
        None => return None,
        // Room comes and goes with connections: some of it must be free before all change their ways.
        Some(true) => (room, room - room / 4, "HTTP/2"),
        Some(false) => {
            let left = |most: usize| most.saturating_sub(load.others).min(room);
            (left(config.block_up), left(config.block_down), "HTTP/1.1")
        }
    };
    let most = if before == Some(Mode::Sweep) { again } else { limit };
    let mode = if names <= most { Mode::Block } else { Mode::Sweep };
    Some(Choice { mode, names, limit: Some((most, protocol)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(before: Option<Mode>, names: usize, capacity: Capacity) -> Option<Mode> {
        let load = Load { names, others: 0, watches: 8, capacity };
        choose(before, &load, &PlanConfig::default()).map(|choice| choice.mode)
    }

    const HTTP1: Capacity = Capacity { multiplexed: Some(false), blocking: 56, reads: 8 };
    const HTTP2: Capacity = Capacity { multiplexed: Some(true), blocking: 11_200, reads: 256 };

    #[test]
    fn forty_names_are_long_polled_over_http1_and_thirty_after_a_sweep() {
        let (block, sweep) = (Some(Mode::Block), Some(Mode::Sweep));
        assert_eq!(mode(None, 40, HTTP1), block);
        assert_eq!(mode(block, 40, HTTP1), block);
        assert_eq!(mode(block, 41, HTTP1), sweep);
        assert_eq!(mode(sweep, 40, HTTP1), sweep);
        assert_eq!(mode(sweep, 31, HTTP1), sweep);
        assert_eq!(mode(sweep, 30, HTTP1), block);
    }

    #[test]
    fn over_http2_as_many_are_long_polled_as_there_is_room_for() {
        let (block, sweep) = (Some(Mode::Block), Some(Mode::Sweep));
        assert_eq!(mode(None, 10_000, HTTP2), block);
        assert_eq!(mode(sweep, 1000, HTTP2), block);
        assert_eq!(mode(block, 11_193, HTTP2), sweep);
        assert_eq!(mode(sweep, 11_000, HTTP2), sweep);
    }

    #[test]
    fn a_smaller_budget_means_fewer_long_polls() {
        let half = Capacity { blocking: 28, ..HTTP1 };
        assert_eq!(mode(Some(Mode::Block), 20, half), Some(Mode::Block));
        assert_eq!(mode(Some(Mode::Block), 21, half), Some(Mode::Sweep));
    }

    #[test]
    fn nothing_is_chosen_before_the_protocol_is_known_unless_it_is_set() {
        let unknown = Capacity { multiplexed: None, ..HTTP1 };
        assert_eq!(mode(None, 10, unknown), None);
        let config = PlanConfig { mode: Some(Mode::Sweep), ..PlanConfig::default() };
        let load = Load { names: 1, others: 0, watches: 8, capacity: unknown };
        assert_eq!(choose(None, &load, &config).map(|choice| choice.mode), Some(Mode::Sweep));
    }

    #[test]
    fn families_share_the_forty() {
        let load = Load { names: 20, others: 25, watches: 8, capacity: HTTP1 };
        let chosen = choose(Some(Mode::Block), &load, &PlanConfig::default()).map(|choice| choice.mode);
        assert_eq!(chosen, Some(Mode::Sweep));
    }
}
