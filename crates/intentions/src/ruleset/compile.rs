//! Intentions into rules.

use std::sync::Arc;

use super::index::Index;
use super::matcher::Matcher;
use super::order::{Covers, ordered};
use super::patterns::Patterns;
use super::rule::{Judge, Permission as CompiledPermission, Rule as CompiledRule};
use super::{Fallback, RuleSet, shadow};
use crate::decision::{Decision, Why};
use crate::intention::{Action, Intention, Rule};
use crate::mesh::{DefaultPolicy, Destination, LocalMesh};
use crate::permission::{JwtRequirement, Permission, PermissionMatch};
use crate::problem::{Effect, Problem};

pub(super) fn compile<'a>(
    destination: &Destination,
    intentions: impl IntoIterator<Item = &'a Arc<Intention>>,
    default: DefaultPolicy,
    mesh: &LocalMesh,
) -> RuleSet {
    let mut compiler = Compiler {
        destination: Arc::new(destination.clone()),
        default,
        patterns: Patterns::default(),
        problems: Vec::new(),
    };
    let intentions = ordered(destination, intentions);
    let (mut rules, mut index) = (Vec::with_capacity(intentions.len()), Index::default());
    for (place, (intention, covers)) in intentions.into_iter().enumerate() {
        index.add(&covers, mesh, place);
        compiler.note_unknown_peer(&intention, &covers, mesh);
        rules.push(compiler.rule(intention, covers));
    }
    let (shadowed, shadowed_count) = shadow::find(&rules, &index, mesh);
    let fallback = Fallback {
        default: compiler.decision(default.allows(), Why::DefaultPolicy),
        no_service: compiler.decision(default.allows(), Why::NoServiceIdentity),
        not_exact: compiler.decision(false, Why::IdentityNotExact),
    };
    let Compiler { destination, problems, .. } = compiler;
    let mesh = mesh.clone();
    RuleSet { destination, default, mesh, rules, index, fallback, problems, shadowed, shadowed_count }
}

struct Compiler {
    destination: Arc<Destination>,
    default: DefaultPolicy,
    patterns: Patterns,
    problems: Vec<Problem>,
}

impl Compiler {
    fn decision(&self, allowed: bool, why: Why) -> Arc<Decision> {
        Arc::new(Decision::new(allowed, Arc::clone(&self.destination), why))
    }

    fn problem(&mut self, intention: &Intention, what: String, effect: Effect) {
        self.problems.push(Problem { place: intention.to_string(), what, effect });
    }

    fn note_unknown_peer(&mut self, intention: &Intention, covers: &Covers, mesh: &LocalMesh) {
        if matches!(covers, Covers::OfPeer(_)) && covers.bundles(mesh).next().is_none() {
            let what = "the trust bundle of the peer is not known, so none of its identities is".to_owned();
            self.problem(intention, what, Effect::Ignored);
        }
    }

    fn rule(&mut self, intention: Arc<Intention>, covers: Covers) -> CompiledRule {
        let permission = None;
        let with = |intention: &Arc<Intention>| Arc::clone(intention);
        let on_connection = match &intention.rule {
            Rule::Action(action) => {
                let why = Why::Intention { intention: with(&intention), permission };
                self.decision(*action == Action::Allow, why)
            }
            Rule::Permissions(_) => {
                self.decision(false, Why::PermissionsOnTcp { intention: with(&intention) })
            }
            Rule::NotUnderstood(what) => self.not_understood(&intention, permission, what),
        };
        let on_request = match (&intention.jwt, &intention.rule) {
            (_, Rule::NotUnderstood(_)) | (None, Rule::Action(_)) => {
                Judge::Always(Arc::clone(&on_connection))
            }
            (Some(jwt), _) => Judge::Always(self.jwt(&intention, permission, jwt)),
            (None, Rule::Permissions(permissions)) => {
                let permissions = permissions.iter().enumerate();
                Judge::First {
                    permissions: permissions
                        .map(|(index, permission)| self.permission(&intention, index, permission))
                        .collect(),
                    none: self
                        .decision(self.default.allows(), Why::NoPermission { intention: with(&intention) }),
                }
            }
        };
        if let Rule::NotUnderstood(what) = &intention.rule {
            let what = what.to_string();
            self.problem(&intention, what, Effect::Denies);
        }
        CompiledRule { intention, covers, on_connection, on_request }
    }

    fn permission(
        &mut self,
        intention: &Arc<Intention>,
        index: usize,
        permission: &Permission,
    ) -> CompiledPermission {
        let matcher = match &permission.matches {
            PermissionMatch::Http(http) => Matcher::compile(http, closes(permission), &mut self.patterns),
            PermissionMatch::NotUnderstood(what) => Err(what.to_string()),
        };
        let (matcher, not_understood) = match matcher {
            Ok(matcher) => (matcher, None),
            Err(what) => {
                let problem = format!("permission {}: {what}", index + 1);
                self.problem(intention, problem, Effect::PermissionCloses);
                (Matcher::not_understood(closes(permission)), Some(what))
            }
        };
        let decision = match (&not_understood, &permission.jwt) {
            (Some(what), _) => self.not_understood(intention, Some(index), what),
            (None, Some(jwt)) => self.jwt(intention, Some(index), jwt),
            (None, None) => {
                let why = Why::Intention { intention: Arc::clone(intention), permission: Some(index) };
                self.decision(permission.action == Action::Allow, why)
            }
        };
        CompiledPermission { matcher, decision }
    }

    fn not_understood(
        &self,
        intention: &Arc<Intention>,
        permission: Option<usize>,
        what: &str,
    ) -> Arc<Decision> {
        let intention = Arc::clone(intention);
        self.decision(false, Why::NotUnderstood { intention, permission, what: what.into() })
    }

    /// Tokens are not verified yet, so none is good enough.
    fn jwt(
        &self,
        intention: &Arc<Intention>,
        permission: Option<usize>,
        jwt: &JwtRequirement,
    ) -> Arc<Decision> {
        match jwt {
            JwtRequirement::AnyOf(_) => {
                let intention = Arc::clone(intention);
                self.decision(false, Why::JwtNotSupported { intention, permission })
            }
            JwtRequirement::NotUnderstood(what) => {
                self.not_understood(intention, permission, &format!("JWT: {what}"))
            }
        }
    }
}

/// Whether matching can take something away: it denies, or it asks for a token. In doubt such a permission matches.
fn closes(permission: &Permission) -> bool {
    permission.action == Action::Deny || permission.jwt.is_some()
}
