//! A few services in place of all, for whoever asks about one name.

use crate::mesh::difference;

/// Services by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Like {
    /// The names that are asked about, in any case; without one no service is read.
    pub names: Vec<String>,
    /// How many others are read beside, those whose names differ least.
    pub near: usize,
}

impl Like {
    /// Those of `all` that are meant, and those near them.
    pub(super) fn pick<'a>(&self, all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let wanted: Vec<_> = self.names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let distance = |name: &str| {
            let name = name.to_ascii_lowercase();
            wanted.iter().filter_map(|wanted| difference(wanted, &name)).min()
        };
        let mut found: Vec<_> = all.filter_map(|name| Some((distance(name)?, name))).collect();
        found.sort_unstable();
        let meant = found.iter().take_while(|(distance, _)| *distance == 0).count();
        found.into_iter().take(meant + self.near).map(|(_, name)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 6] = ["Web", "billing", "billing-sidecar-proxy", "biling2", "bilding", "web"];

    fn picked(names: &[&str], near: usize) -> Vec<&'static str> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Like { names, near }.pick(ALL.into_iter())
    }

    #[test]
    fn the_name_itself_and_as_many_near_ones_as_wanted() {
        assert_eq!(picked(&["billing"], 0), ["billing"]);
        assert_eq!(picked(&["billing"], 1), ["billing", "bilding"]);
        assert_eq!(picked(&["biling"], 2), ["bilding", "biling2"], "the name itself is not there");
        assert_eq!(picked(&["WEB"], 0), ["Web", "web"], "names of the mesh have no case");
    }

    #[test]
    fn without_a_name_there_is_nothing() {
        assert!(picked(&[], 100).is_empty());
    }
}
