//! Why a call may or may not be made.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::intention::Intention;
use crate::mesh::Destination;

/// What decided, and how. [`fmt::Display`] writes one line:
///
/// ```text
/// intention web => billing (precedence 9): allow
/// intention web => billing (precedence 9), permission 2: deny
/// intention web => billing (precedence 9) has no permission that matches, default policy: deny
/// default policy: deny
/// ```
///
/// Permissions are counted from 1 in text and from 0 in [`Why`].
#[derive(Debug, Clone)]
pub struct Decision {
    pub(crate) allowed: bool,
    pub(crate) destination: Arc<Destination>,
    pub(crate) why: Why,
    line: OnceLock<Arc<str>>,
}

/// Its line follows from the rest.
impl PartialEq for Decision {
    fn eq(&self, other: &Self) -> bool {
        let Self { allowed, destination, why, line: _ } = self;
        *allowed == other.allowed && *destination == other.destination && *why == other.why
    }
}

impl Eq for Decision {}

/// What decided.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// An intention, by itself or by one of its permissions.
    Intention {
        /// Which one.
        intention: Arc<Intention>,
        /// Which of its permissions, from 0.
        permission: Option<usize>,
    },
    /// An intention covers the source, none of its permissions matches the request: the default policy decides.
    NoPermission {
        /// Which one.
        intention: Arc<Intention>,
    },
    /// An intention with permissions covers the source of a connection that is a stream of bytes.
    PermissionsOnTcp {
        /// Which one.
        intention: Arc<Intention>,
    },
    /// An intention, or one of its permissions, is not understood.
    NotUnderstood {
        /// Which one.
        intention: Arc<Intention>,
        /// Which of its permissions, from 0.
        permission: Option<usize>,
        /// What is not understood.
        what: Arc<str>,
    },
    /// An intention, or one of its permissions, asks for a token, and tokens are not verified yet.
    JwtNotSupported {
        /// Which one.
        intention: Arc<Intention>,
        /// Which of its permissions, from 0.
        permission: Option<usize>,
    },
    /// No intention covers the source: the default policy decides.
    DefaultPolicy,
    /// The caller is no service but a gateway, an agent or a server, so no intention can cover it: the default policy
    /// decides.
    NoServiceIdentity,
    /// The caller's URI is not written as Consul writes it ([`mesh_id::SpiffeId::is_exact`]), so its parts might be
    /// somebody else's: denied.
    IdentityNotExact,
}

impl Decision {
    pub(crate) fn new(allowed: bool, destination: Arc<Destination>, why: Why) -> Self {
        Self { allowed, destination, why, line: OnceLock::new() }
    }

    /// What [`fmt::Display`] writes, made once and shared by all that it is told of: one decision stands for many
    /// connections.
    #[must_use]
    pub fn line(&self) -> Arc<str> {
        Arc::clone(self.line.get_or_init(|| self.to_string().into()))
    }

    /// Whether the call may be made.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.allowed
    }

    /// The service whose rules decided.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// What decided.
    #[must_use]
    pub fn why(&self) -> &Why {
        &self.why
    }

    /// The intention that decided, or covers the source; `None` where there is none.
    #[must_use]
    pub fn intention(&self) -> Option<&Arc<Intention>> {
        match &self.why {
            Why::Intention { intention, .. }
            | Why::NoPermission { intention }
            | Why::PermissionsOnTcp { intention }
            | Why::NotUnderstood { intention, .. }
            | Why::JwtNotSupported { intention, .. } => Some(intention),
            Why::DefaultPolicy | Why::NoServiceIdentity | Why::IdentityNotExact => None,
        }
    }

    /// A word for [`Why`], for metrics and logs.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self.why {
            Why::Intention { .. } => "intention",
            Why::NoPermission { .. } => "no_permission",
            Why::PermissionsOnTcp { .. } => "permissions_on_tcp",
            Why::NotUnderstood { .. } => "not_understood",
            Why::JwtNotSupported { .. } => "jwt_not_supported",
            Why::DefaultPolicy => "default_policy",
            Why::NoServiceIdentity => "no_service_identity",
            Why::IdentityNotExact => "identity_not_exact",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(intention) = self.intention() {
            write!(f, "intention {intention}")?;
        }
        match &self.why {
            Why::Intention { permission, .. } => write_permission(f, *permission)?,
            Why::NoPermission { .. } => f.write_str(" has no permission that matches, default policy")?,
            Why::PermissionsOnTcp { .. } => f.write_str(" has permissions, which need a request")?,
            Why::NotUnderstood { permission, what, .. } => {
                write_permission(f, *permission)?;
                write!(f, " is not understood ({what})")?;
            }
            Why::JwtNotSupported { permission, .. } => {
                write_permission(f, *permission)?;
                f.write_str(" asks for a token (JWT), which is not supported yet")?;
            }
            Why::DefaultPolicy => f.write_str("default policy")?,
            Why::NoServiceIdentity => f.write_str("the caller is no service, default policy")?,
            Why::IdentityNotExact => {
                f.write_str("the caller's identity is not written as Consul writes it")?;
            }
        }
        f.write_str(if self.allowed { ": allow" } else { ": deny" })
    }
}

fn write_permission(f: &mut fmt::Formatter<'_>, permission: Option<usize>) -> fmt::Result {
    permission.map_or(Ok(()), |index| write!(f, ", permission {}", index + 1))
}
