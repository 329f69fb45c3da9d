//! Reading Consul's JSON as it is meant (consul-api 3.1): `null` and a missing field stand for the zero
//! value, fields that are not known are ignored.

use serde::{Deserialize, Deserializer};

/// For `#[serde(deserialize_with)]`: `null` is the default.
///
/// # Errors
/// What the value itself brings.
pub fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}
