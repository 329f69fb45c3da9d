//! Whether the token can see the gateway that it registered.

use serde::Deserialize;

/// Whether `health/service/<own name>` lists the own ID. Before 1.11 nothing else tells that a token
/// lacks `service:read` or `node:read`: such lists are empty then, with 200.
///
/// # Errors
/// The body is no such list.
pub fn sees_itself(body: &[u8], id: &str) -> Result<bool, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Row {
        service: Option<Service>,
    }
    #[derive(Deserialize)]
    struct Service {
        #[serde(rename = "ID")]
        id: Option<String>,
    }
    let rows: Option<Vec<Row>> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    Ok(rows
        .unwrap_or_default()
        .into_iter()
        .any(|row| row.service.and_then(|it| it.id).as_deref() == Some(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_without_the_own_id_is_seen() {
        let list = br#"[{"Node":{},"Service":{"ID":"other"}},{"Service":null},{"Service":{"ID":"mgw"}}]"#;
        assert_eq!(sees_itself(list, "mgw"), Ok(true));
        assert_eq!(sees_itself(list, "mgw-2"), Ok(false));
        assert_eq!(sees_itself(b"[]", "mgw"), Ok(false));
        assert_eq!(sees_itself(b"null", "mgw"), Ok(false));
        assert!(sees_itself(b"{}", "mgw").is_err());
        assert!(sees_itself(b"[{", "mgw").is_err());
    }
}
