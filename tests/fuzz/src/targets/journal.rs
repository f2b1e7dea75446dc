//! The output of a guest, as it gets into the host's log.
//!
//! Input: two secrets; a message; a field's name and its value; what it printed.
//! `<a>` and `<b>` stand for the secrets.

use std::{cell::RefCell, fmt};

use lessor_sandbox::{
    Limits,
    internals::{Account, Journal, LOG_TARGET, Level, Secrets, Speaker},
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::DefaultGuard,
};

use super::betrayal::{assert_keeps, secret};
use crate::{
    target::Target,
    text::{Sections, text},
};

/// The target.
pub(super) const TARGET: Target = Target {
    name: "journal",
    words: &[
        "\n--\n",
        "<a>",
        "<b>",
        "\n",
        "\r",
        "\t",
        " ",
        "=",
        "\"",
        "\\",
        "%",
        "%41",
        "+",
        "\u{1b}[31m",
        "\u{e4}",
        "\u{fffd}",
        "\u{2028}",
        "INFO",
        "WARN lessor::provider",
        "aHVudGVyMjI",
        "hunter22",
    ],
    endings: &["quiet", "said"],
    cases: 3_000,
    check,
};

#[test]
fn the_log_holds_what_a_guest_said_in_lines_without_its_secrets() {
    TARGET.replay();
}

/// Bytes of a message, of a field's name and of its value, each cut.
const LONGEST: usize = 4096 + 64 + 4096 + 3 * '…'.len_utf8() + '='.len_utf8();

fn check(input: &[u8]) -> &'static str {
    let input = text(input);
    let mut sections = Sections::of(&input);
    let (first, second) = (secret(sections.next()), secret(sections.next()));
    let mut next = || {
        let text = sections.next().replace("<a>", &first);
        text.replace("<b>", &second)
    };
    let (message, name, value, printed) = (next(), next(), next(), next());

    let mut journal = Journal::new(&Limits::default(), &Account::boundless());
    if !message.is_empty() {
        for level in [Level::Error, Level::Info] {
            journal.log(level, message.clone(), vec![(name.clone(), value.clone())]);
        }
    }
    journal.stdout.append(printed.as_bytes());
    if journal.is_empty() {
        return "quiet";
    }
    let mut secrets = Secrets::default();
    secrets.add(first.as_bytes());
    secrets.add(second.as_bytes());
    let speaker = Speaker {
        mount: Some("db"),
        plugin: "plugin",
        operation: Some("operation"),
    };
    let lines = captured(|| journal.write(&secrets.scrubber(), &speaker));

    assert!(lines.len() <= 4 + printed.lines().count(), "{lines:?}");
    for line in &lines {
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(line.len() <= LONGEST, "{}", line.len());
        assert_keeps(line, &[&first, &second]);
    }
    "said"
}

thread_local! {
    static LOG: RefCell<Vec<String>> = RefCell::default();
    static GUARD: RefCell<Option<DefaultGuard>> = RefCell::default();
}

/// The messages and fields of the events that `say` makes.
fn captured(say: impl FnOnce()) -> Vec<String> {
    GUARD.with_borrow_mut(|guard| {
        guard.get_or_insert_with(|| tracing::subscriber::set_default(Capture));
    });
    LOG.take();
    say();
    LOG.take()
}

/// Keeps what a guest may have said, and of what the host adds nothing.
struct Capture;

impl Subscriber for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        // The host's own sentences about limits are nobody's secret.
        if event.metadata().target() == LOG_TARGET {
            event.record(&mut Said);
        }
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Said;

impl Visit for Said {
    fn record_str(&mut self, field: &Field, text: &str) {
        if field.name() == "fields" {
            LOG.with_borrow_mut(|log| log.push(text.to_owned()));
        }
    }

    fn record_debug(&mut self, field: &Field, text: &dyn fmt::Debug) {
        if field.name() == "message" {
            LOG.with_borrow_mut(|log| log.push(format!("{text:?}")));
        }
    }
}
