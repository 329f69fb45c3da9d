//! Lines of `OK`, `WARN` or `FAIL`.

use std::io::Write;

pub(super) struct Report<'a> {
    out: &'a mut dyn Write,
    failed: bool,
}

impl<'a> Report<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, failed: false }
    }

    pub(super) fn ok(&mut self, what: &str, message: impl AsRef<str>) {
        self.line("OK  ", what, message.as_ref());
    }

    /// It works, but not as well as it could, or not for sure.
    pub(super) fn warn(&mut self, what: &str, message: impl AsRef<str>) {
        self.line("WARN", what, message.as_ref());
    }

    /// The gateway would not start, or not serve.
    pub(super) fn fail(&mut self, what: &str, message: impl AsRef<str>) {
        self.failed = true;
        self.line("FAIL", what, message.as_ref());
    }

    pub(super) fn is_good(&self) -> bool {
        !self.failed
    }

    fn line(&mut self, word: &str, what: &str, message: &str) {
        // Who asks from a script may read the code only.
        let _ = writeln!(self.out, "{word}  {what}: {message}");
    }
}
