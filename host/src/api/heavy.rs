//! Work that takes longer than an async thread may be held: reading and hashing
//! large documents.
//!
//! It runs on the blocking threads, on as many at once as there are processors. Strangers get
//! half of these, so that a caller with a token never waits behind them.

use std::{num::NonZero, thread};

use tokio::{sync::Semaphore, task::spawn_blocking};

use super::error::ApiError;

/// Bytes of JSON that are read and hashed on the spot: a tenth of a millisecond of a
/// release build. To change threads costs a tenth of that.
const LIGHT: usize = 16 << 10;

/// The caller whose work it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// Anybody at all.
    Stranger,
    /// Somebody whose token holds.
    Caller,
}

/// Slots for such work.
#[derive(Debug)]
pub(super) struct Heavy {
    strangers: Semaphore,
    callers: Semaphore,
}

impl Default for Heavy {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(2, NonZero::get);
        Self {
            strangers: Semaphore::new((cores / 2).max(1)),
            callers: Semaphore::new(cores),
        }
    }
}

impl Heavy {
    /// Does `work` that is about so many bytes of JSON, on a thread that holds up nobody else.
    ///
    /// # Errors
    /// 500 where it panicked or the server ends.
    pub(super) async fn done<T: Send + 'static>(
        &self,
        whose: For,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        if bytes <= LIGHT {
            return Ok(work());
        }
        let slots = match whose {
            For::Stranger => &self.strangers,
            For::Caller => &self.callers,
        };
        let _slot = slots.acquire().await.map_err(ApiError::internal)?;
        spawn_blocking(work).await.map_err(ApiError::internal)
    }
}
