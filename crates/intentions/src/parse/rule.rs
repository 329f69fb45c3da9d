//! `Action` or `Permissions`.

use super::fields::Fields;
use super::permission;
use crate::intention::{Action, Rule};
use crate::limits::MAX_PERMISSIONS;
use crate::problem::{Effect, Problem};

pub(super) fn read(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Rule {
    rule(fields, problems).unwrap_or_else(|reason| Rule::NotUnderstood(reason.into()))
}

fn rule(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Result<Rule, String> {
    let action = fields.text("action")?.map(action).transpose()?;
    let permissions = fields.list("permissions", MAX_PERMISSIONS)?;
    match (action, permissions) {
        (None, []) => Err("it has neither Action nor Permissions".to_owned()),
        (Some(action), []) => Ok(Rule::Action(action)),
        (Some(Action::Deny), _) => Err("it has both Action deny and Permissions".to_owned()),
        (action, permissions) => {
            if action.is_some() {
                let what = "it has both Action allow and Permissions; the permissions count".to_owned();
                problems.push(Problem { place: String::new(), what, effect: Effect::Corrected });
            }
            let read = permissions.iter().enumerate();
            Ok(Rule::Permissions(read.map(|(index, item)| permission::read(index, item, problems)).collect()))
        }
    }
}

/// Consul writes small letters only.
pub(super) fn action(text: &str) -> Result<Action, String> {
    match text {
        "allow" => Ok(Action::Allow),
        "deny" => Ok(Action::Deny),
        _ => Err(format!("Action {text:.50?} is neither \"allow\" nor \"deny\"")),
    }
}
