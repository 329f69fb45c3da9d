//! Tokens that are asked for.

use serde_json::Value;

use super::fields::{Fields, Reason};
use crate::limits::{MAX_HEADER_MATCHES, MAX_TEXT};
use crate::permission::{Claim, JwtProvider, JwtRequirement};

/// The field `JWT` of an intention, a config entry or a permission. An empty object asks for a token of no provider,
/// unlike a missing one; `Fields` takes both for absent, so that is asked here.
pub(super) fn of(fields: &Fields<'_>) -> Option<JwtRequirement> {
    let read = match fields.object("jwt") {
        Ok(None) => return None,
        Ok(Some(jwt)) => requirement(jwt),
        Err(reason) => Err(reason),
    };
    Some(read.unwrap_or_else(|reason| JwtRequirement::NotUnderstood(reason.into())))
}

fn requirement(jwt: &Value) -> Result<JwtRequirement, Reason> {
    let fields = Fields::of(jwt)?;
    fields.only(&["providers"])?;
    let providers = fields.list("providers", MAX_HEADER_MATCHES)?.iter().map(provider);
    Ok(JwtRequirement::AnyOf(providers.collect::<Result<_, _>>()?))
}

fn provider(provider: &Value) -> Result<JwtProvider, Reason> {
    let fields = Fields::of(provider)?;
    fields.only(&["name", "verifyclaims"])?;
    let name = fields.text("name")?.ok_or("a provider has no name")?;
    let claims = fields.list("verifyclaims", MAX_HEADER_MATCHES)?.iter().map(claim);
    Ok(JwtProvider { name: name.into(), claims: claims.collect::<Result<_, _>>()? })
}

fn claim(claim: &Value) -> Result<Claim, Reason> {
    let fields = Fields::of(claim)?;
    fields.only(&["path", "value"])?;
    let path = fields.list("path", MAX_HEADER_MATCHES)?.iter().map(|key| match key.as_str() {
        Some(key) if key.len() <= MAX_TEXT => Ok(Box::from(key)),
        _ => Err("a key in the path of a claim is no text".to_owned()),
    });
    let path: Vec<_> = path.collect::<Result<_, _>>()?;
    if path.is_empty() {
        return Err("a claim has no path".to_owned());
    }
    Ok(Claim { path, value: fields.text("value")?.unwrap_or_default().into() })
}
