//! The functions of `wasi:http` by which a guest hands texts and bodies to the host,
//! counted in the account of its call.
//!
//! wasmtime-wasi-http bounds the headers of one `fields` and the buffer of one body, and
//! neither how many there are nor the other texts of a request. So these functions are
//! linked anew: each counts what it was handed, then does what it did before. Headers
//! and texts are counted until the call ends, bodies until upstream has taken them.

use bytes::Bytes;
use wasmtime::{
    StoreContextMut,
    component::{Linker, LinkerInstance, Resource as Handle},
};
use wasmtime_wasi::p2::{
    DynOutputStream, OutputStream, Pollable, StreamError, StreamResult, pipe::ClosedOutputStream,
};
use wasmtime_wasi_http::{
    FieldMap, WasiHttpView,
    p2::{
        HeaderResult,
        bindings::http::types::{
            self, HostFields, HostOutgoingBody as _, HostOutgoingRequest as _, Method, Scheme,
        },
        body::HostOutgoingBody,
        types::HostOutgoingRequest,
    },
};

use super::{
    account::{Account, Held, OVERHEAD, Resource},
    call::CallState,
    http::entry,
};
use std::sync::Arc;

/// The interface, in the version of wasmtime-wasi-http.
const TYPES: &str = "wasi:http/types@0.2.12";

type Call<'a> = StoreContextMut<'a, CallState>;
type Request = Handle<HostOutgoingRequest>;
type Fields = Handle<FieldMap>;

/// Links the functions that count in the place of those that do not.
pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    add_fields(&mut types)?;
    add_requests(&mut types)?;
    types.func_wrap(
        "[method]outgoing-body.write",
        |mut call: Call<'_>, (body,): (Handle<HostOutgoingBody>,)| {
            let state = call.data_mut();
            let written = state.http().write(body)?;
            if let Ok(stream) = &written {
                let account = Arc::clone(&state.reach.account);
                let stream = state.table.get_mut::<DynOutputStream>(stream)?;
                let inner = std::mem::replace(stream, Box::new(ClosedOutputStream));
                *stream = Box::new(CountedStream { inner, account });
            }
            Ok((written,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

fn add_fields(types: &mut LinkerInstance<'_, CallState>) -> wasmtime::Result<()> {
    types.func_wrap(
        "[static]fields.from-list",
        |mut call: Call<'_>, (entries,): (Vec<(String, Vec<u8>)>,)| {
            let sizes = entries.iter().map(|(name, value)| entry(name, value));
            count(&call, sizes.sum())?;
            refused(call.data_mut().http().from_list(entries))
        },
    )?;
    types.func_wrap(
        "[method]fields.set",
        |mut call: Call<'_>, (fields, name, values): (Fields, String, Vec<Vec<u8>>)| {
            let sizes = values.iter().map(|value| entry(&name, value));
            count(&call, sizes.sum())?;
            refused(call.data_mut().http().set(fields, name, values))
        },
    )?;
    types.func_wrap(
        "[method]fields.append",
        |mut call: Call<'_>, (fields, name, value): (Fields, String, Vec<u8>)| {
            count(&call, entry(&name, &value))?;
            refused(call.data_mut().http().append(fields, name, value))
        },
    )?;
    types.func_wrap(
        "[method]fields.clone",
        |mut call: Call<'_>, (fields,): (Fields,)| {
            // It is shared with the first until either is changed.
            let whole = call.data().table.get(&fields)?;
            let sizes = whole
                .iter()
                .map(|(name, value)| entry(name.as_str(), value.as_bytes()));
            count(&call, sizes.sum())?;
            Ok((HostFields::clone(&mut call.data_mut().http(), fields)?,))
        },
    )
}

fn add_requests(types: &mut LinkerInstance<'_, CallState>) -> wasmtime::Result<()> {
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut call: Call<'_>, (request, method): (Request, Method)| {
            if let Method::Other(name) = &method {
                count(&call, name.len())?;
            }
            Ok((call.data_mut().http().set_method(request, method)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        |mut call: Call<'_>, (request, path): (Request, Option<String>)| {
            count(&call, path.as_ref().map_or(0, String::len))?;
            Ok((call.data_mut().http().set_path_with_query(request, path)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-scheme",
        |mut call: Call<'_>, (request, scheme): (Request, Option<Scheme>)| {
            if let Some(Scheme::Other(name)) = &scheme {
                count(&call, name.len())?;
            }
            Ok((call.data_mut().http().set_scheme(request, scheme)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut call: Call<'_>, (request, authority): (Request, Option<String>)| {
            count(&call, authority.as_ref().map_or(0, String::len))?;
            Ok((call.data_mut().http().set_authority(request, authority)?,))
        },
    )
}

/// Counts a text of a request.
fn count(call: &Call<'_>, bytes: usize) -> wasmtime::Result<()> {
    let account = &call.data().reach.account;
    Ok(account.keep(Resource::Headers, bytes.saturating_add(OVERHEAD))?)
}

/// A refusal of headers is the guest's to read, anything else ends the call.
fn refused<T>(result: HeaderResult<T>) -> wasmtime::Result<(Result<T, types::HeaderError>,)> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}

/// The body of a request, each part of which is counted until it was sent.
struct CountedStream {
    inner: DynOutputStream,
    account: Arc<Account>,
}

/// A part of a body.
struct Part {
    bytes: Bytes,
    #[expect(dead_code, reason = "dropped with the part")]
    held: Held,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[async_trait::async_trait]
impl Pollable for CountedStream {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[async_trait::async_trait]
impl OutputStream for CountedStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let size = bytes.len().saturating_add(OVERHEAD);
        let held = self
            .account
            .hold(Resource::Bodies, size)
            .map_err(|limit| StreamError::Trap(limit.into()))?;
        self.inner.write(Bytes::from_owner(Part { bytes, held }))
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.inner.check_write()
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}
