//! A panic becomes one event of the log. Alone in its file, because the hook and the log belong to the whole process.

#![expect(clippy::unwrap_used, reason = "what fails in the harness fails the test")]

use std::fmt;
use std::sync::{Arc, Mutex};

use gateway_runtime::process::log_panics;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps the fields of each error.
#[derive(Clone, Default)]
struct Errors(Arc<Mutex<Vec<String>>>);

impl Subscriber for Errors {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }
    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

#[test]
fn a_panic_is_logged_with_its_thread_place_and_text() {
    let errors = Errors::default();
    tracing::subscriber::set_global_default(errors.clone()).unwrap();
    log_panics();
    let thread = std::thread::Builder::new().name("worker-7".to_owned());
    let panicked = thread.spawn(|| panic!("the table has {} rows", 3)).unwrap().join();
    assert!(panicked.is_err());
    let errors = errors.0.lock().unwrap();
    assert_eq!(errors.len(), 1);
    for part in [r#"thread="worker-7""#, r#"panic="the table has 3 rows""#, "tests/panic.rs:", "a bug"] {
        assert!(errors[0].contains(part), "{part} in {}", errors[0]);
    }
}
