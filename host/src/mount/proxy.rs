//! The HTTP proxy of a mount, as it is stored: its credentials are sealed.

use lessor_model::{
    mount::Tune,
    proxy::{self, NoProxy, Proxy, ProxyUrl},
    refusal::Refusal,
    secret::Secret,
};
use lessor_seal::keyring::Keyring;
use lessor_store::NewMount;

/// Puts credentials into the settings of the mount of this id; empty ones take the former
/// away.
///
/// # Errors
/// A sentence, where they are none, or there is no proxy that they could be for.
pub(super) fn seal(
    keyring: &Keyring,
    uuid: &str,
    tune: &mut Tune,
    credentials: &Secret<String>,
) -> Result<(), Refusal> {
    let text = credentials.expose();
    if text.is_empty() {
        tune.http_proxy_credentials.clear();
        return Ok(());
    }
    if tune.http_proxy.is_empty() {
        return Err(Refusal::Invalid(
            "http_proxy_credentials are for a proxy, and the mount has none: set http_proxy as well"
                .into(),
        ));
    }
    proxy::check_credentials(text)
        .map_err(|reason| Refusal::Invalid(format!("http_proxy_credentials {reason}")))?;
    let sealed = keyring.seal(&context(uuid), text.as_bytes())?;
    tune.http_proxy_credentials = hex::encode(sealed);
    Ok(())
}

/// The proxy of a mount that is stored. Credentials that cannot be opened are left out, and
/// the proxy says that it lacks them; to go without the proxy would be to go where the
/// operator did not allow it.
pub(super) fn kept_proxy(keyring: &Keyring, mount: &NewMount) -> Result<Option<Proxy>, Refusal> {
    let tune = &mount.tune;
    if tune.http_proxy.is_empty() {
        return Ok(None);
    }
    let url = ProxyUrl::parse(&tune.http_proxy).map_err(|reason| {
        Refusal::Invalid(format!("http_proxy of mount {} {reason}", mount.path))
    })?;
    let except = NoProxy::parse(&tune.no_proxy).map_err(Refusal::Invalid)?;
    let sealed = hex::decode(&tune.http_proxy_credentials).unwrap_or_default();
    let credentials = match sealed.is_empty() {
        true => None,
        false => keyring
            .open_text(&context(&mount.uuid), &sealed)
            .inspect_err(|error| {
                tracing::error!(mount = %mount.path, %error, "could not open the credentials of a mount's proxy");
            })
            .ok(),
    };
    Ok(Some(Proxy {
        url,
        credentials,
        except,
    }))
}

fn context(uuid: &str) -> String {
    format!("mounts/{uuid}/http_proxy_credentials")
}
