//! `sys/in-flight-req`: the requests that are being answered.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use lessor_model::clock::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// The requests under way. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Arc<Mutex<BTreeMap<String, UnderWay>>>);

/// The facts that are shown about one.
#[derive(Clone, Debug)]
pub(super) struct UnderWay {
    pub(super) method: String,
    /// With `/v1/`, without the query.
    pub(super) path: String,
    /// Address and port of who asks.
    pub(super) peer: String,
    pub(super) since: Timestamp,
    /// Accessor of the token that it shows, once that is known.
    pub(super) client: String,
}

/// A request that is being answered.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct InFlightRequest {
    /// The time since when it is so.
    start_time: String,
    /// Address and port of who asks.
    client_remote_address: String,
    /// Its path, without the query.
    request_path: String,
    /// Its method.
    request_method: String,
    /// Accessor of the token that it shows; empty until that is known.
    client_id: String,
}

/// Keeps a request in the list until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    id: String,
    list: InFlight,
}

impl InFlight {
    /// Enters a request.
    pub(super) fn begin(&self, id: &str, request: UnderWay) -> Place {
        self.lock().insert(id.to_owned(), request);
        Place {
            id: id.to_owned(),
            list: self.clone(),
        }
    }

    /// Notes the accessor of the token that a request shows.
    pub(super) fn identified(&self, id: &str, accessor: &str) {
        if let Some(request) = self.lock().get_mut(id) {
            request.client = accessor.to_owned();
        }
    }

    /// All of them, by id, as Vault shows them.
    pub(super) fn shown(&self) -> BTreeMap<String, InFlightRequest> {
        let list = self.lock();
        let shown = list.iter().map(|(id, request)| {
            let shown = InFlightRequest {
                start_time: request.since.rfc3339(),
                client_remote_address: request.peer.clone(),
                request_path: request.path.clone(),
                request_method: request.method.clone(),
                client_id: request.client.clone(),
            };
            (id.clone(), shown)
        });
        shown.collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, UnderWay>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.list.lock().remove(&self.id);
    }
}
