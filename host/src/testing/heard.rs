//! Collects the events that are recorded during a test.

use std::sync::{Arc, Mutex};

use lessor_model::event;
use tracing::{Event, Subscriber, subscriber::DefaultGuard};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
};

/// Hears the events that are recorded on this thread, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Heard {
    names: Arc<Mutex<Vec<&'static str>>>,
    _listening: DefaultGuard,
}

impl Heard {
    /// Begins to listen.
    pub(crate) fn from_here() -> Self {
        let names = Arc::<Mutex<Vec<&'static str>>>::default();
        let ear = tracing_subscriber::registry().with(Ear(Arc::clone(&names)));
        Self {
            names,
            _listening: tracing::subscriber::set_default(ear),
        }
    }

    /// The number of times that an event was heard.
    pub(crate) fn count(&self, name: &str) -> usize {
        let names = self.names.lock().unwrap();
        names.iter().filter(|heard| **heard == name).count()
    }
}

struct Ear(Arc<Mutex<Vec<&'static str>>>);

impl<S: Subscriber> Layer<S> for Ear {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().module_path() == Some(event::MODULE) {
            self.0.lock().unwrap().push(event.metadata().name());
        }
    }
}
