//! One type per kind of name, so that the compiler keeps them apart.
//!
//! All names of single things share one rule, a label of a host name: they are joined by dots without escaping, so
//! a dot inside one would make the joined name ambiguous. Letters keep their case. A trust domain and a DNS domain
//! are whole host names.

use std::fmt;

use crate::host::{NameError, check_single_label, is_valid_sni_host};

macro_rules! name_type {
    ($check:expr, $(#[$doc:meta])+ $name:ident) => {
        $(#[$doc])+
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks the text and keeps it as it is, case included.
            ///
            /// # Errors
            ///
            /// The rule that `text` breaks; a retry does not help.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                Ok(Self(text.into()))
            }

            /// The name as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }
    };
}

name_type!(
    check_single_label,
    /// Name of a service, one label: `billing`.
    ServiceName
);
name_type!(
    check_single_label,
    /// Name of a subset that a service-resolver defines, one label: `v2`.
    SubsetName
);
name_type!(
    check_single_label,
    /// Name of a datacenter, one label: `fra1`.
    Datacenter
);
name_type!(
    check_single_label,
    /// Name of an admin partition, one label. Outside Consul Enterprise there is only `default`.
    Partition
);
name_type!(
    check_single_label,
    /// Name of a namespace, one label. Outside Consul Enterprise there is only `default`.
    Namespace
);
name_type!(
    check_single_label,
    /// Name that one cluster gives to another one it peers with, one label: `east`.
    PeerName
);
name_type!(
    check_single_label,
    /// Name of a Consul node, one label: `fra1-srv-2`. Consul splits `<node>.<datacenter>` at the dot, so a node
    /// whose name holds a dot cannot take part in federation through gateways.
    NodeName
);
name_type!(
    check_single_label,
    /// Name of a prepared query, one label: `geo-db`.
    QueryName
);
name_type!(
    is_valid_sni_host,
    /// Trust domain of a cluster, a host name: `6f1c2a4e-93b7-4d0e-8a55-1b7d2c9e0f43.consul`. Consul makes two labels,
    /// a UUID and `consul`; a mesh of files may use another name.
    TrustDomain
);
name_type!(
    is_valid_sni_host,
    /// DNS domain of a Consul agent without its trailing dot, a host name: `consul`. It is not the trust domain.
    DnsDomain
);

macro_rules! has_default {
    ($($name:ident),+) => {$(
        impl $name {
            /// What every Consul has: `default`.
            pub const DEFAULT: &'static str = "default";

            /// Whether this is `default`, compared byte for byte.
            #[must_use]
            pub fn is_default(&self) -> bool {
                &*self.0 == Self::DEFAULT
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self(Self::DEFAULT.into())
            }
        }
    )+};
}

has_default!(Partition, Namespace);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_things_are_single_labels() {
        assert_eq!(ServiceName::parse("billing_v2-A").unwrap().as_str(), "billing_v2-A");
        assert_eq!(ServiceName::parse("a.b"), Err(NameError::Dot { position: 1 }));
        assert_eq!(Datacenter::parse("fra1."), Err(NameError::Dot { position: 4 }));
        assert_eq!(PeerName::parse(""), Err(NameError::Empty));
        assert_eq!(NodeName::parse("ip-10-0-0-1.ec2"), Err(NameError::Dot { position: 11 }));
        assert_eq!(SubsetName::parse("v/2"), Err(NameError::Character { character: '/', position: 1 }));
        let long = "x".repeat(64);
        assert_eq!(QueryName::parse(&long), Err(NameError::LabelTooLong { label: 1, length: 64 }));
        // A number alone is a fair name of a service; only a whole host name must not look like an address.
        assert!(ServiceName::parse("42").is_ok());
    }

    #[test]
    fn domains_are_host_names() {
        assert!(TrustDomain::parse("6f1c2a4e-93b7-4d0e-8a55-1b7d2c9e0f43.consul").is_ok());
        assert_eq!(DnsDomain::parse("consul."), Err(NameError::TrailingDot));
        assert!(matches!(
            TrustDomain::parse("spiffe://a.consul"),
            Err(NameError::Character { character: ':', .. })
        ));
    }

    #[test]
    fn the_default_is_called_default() {
        assert!(Partition::default().is_default());
        assert_eq!(Namespace::default().to_string(), "default");
        assert!(!Partition::parse("Default").unwrap().is_default());
    }
}
