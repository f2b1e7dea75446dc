//! Keeps the lines that a provider logs during its examination, as a server would have them in
//! its log: the sandbox has freed them of secrets.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tracing::instrument::WithSubscriber as _;

/// Keeps the lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Hearing {
    lines: Arc<Mutex<Vec<u8>>>,
}

impl Hearing {
    /// Performs some work and keeps the lines that are logged meanwhile.
    pub(super) async fn of<F: Future>(&self, something: F) -> F::Output {
        let hearing = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter("lessor::provider=trace")
            .with_ansi(false)
            .without_time()
            .with_writer(move || hearing.clone())
            .finish();
        something.with_subscriber(subscriber).await
    }

    /// All lines so far.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock()).into_owned()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl io::Write for Hearing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
