//! One node in memory for all its rows.

use super::{HealthEntry, Node};
use std::{collections::HashSet, sync::Arc};

/// Shares equal nodes among rows, also among those of different answers.
///
/// It holds what is in use: nodes that no row has any more go when the set has doubled since it was
/// last cleaned, or by [`Interner::clean`].
#[derive(Debug, Default)]
pub struct Interner {
    nodes: HashSet<Arc<Node>>,
    clean_at: usize,
}

impl Interner {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets these rows share their nodes with each other and with earlier ones.
    pub fn share<'a>(&mut self, rows: impl IntoIterator<Item = &'a mut HealthEntry>) {
        for row in rows {
            match self.nodes.get(&row.node) {
                Some(known) => row.node = known.clone(),
                None => self.keep(&row.node),
            }
        }
    }

    /// Forgets nodes that no row has any more.
    pub fn clean(&mut self) {
        self.nodes.retain(|node| Arc::strong_count(node) > 1);
        self.clean_at = (self.nodes.len() * 2).max(64);
    }

    /// How many nodes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    fn keep(&mut self, node: &Arc<Node>) {
        if self.nodes.len() >= self.clean_at {
            self.clean();
        }
        self.nodes.insert(node.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(node: &str) -> HealthEntry {
        let node = Node { name: node.into(), ..Node::default() };
        HealthEntry { node: Arc::new(node), ..HealthEntry::default() }
    }

    #[test]
    fn rows_of_a_node_share_it_also_across_answers() {
        let mut interner = Interner::new();
        let mut first = [row("a"), row("b"), row("a")];
        let mut second = [row("b")];
        interner.share(&mut first);
        interner.share(&mut second);
        assert!(Arc::ptr_eq(&first[0].node, &first[2].node));
        assert!(Arc::ptr_eq(&first[1].node, &second[0].node));
        assert_eq!(interner.len(), 2);
        drop(first);
        interner.clean();
        assert_eq!(interner.len(), 1, "b is still in use");
    }

    #[test]
    fn what_is_not_in_use_does_not_pile_up() {
        let mut interner = Interner::new();
        for number in 0..10_000 {
            interner.share(&mut [row(&number.to_string())]);
        }
        assert!(interner.len() <= 64, "{}", interner.len());
    }
}
