//! Rotations against an upstream in memory, cut off at each step.

use std::cell::{Cell, RefCell};

use super::*;
use crate::testing::Harness;
use crate::testing::nothing::Nothing;

/// An upstream that holds two keys at most, and dies before or after a step.
struct Upstream {
    current: RefCell<String>,
    keys: RefCell<Vec<String>>,
    note: RefCell<Option<Note>>,
    made: Cell<u32>,
    /// Steps until it dies; none for never.
    steps: Cell<Option<u32>>,
}

impl Upstream {
    fn new(keys: &[&str]) -> Self {
        Self {
            current: RefCell::new("first".to_owned()),
            keys: RefCell::new(keys.iter().map(|key| (*key).to_owned()).collect()),
            note: RefCell::new(None),
            made: Cell::new(0),
            steps: Cell::new(None),
        }
    }

    /// One change; dead before it, or after it, once the steps are used up.
    fn step<T>(&self, change: impl FnOnce() -> T) -> Result<T> {
        let dead = || Failure::unavailable("dead", "It died.");
        match self.steps.get() {
            Some(0) => Err(dead()),
            Some(1) => {
                change();
                self.steps.set(Some(0));
                Err(dead())
            }
            left => {
                self.steps.set(left.map(|left| left - 2));
                Ok(change())
            }
        }
    }
}

/// The upstream as the credential in use sees it.
struct View<'a>(&'a Upstream, String);

impl Pair for View<'_> {
    type Made = String;

    fn current(&self) -> &str {
        &self.1
    }

    fn ids(&self) -> Result<Vec<String>> {
        Ok(self.0.keys.borrow().clone())
    }

    fn note(&self) -> Result<Option<Note>> {
        Ok(self.0.note.borrow().clone())
    }

    fn leave(&self, note: &Note) -> Result<()> {
        self.0
            .step(|| *self.0.note.borrow_mut() = Some(note.clone()))
    }

    fn forget(&self) -> Result<()> {
        self.0.step(|| *self.0.note.borrow_mut() = None)
    }

    fn create(&self) -> Result<String> {
        assert!(self.0.keys.borrow().len() < 2, "upstream holds two");
        self.0.step(|| {
            self.0.made.set(self.0.made.get() + 1);
            let key = format!("made-{}", self.0.made.get());
            self.0.keys.borrow_mut().push(key.clone());
            key
        })
    }

    fn id<'a>(&self, made: &'a String) -> &'a str {
        made
    }

    fn prove(&self, _: &String) -> Result<bool> {
        Ok(true)
    }

    fn end(&self, id: &str) -> Result<()> {
        assert_ne!(id, self.1, "the credential in use is never ended");
        self.0
            .step(|| self.0.keys.borrow_mut().retain(|key| key != id))
    }
}

fn view(upstream: &Upstream) -> View<'_> {
    View(upstream, upstream.current.borrow().clone())
}

/// AKL-18: created with the old one, and the old one ended with the new one.
#[test]
fn akl_18_a_rotation_that_dies_at_any_step_ends_with_one_root() {
    for steps in 0..8 {
        let upstream = Upstream::new(&["first"]);
        let mut harness = Harness::<Nothing>::new();
        upstream.steps.set(Some(steps));
        let cut = harness.run(|ctx| make(ctx, &view(&upstream)));
        upstream.steps.set(None);
        let (made, former) = match cut {
            Ok(made) => made,
            // The answer is lost, and the host repeats.
            Err(_) => harness
                .repeat()
                .run(|ctx| make(ctx, &view(&upstream)))
                .unwrap(),
        };
        assert_eq!(former, "first", "{steps}");
        assert_eq!(
            *upstream.keys.borrow(),
            ["first".to_owned(), made.clone()],
            "{steps}"
        );
        // From here on the host uses the new one.
        *upstream.current.borrow_mut() = made.clone();
        upstream.steps.set(Some(steps));
        let cut = retire(&view(&upstream), &former);
        upstream.steps.set(None);
        if cut.is_err() {
            retire(&view(&upstream), &former).unwrap();
        }
        assert_eq!(*upstream.keys.borrow(), [made], "{steps}");
        assert_eq!(*upstream.note.borrow(), None, "{steps}");
    }
}

#[test]
fn a_rotation_that_was_given_up_leaves_nothing() {
    for steps in 0..8 {
        let upstream = Upstream::new(&["first"]);
        let mut harness = Harness::<Nothing>::new();
        upstream.steps.set(Some(steps));
        let _ = harness.run(|ctx| make(ctx, &view(&upstream)));
        upstream.steps.set(None);
        harness
            .repeat()
            .run(|ctx| undo(ctx, &view(&upstream)))
            .unwrap();
        assert_eq!(*upstream.keys.borrow(), ["first"], "{steps}");
        assert_eq!(*upstream.note.borrow(), None, "{steps}");
    }
}

#[test]
fn a_second_root_of_somebody_else_is_named_and_kept() {
    let upstream = Upstream::new(&["first", "theirs"]);
    let mut harness = Harness::<Nothing>::new();
    let failure = harness.run(|ctx| make(ctx, &view(&upstream))).unwrap_err();
    assert_eq!(failure.code(), "second_root");
    assert!(failure.message().contains("\"theirs\""), "{failure}");
    // Also where a repeat, or another operation, comes back to it.
    *upstream.note.borrow_mut() = Some(Note {
        operation: "another".to_owned(),
        before: vec!["first".to_owned()],
    });
    harness
        .repeat()
        .run(|ctx| make(ctx, &view(&upstream)))
        .unwrap_err();
    harness.run(|ctx| undo(ctx, &view(&upstream))).unwrap();
    assert_eq!(*upstream.keys.borrow(), ["first", "theirs"]);
    assert!(retire(&view(&upstream), "first").is_err(), "the one in use");
}
