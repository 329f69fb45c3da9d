//! `ready`: asks the running gateway whether traffic would be served right.

use std::io::Write;
use std::time::Duration;

use crate::admin_client::ask;
use crate::settings::Settings;

/// A probe that hangs is worse than one that fails.
const PATIENCE: Duration = Duration::from_secs(5);

/// Prints what `/ready` says; true if the gateway is ready.
pub fn ready(settings: &Settings, out: &mut dyn Write) -> bool {
    let (good, text) = match ask(settings.admin_bind, "/ready", PATIENCE) {
        Ok(answer) if answer.status == 200 => (true, answer.body),
        Ok(answer) => (false, answer.body),
        Err(error) => (false, format!("not ready: {error}")),
    };
    // Who asks from a script reads the code only.
    let _ = writeln!(out, "{}", text.trim_end());
    good
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin_client::fake::{FakeAdmin, closed_port};
    use crate::settings::Role;

    fn asked(answer: Option<&str>) -> (bool, String) {
        let mut settings = Settings::defaults(Role::Mesh).unwrap();
        let admin = answer.map(|answer| FakeAdmin::answering(answer.to_owned()));
        settings.admin_bind = admin.as_ref().map_or_else(closed_port, |admin| admin.address);
        let mut out = Vec::new();
        let good = ready(&settings, &mut out);
        if let Some(admin) = admin {
            assert_eq!(admin.asked(), "GET /ready HTTP/1.0");
        }
        (good, String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_answer_is_printed_and_decides() {
        assert_eq!(asked(Some("HTTP/1.1 200 OK\r\n\r\nready\n")), (true, "ready\n".to_owned()));
        let (good, text) = asked(Some("HTTP/1.1 503 No\r\n\r\nnot ready\ncatalog: not yet\n"));
        assert_eq!((good, text.as_str()), (false, "not ready\ncatalog: not yet\n"));
        let (good, text) = asked(None);
        assert!(!good && text.contains("no gateway answers"), "{text}");
    }
}
