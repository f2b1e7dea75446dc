//! The effects of signals: some stop the server, one makes it look at its files, and no other
//! ends it.

use std::{io, sync::Arc, time::Duration};

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::certificates::Certificates;
use crate::audit::Audit;

/// How often the server looks at files that others replace: short beside the minutes after
/// which somebody misses a renewed certificate or a rotated log. A look is three system calls.
const LOOK: Duration = Duration::from_secs(2);

/// Signals whose default would end the process at once, in the middle of its work,
/// and that mean nothing here. SIGHUP is heard by [`follow`].
const HARMLESS: [Number; 8] = [
    Number::USR1,
    Number::USR2,
    Number::ALARM,
    Number::VTALARM,
    Number::PROF,
    Number::IO,
    Number::POWER,
    Number::STKFLT,
];

/// Takes the signals that must not end the process, from the first moment on; returns the
/// stream of SIGHUP.
pub(super) fn take_over() -> io::Result<Signal> {
    for harmless in HARMLESS {
        // A handler stays for as long as the process lives.
        drop(signal(SignalKind::from_raw(harmless.as_raw()))?);
    }
    signal(SignalKind::hangup())
}

/// Completes at SIGTERM, SIGINT or SIGQUIT.
pub(super) fn stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
        }
        tracing::info!("stopping");
    })
}

/// Follows the audit file and the certificate where their paths come to name other files: at
/// once at SIGHUP, else within some seconds. Goes on until the task is dropped.
pub(super) async fn follow(
    mut hangup: Signal,
    audit: Audit,
    certificates: Option<Arc<Certificates>>,
) {
    loop {
        let asked = tokio::select! {
            heard = hangup.recv() => match heard {
                Some(()) => true,
                None => return,
            },
            () = tokio::time::sleep(LOOK) => false,
        };
        if asked {
            tracing::info!("looking at the audit file and the certificate, as SIGHUP asks");
        }
        let (audit, certificates) = (audit.clone(), certificates.clone());
        let looked = tokio::task::spawn_blocking(move || {
            audit.follow();
            if let Some(certificates) = certificates {
                certificates.follow(asked);
            }
        });
        if let Err(error) = looked.await {
            tracing::error!(%error, "could not look at the audit file and the certificate");
        }
    }
}
