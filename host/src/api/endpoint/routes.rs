//! All endpoints, by where they are served, and which one a path leads to.

use lessor_model::{id, login::Kind, mount};

use super::{
    Endpoint, Place, Shelf, Target,
    pattern::{Found, Pattern},
};
use crate::engine::Engine;

/// The part of the host that serves a path; the beginning of the path decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Region {
    Host,
    Logins,
    Mounts,
}

/// Segments of the longest pattern, at least.
const LONGEST: usize = 8;

/// The endpoints of one shelf.
#[derive(Debug)]
struct Row {
    shelf: Shelf,
    /// In the order in which they were declared.
    declared: Vec<&'static Endpoint>,
    /// By pattern, the narrower first.
    sorted: Vec<(Pattern, &'static Endpoint)>,
}

/// The endpoints of all shelves.
#[derive(Debug)]
pub(in crate::api) struct Routes(Vec<Row>);

impl Routes {
    /// Puts shelves together from the lists that modules declare.
    pub(in crate::api) fn new(
        shelves: impl Iterator<Item = (Shelf, &'static [&'static [Endpoint]])>,
    ) -> Self {
        let row = |(shelf, lists): (Shelf, &'static [&'static [Endpoint]])| {
            let declared: Vec<&'static Endpoint> = lists.iter().copied().flatten().collect();
            let of = |endpoint: &&'static Endpoint| {
                let endpoint = *endpoint;
                let patterns = endpoint.also.iter().chain([&endpoint.pattern]);
                patterns.map(move |pattern| (Pattern::of(pattern), endpoint))
            };
            let mut sorted: Vec<_> = declared.iter().flat_map(of).collect();
            sorted.sort_by(|(one, _), (another, _)| one.order(another));
            Row {
                shelf,
                declared,
                sorted,
            }
        };
        Self(shelves.map(row).collect())
    }

    /// Every shelf.
    #[cfg(test)]
    pub(in crate::api) fn shelves(&self) -> impl Iterator<Item = Shelf> {
        self.0.iter().map(|row| row.shelf)
    }

    /// The endpoints on a shelf, in the order in which they were declared.
    pub(in crate::api) fn endpoints(
        &self,
        shelf: Shelf,
    ) -> impl Iterator<Item = &'static Endpoint> {
        let rows = self.0.iter().filter(move |row| row.shelf == shelf);
        rows.flat_map(|row| row.declared.iter().copied())
    }

    /// The endpoint that serves a path, and the positions of its pattern's names in the path.
    pub(in crate::api) fn find<S: AsRef<str>>(
        &self,
        shelf: Shelf,
        path: &[S],
    ) -> Option<(&'static Endpoint, Found)> {
        let row = self.0.iter().find(|row| row.shelf == shelf)?;
        let mut fitting = row
            .sorted
            .iter()
            .filter_map(|(pattern, endpoint)| Some((*endpoint, pattern.fit(path)?)));
        fitting.next()
    }

    /// Whether a request for a path that is not understood yet is worth an audit line.
    pub(in crate::api) fn is_audited(&self, raw: &str) -> bool {
        let path = raw.strip_prefix("/v1/").unwrap_or_default();
        let mut endpoints = self.endpoints(Shelf::Host);
        !endpoints.any(|endpoint| !endpoint.audited && endpoint.pattern == path)
    }

    /// The meaning of a path in its one form. Without an engine, only the host's own paths are
    /// known.
    pub(in crate::api) fn target(&self, segments: &[String], engine: Option<&Engine>) -> Target {
        let path = segments.join("/");
        let (place, begin) = match region_of(segments) {
            Some(Region::Host) => (Place::Host, 0),
            None => (Place::Nowhere, 0),
            Some(Region::Logins) => {
                let below = path.strip_prefix("auth/").unwrap_or_default();
                match engine.and_then(|engine| engine.logins.resolve(below)) {
                    Some((mount, rest)) => {
                        let begin = 1 + mount.path().as_str().split('/').count();
                        (Place::Login { mount, rest }, begin)
                    }
                    None => (Place::Nowhere, 0),
                }
            }
            Some(Region::Mounts) => match engine.and_then(|engine| engine.mounts.resolve(&path)) {
                Some((mount, rest)) => {
                    let begin = mount.as_str().split('/').count();
                    (Place::Provider { mount, rest }, begin)
                }
                None => (Place::NoMount, 0),
            },
        };
        let within = segments.get(begin..).unwrap_or_default();
        let found = place.shelf().and_then(|shelf| self.find(shelf, within));
        match (found, place) {
            (Some((endpoint, found)), place) => Target {
                path,
                place,
                endpoint: Some(endpoint),
                said: said(within, found),
                alias: None,
            },
            (None, Place::Host) => Target::without_endpoint(path, Place::Nowhere),
            (None, place) => Target::without_endpoint(path, place),
        }
    }

    /// A path as it is judged and used: names that make no difference of case are put
    /// into the form in which they are stored. `login` tells which login method a path
    /// behind `auth/` belongs to, and how many segments its own path has.
    ///
    /// # Errors
    /// A sentence, where such a name is not ASCII: other letters have look-alikes, and
    /// cases that not every reader knows.
    pub(in crate::api) fn canonical(
        &self,
        mut segments: Vec<String>,
        login: impl FnOnce(&str) -> Option<(Kind, usize)>,
    ) -> Result<Vec<String>, &'static str> {
        let (shelf, begin) = match region_of(&segments) {
            Some(Region::Host) => (Shelf::Host, 0),
            Some(Region::Logins) => {
                let below = segments.get(1..).unwrap_or_default().join("/");
                match login(&below) {
                    Some((kind, length)) => (Shelf::Mount(mount::Kind::Login(kind)), 1 + length),
                    None => return Ok(segments),
                }
            }
            Some(Region::Mounts) | None => return Ok(segments),
        };
        let within = segments.get_mut(begin..).unwrap_or_default();
        // The name is put into its form also where nothing is served below it.
        let lengths = (1..=within.len())
            .rev()
            .filter(|length| *length == within.len() || *length <= LONGEST);
        let mut found = lengths.filter_map(|length| self.find(shelf, within.get(..length)?));
        let Some((_, found)) = found.next() else {
            return Ok(segments);
        };
        for (_, at) in found.into_iter().filter(|(name, _)| name.folded) {
            for name in within.get_mut(at).into_iter().flatten() {
                if !name.is_ascii() {
                    return Err("names of policies, roles and users are ASCII");
                }
                *name = id::folded(name);
            }
        }
        Ok(segments)
    }

    /// A path that stands in a body as it would be judged and used: none where no
    /// request could have it. A slash at its end stays, as it asks for a list.
    pub(in crate::api) fn canonical_text(
        &self,
        text: &str,
        login: impl FnOnce(&str) -> Option<(Kind, usize)>,
    ) -> Option<String> {
        let parts = text.split('/').filter(|part| !part.is_empty());
        let segments: Vec<String> = parts.map(str::to_owned).collect();
        let is_ambiguous = |segment: &String| {
            [".", ".."].contains(&segment.as_str())
                || segment.contains('\\')
                || segment.chars().any(char::is_control)
                || segment.trim() != segment
        };
        if segments.iter().any(is_ambiguous) {
            return None;
        }
        let mut path = self.canonical(segments, login).ok()?.join("/");
        if text.ends_with('/') {
            path.push('/');
        }
        Some(path)
    }
}

/// The region of paths that begin so; none where they are served nowhere. The kind of a
/// mount is known once the mount is found.
fn region_of<S: AsRef<str>>(segments: &[S]) -> Option<Region> {
    let mut first = segments.iter().map(AsRef::as_ref);
    match (first.next(), first.next()) {
        (Some("sys"), _) | (Some("auth"), Some("token")) | (Some("identity"), Some("oidc")) => {
            Some(Region::Host)
        }
        (Some("auth"), Some(_)) => Some(Region::Logins),
        (Some("auth"), None) | (None, _) => None,
        (Some(_), _) => Some(Region::Mounts),
    }
}

fn said(segments: &[String], found: Found) -> Vec<(&'static str, String)> {
    let said = found.into_iter().map(|(name, at)| {
        let segments = segments.get(at).unwrap_or_default();
        (name.text, segments.join("/"))
    });
    said.collect()
}
