//! What happens to a connection that no intention is about (intentions 4).

use catalog_client::query::AgentInfo;
use intentions::DefaultPolicy;

/// Who said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Setting,
    /// `default_intention_policy` of the agent.
    AgentIntentions,
    /// `X-Consul-Default-Acl-Policy` of the newest answer.
    Header,
    /// `acl.default_policy` of the agent.
    AgentAcl,
    /// Nobody: then it is denied.
    Nobody,
}

impl Origin {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Setting => "the setting default_intention_policy",
            Self::AgentIntentions => "the agent's default_intention_policy",
            Self::Header => "the header X-Consul-Default-Acl-Policy",
            Self::AgentAcl => "the agent's acl.default_policy",
            Self::Nobody => "nobody: Consul does not tell, and the token may not read the agent",
        }
    }
}

/// What was said by whom. A newer word of the same one counts; silence changes nothing.
#[derive(Debug, Default)]
pub(super) struct Policy {
    setting: Option<DefaultPolicy>,
    header: Option<DefaultPolicy>,
    agent_intentions: Option<DefaultPolicy>,
    agent_acl: Option<DefaultPolicy>,
    told: Option<(DefaultPolicy, Origin)>,
}

impl Policy {
    pub(super) fn new(setting: Option<DefaultPolicy>) -> Self {
        Self { setting, ..Self::default() }
    }

    /// An answer has the header, or not. Says whether the agent should be asked again: it has other settings than
    /// before, and perhaps that other one that no header shows.
    pub(super) fn header(&mut self, denies: Option<bool>) -> bool {
        let Some(header) = denies.map(policy) else { return false };
        self.header.replace(header).is_some_and(|before| before != header)
    }

    /// What the agent says about itself, where it may be asked.
    pub(super) fn agent(&mut self, info: &AgentInfo) {
        let of = |text: &str| match text {
            "allow" => Some(DefaultPolicy::Allow),
            "deny" => Some(DefaultPolicy::Deny),
            _ => None,
        };
        self.agent_intentions = of(&info.default_intention_policy);
        self.agent_acl = of(&info.acl_default_policy);
    }

    /// What counts now.
    pub(super) fn current(&self) -> (DefaultPolicy, Origin) {
        let all = [
            (self.setting, Origin::Setting),
            (self.agent_intentions, Origin::AgentIntentions),
            (self.header, Origin::Header),
            (self.agent_acl, Origin::AgentAcl),
        ];
        let said = all.into_iter().find_map(|(policy, origin)| Some((policy?, origin)));
        said.unwrap_or((DefaultPolicy::Deny, Origin::Nobody))
    }

    /// What counts now, if that is another one than was told last, or somebody else's word.
    pub(super) fn news(&mut self) -> Option<(DefaultPolicy, Origin)> {
        let current = self.current();
        (self.told.replace(current) != Some(current)).then_some(current)
    }
}

fn policy(denies: bool) -> DefaultPolicy {
    if denies { DefaultPolicy::Deny } else { DefaultPolicy::Allow }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DefaultPolicy::{Allow, Deny};

    fn info(intentions: &str, acl: &str) -> AgentInfo {
        AgentInfo {
            default_intention_policy: intentions.into(),
            acl_default_policy: acl.into(),
            ..AgentInfo::default()
        }
    }

    #[test]
    fn nobody_says_anything_is_deny() {
        let mut policy = Policy::default();
        assert!(!policy.header(None));
        policy.agent(&info("", ""));
        assert_eq!(policy.current(), (Deny, Origin::Nobody));
    }

    #[test]
    fn the_agents_own_intention_policy_beats_the_header_which_beats_its_acl_policy() {
        let mut policy = Policy::default();
        policy.agent(&info("", "allow"));
        assert_eq!(policy.news(), Some((Allow, Origin::AgentAcl)));
        assert!(!policy.header(Some(true)), "the first one is no change");
        assert_eq!(policy.news(), Some((Deny, Origin::Header)));
        policy.agent(&info("allow", "deny"));
        assert_eq!(policy.news(), Some((Allow, Origin::AgentIntentions)));
        assert_eq!(policy.news(), None);
        // Another agent, or restarted with other settings.
        assert!(policy.header(Some(false)));
        policy.agent(&info("", "allow"));
        assert_eq!(policy.news(), Some((Allow, Origin::Header)));
        assert!(!policy.header(None), "an answer without the header says nothing");
        assert_eq!(policy.current(), (Allow, Origin::Header));
    }

    #[test]
    fn a_setting_beats_all() {
        let mut policy = Policy::new(Some(Deny));
        policy.header(Some(false));
        policy.agent(&info("allow", "allow"));
        assert_eq!(policy.current(), (Deny, Origin::Setting));
    }
}
