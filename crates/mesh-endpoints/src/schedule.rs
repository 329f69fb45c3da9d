//! The order of weighted round robin: position in, index out.
//!
//! One atomic counter gives every pick a position of its own; the position alone decides the index.
//! So a cycle is exact however many threads take part, and nothing has to be locked or kept in step.
//!
//! A table of the cycle would be as long as the sum of the weights (640,000 places for 5,000
//! endpoints of weight 128). Instead endpoints of equal weight form a class, and a cycle has as many
//! rounds as the largest weight. Class c with T places in a cycle of R rounds has had
//! `floor((r * T + R / 2) / R)` of them when round r begins: evenly spread, and T of them in all.
//! Within its class the endpoints take turns. No endpoint comes twice in a round. The memory is one
//! small record for each different weight (128 at most), and a look-up is at most 8 * 128 steps of
//! arithmetic; with one weight, the usual case, it is one division.

/// The order in which the endpoints of a set come, for endpoints sorted by weight.
#[derive(Debug)]
pub(crate) enum Schedule {
    /// All weights are equal: one after the other.
    Even {
        len: usize,
    },
    Weighted(Box<Cycle>),
}

#[derive(Debug)]
pub(crate) struct Cycle {
    /// R: the largest weight, after division by the common factor.
    rounds: u64,
    /// Places in the cycle: the sum of the weights, after division.
    places: u64,
    classes: Box<[Class]>,
}

/// The endpoints of one weight: they are neighbours, as the endpoints are sorted.
#[derive(Debug)]
struct Class {
    first: usize,
    len: u64,
    /// T: places in a cycle.
    places: u64,
}

impl Schedule {
    /// The schedule of endpoints with these weights. Equal weights must be neighbours, and none is 0.
    pub(crate) fn new(weights: impl Iterator<Item = u16> + Clone) -> Self {
        let len = weights.clone().count();
        let common = weights.clone().fold(0, greatest_common_divisor);
        let rounds = u64::from(weights.clone().max().unwrap_or(1) / common.max(1));
        if rounds <= 1 {
            return Self::Even { len };
        }
        let mut classes: Vec<Class> = Vec::new();
        let mut last = 0;
        for (index, weight) in weights.enumerate() {
            let share = u64::from(weight / common);
            match classes.last_mut() {
                Some(class) if weight == last => {
                    class.len += 1;
                    class.places += share;
                }
                _ => classes.push(Class { first: index, len: 1, places: share }),
            }
            last = weight;
        }
        let places = classes.iter().map(|class| class.places).sum();
        Self::Weighted(Box::new(Cycle { rounds, places, classes: classes.into() }))
    }

    /// Whether all weights are equal.
    pub(crate) fn is_even(&self) -> bool {
        matches!(self, Self::Even { .. })
    }

    /// The index at `position`, which may be any number.
    pub(crate) fn at(&self, position: usize) -> usize {
        match self {
            Self::Even { len } => position % (*len).max(1),
            Self::Weighted(cycle) => cycle.at(position as u64 % cycle.places),
        }
    }
}

impl Cycle {
    fn at(&self, place: u64) -> usize {
        // The round that the place falls into: the last one that begins at or before it.
        let (mut low, mut high) = (0, self.rounds);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if self.before(middle) <= place { low = middle } else { high = middle }
        }
        let mut offset = place - self.before(low);
        for class in &self.classes {
            let from = class.before(low, self.rounds);
            let here = class.before(low + 1, self.rounds) - from;
            if offset < here {
                return class.first + ((from + offset) % class.len) as usize;
            }
            offset -= here;
        }
        // Not reached: the places of the rounds add up. The first endpoint is as good an answer as any.
        0
    }

    /// Places of all classes before round `round`.
    fn before(&self, round: u64) -> u64 {
        self.classes.iter().map(|class| class.before(round, self.rounds)).sum()
    }
}

impl Class {
    fn before(&self, round: u64, rounds: u64) -> u64 {
        (round * self.places + rounds / 2) / rounds
    }
}

fn greatest_common_divisor(a: u16, b: u16) -> u16 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(mut weights: Vec<u16>) -> Vec<u16> {
        weights.sort_unstable_by(|a, b| b.cmp(a));
        weights
    }

    fn cycle(weights: &[u16]) -> Vec<usize> {
        let schedule = Schedule::new(weights.iter().copied());
        let common = weights.iter().copied().fold(0, greatest_common_divisor);
        let places: usize = weights.iter().map(|w| usize::from(w / common)).sum();
        (0..places).map(|position| schedule.at(position)).collect()
    }

    #[test]
    fn small_cycles_read_as_expected() {
        assert_eq!(cycle(&[1]), [0]);
        assert_eq!(cycle(&[7, 7, 7]), [0, 1, 2]);
        assert_eq!(cycle(&[5, 1]), [0, 0, 0, 1, 0, 0]);
        assert_eq!(cycle(&[50, 10]), cycle(&[5, 1]));
        assert_eq!(cycle(&[3, 1, 1]).len(), 5);
    }

    #[test]
    fn a_heavy_endpoint_is_spread_between_many_light_ones() {
        let mut weights = vec![128];
        weights.extend(std::iter::repeat_n(1, 1000));
        let cycle = cycle(&weights);
        let heavy: Vec<usize> =
            cycle.iter().enumerate().filter(|(_, index)| **index == 0).map(|(place, _)| place).collect();
        let widest = heavy.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(widest <= Some(10), "1128 / 128 is 8.8, the widest gap is {widest:?}");
    }

    #[test]
    fn memory_does_not_grow_with_the_weights() {
        let weights = sorted((0..5000u16).map(|n| 1 + n % 128).collect());
        let Schedule::Weighted(cycle) = Schedule::new(weights.iter().copied()) else { panic!("weighted") };
        assert_eq!(cycle.classes.len(), 128);
    }

    proptest! {
        #[test]
        fn a_cycle_gives_each_exactly_its_weight(weights in prop::collection::vec(1u16..=128, 1..40)) {
            let weights = sorted(weights);
            let common = weights.iter().copied().fold(0, greatest_common_divisor);
            let mut seen = vec![0u16; weights.len()];
            for index in cycle(&weights) {
                seen[index] += 1;
            }
            let expected: Vec<u16> = weights.iter().map(|weight| weight / common).collect();
            prop_assert_eq!(seen, expected);
        }

        #[test]
        fn gaps_are_at_most_two_and_a_half_times_the_even_gap(weights in prop::collection::vec(1u16..=20, 2..20)) {
            let weights = sorted(weights);
            let order = cycle(&weights);
            for (index, weight) in weights.iter().enumerate() {
                let places: Vec<usize> = (0..order.len() * 2).filter(|p| order[p % order.len()] == index).collect();
                let even = weights.iter().map(|w| f64::from(*w)).sum::<f64>() / f64::from(*weight);
                for pair in places.windows(2) {
                    let gap = (pair[1] - pair[0]) as f64;
                    prop_assert!(gap <= even * 2.5 + weights.len() as f64, "{gap} for {even}");
                }
            }
        }
    }
}
