//! What the checks of a row mean together (mesh-gateway 3.3, consul-api 3.3).

use super::{Check, CheckStatus, HealthEntry};

/// How an instance is: the worst of all its checks, those of its node included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// All checks pass, or there are none.
    Passing,
    /// A check warns.
    Warning,
    /// A check is critical, or the instance or its node is in maintenance.
    Critical,
}

/// How much traffic an instance gets, and whether it gets any while others are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// 1 to [`Weight::MAX`].
    pub value: u8,
    /// An unhealthy instance is only used when there is no healthy one.
    pub healthy: bool,
}

impl Weight {
    /// Larger weights count as this one.
    pub const MAX: u8 = 128;
}

impl Check {
    /// What the check says about whom it concerns. The ids of maintenance count whatever their status
    /// is, and a status that Consul does not have counts as critical.
    #[must_use]
    pub fn verdict(&self) -> Status {
        if &*self.id == "_node_maintenance" || self.id.starts_with("_service_maintenance:") {
            return Status::Critical;
        }
        match self.status {
            CheckStatus::Passing => Status::Passing,
            CheckStatus::Warning => Status::Warning,
            CheckStatus::Critical | CheckStatus::Maintenance | CheckStatus::Other(_) => Status::Critical,
        }
    }
}

impl HealthEntry {
    /// The worst of all checks.
    #[must_use]
    pub fn status(&self) -> Status {
        self.checks.iter().map(Check::verdict).max().unwrap_or(Status::Passing)
    }

    /// Its share of the traffic. `only_passing`: a warning is no better than critical, as a subset with
    /// `OnlyPassing` wants it.
    ///
    /// A weight below 1 says that the instance is not to be used: it is unhealthy then, with weight 1.
    #[must_use]
    pub fn weight(&self, only_passing: bool) -> Weight {
        let status = self.status();
        let asked = match status {
            Status::Warning => self.service.weights.warning,
            Status::Passing | Status::Critical => self.service.weights.passing,
        };
        let up = match status {
            Status::Passing => true,
            Status::Warning => !only_passing,
            Status::Critical => false,
        };
        let value = u8::try_from(asked.clamp(1, i64::from(Weight::MAX))).unwrap_or(Weight::MAX);
        Weight { value, healthy: up && asked >= 1 }
    }
}
