//! `sys/storage/…`: the database as a whole, for operators.

use http::StatusCode;
use lessor_model::{event::Event, refusal::Refusal};
use lessor_store::BackupError;
use tokio::fs::File;

use super::{
    Outcome,
    answer::{Answer, Body},
    endpoint::{Endpoint, at, does, gives::Gives, read},
    error::ApiError,
    operation::ALL,
};
use crate::engine::Engine;

/// The paths of the database.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    at("sys/storage/backup", "A backup of the database.")
        .sudo(ALL)
        .on(&[
            read("Sends it.", &[], does!(call => back_up(call.engine).await))
                .gives(&[Gives::Bytes(SQLITE)]),
        ]),
    #[cfg(feature = "test-hooks")]
    at("sys/test/storage", "The failures of storage in a test.")
        .sudo(ALL)
        .on(&[super::endpoint::write(
            "Has it fail.",
            &[
                super::endpoint::field::number(
                    "max_pages",
                    "The largest size of the database, in pages.",
                ),
                super::endpoint::field::number("writes", "The number of writes that go well."),
            ],
            does!(call => fail(call.engine, call.ask).await),
        )]),
];

/// The type of a database.
const SQLITE: &str = "application/vnd.sqlite3";

/// `GET sys/storage/backup`: the database as it is now, in one file.
pub(super) async fn back_up(engine: &Engine) -> Outcome {
    let copy = match engine.storage.back_up().await {
        Ok(copy) => copy,
        Err(BackupError::Storage(error)) => return Err(Refusal::from(error).into()),
        Err(error @ BackupError::File { .. }) => {
            tracing::error!(%error, "could not write a backup");
            return Err(ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "a backup is written to data_dir before it is sent, and that cannot be written: \
                 see that it has as much free space as the database",
            ));
        }
        Err(error) => return Err(ApiError::internal(error)),
    };
    let file = copy.reopen().map_err(ApiError::internal)?;
    let length = file.metadata().map_err(ApiError::internal)?.len();
    // Dropping `copy` removes the file's name here; the open file stays until it is sent.
    Event::BackedUp { bytes: length }.record();
    Ok(Answer {
        task: None,
        status: StatusCode::OK,
        body: Body::File {
            content_type: SQLITE,
            file: File::from_std(file),
            length,
        },
    })
}

/// Makes storage fail as a full or read-only disk does: `max_pages` is the most
/// pages that the database may have (0: as many as it likes), `writes` how many
/// more commits succeed (absent: all).
#[cfg(feature = "test-hooks")]
pub(super) async fn fail(engine: &Engine, ask: super::ask::Ask) -> Outcome {
    let mut fields = ask.into_fields();
    let (max_pages, writes) = (fields.number("max_pages")?, fields.number("writes")?);
    fields.finish()?;
    engine.storage.fail(max_pages.unwrap_or(0), writes);
    Ok(Answer::done())
}
