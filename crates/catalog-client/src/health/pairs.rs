//! A small map: a slice sorted by key.

use crate::filter::Texts;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use std::{fmt, marker::PhantomData};

/// A map from text, sorted by key, without spare memory. For the dozen keys that metadata has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pairs<T>(Box<[(Box<str>, T)]>);

impl<T> Pairs<T> {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&T> {
        let at = self.0.binary_search_by(|(own, _)| (**own).cmp(key)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// All pairs, by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &T)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<K: Into<Box<str>>, T> FromIterator<(K, T)> for Pairs<T> {
    /// Of a key that comes twice the last value stays, as in Go's maps.
    fn from_iter<I: IntoIterator<Item = (K, T)>>(pairs: I) -> Self {
        let mut pairs: Vec<(Box<str>, T)> =
            pairs.into_iter().map(|(key, value)| (key.into(), value)).collect();
        pairs.reverse();
        pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
        pairs.dedup_by(|(later, _), (kept, _)| later == kept);
        Self(pairs.into_boxed_slice())
    }
}

impl<T> Texts for Pairs<T> {
    fn has(&self, text: &str) -> bool {
        self.get(text).is_some()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Map<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Map<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<T>, A::Error> {
                let mut pairs: Vec<(Box<str>, T)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<Box<str>, Option<T>>()? {
                    pairs.push((key, value.unwrap_or_default()));
                }
                Ok(pairs.into_iter().collect())
            }
        }
        from.deserialize_map(Map(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_found_and_null_is_nothing() {
        let pairs: Pairs<Box<str>> =
            serde_json::from_str(r#"{"b":"2","a":"1","c":null,"a":"3","":"x"}"#).expect("an object");
        let all: Vec<_> = pairs.iter().map(|(key, value)| (key, &**value)).collect();
        assert_eq!(all, [("", "x"), ("a", "3"), ("b", "2"), ("c", "")]);
        assert_eq!(pairs.get("b").map(|value| &**value), Some("2"));
        assert_eq!(pairs.get("d"), None);
        assert_eq!(pairs.len(), 4);
        assert!(Texts::has(&pairs, "c") && !pairs.is_empty());
        assert!(serde_json::from_str::<Pairs<Box<str>>>("[]").is_err());
    }
}
