//! Takes the host's fields out of the body of a config: pure.
//!
//! A write changes the fields that it names, so that writing one of them switches none
//! of the others off.

use std::time::Duration;

use lessor_model::{clock::Timestamp, duration, schedule::Schedule, schema, suggest, weak};
use lessor_store::RootSchedule;
use serde_json::{Map, Value};

/// The time for which a former root credential stays valid where upstream can hold two:
/// long enough for every call that began with it.
const DEFAULT_GRACE: Duration = Duration::from_secs(60);

/// Shortest rotation period: below, rotations would run into each other.
const SHORTEST_PERIOD: Duration = Duration::from_secs(60);

/// The fields that a GET shows beside those that can be written.
const SHOWN: [&str; 8] = [
    "identity",
    "version",
    "warnings",
    "last_rotation",
    "next_rotation",
    "last_error",
    "rotation",
    "ending",
];

/// The host's part of a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The schedule by which the root credential is renewed, from now on.
    pub(super) schedule: RootSchedule,
    /// Whether `rotate_on_config` is switched on by this write. Where it was on before,
    /// only another root credential is rotated.
    pub(super) rotate: bool,
    /// Whether nothing of the stored config is kept.
    pub(super) replace: bool,
}

impl Asked {
    /// Takes the host's fields out of a body; what it does not name stays as in
    /// `former`.
    ///
    /// # Errors
    /// One sentence that names the field.
    pub(super) fn take(
        document: &mut Map<String, Value>,
        former: Option<RootSchedule>,
        now: Timestamp,
    ) -> Result<Self, String> {
        let replace = truth("replace", document.remove("replace"))?.unwrap_or(false);
        let former = former.filter(|_| !replace).unwrap_or_else(by_hand);
        let rotate = truth("rotate_on_config", document.remove("rotate_on_config"))?;
        let grace = document.remove("rotation_grace").unwrap_or_default();
        let grace = duration::of_value("rotation_grace", &grace)?;
        let schedule = Schedule::patch(&former.schedule, document, SHORTEST_PERIOD, now)?;
        let next = match schedule == former.schedule && former.next.is_some() {
            // Writing a config again and again must not put the next time off for ever.
            true => former.next,
            false => schedule.next(None, now),
        };
        Ok(Self {
            schedule: RootSchedule {
                next,
                schedule,
                grace: grace.unwrap_or(former.grace),
                on_config: rotate.unwrap_or(former.on_config),
                last: None,
                last_error: None,
            },
            rotate: rotate == Some(true) && !former.on_config,
            replace,
        })
    }
}

/// The schedule of a mount that has none.
pub(super) fn by_hand() -> RootSchedule {
    RootSchedule {
        schedule: Schedule::ByHand,
        grace: DEFAULT_GRACE,
        on_config: false,
        last: None,
        next: None,
        last_error: None,
    }
}

/// Turns a body that a GET showed into one that is written: the provider's fields stand
/// below `config` there.
///
/// # Errors
/// One sentence, where a field stands below `config` and beside it with another value:
/// one of them would be dropped.
pub(super) fn take_shown(schema: &Value, document: &mut Map<String, Value>) -> Result<(), String> {
    if schema::knows(schema, "config") || !document.get("config").is_some_and(Value::is_object) {
        return Ok(());
    }
    let shown = document.remove("config").unwrap_or_default();
    for name in SHOWN {
        document.remove(name);
    }
    let Value::Object(shown) = shown else {
        return Ok(());
    };
    for (name, value) in shown {
        if document.get(&name).is_some_and(|beside| *beside != value) {
            let name = suggest::shown(&name);
            return Err(format!(
                "{name} stands below config and beside it, with two values: give it once"
            ));
        }
        document.insert(name, value);
    }
    Ok(())
}

/// A truth as Vault's clients write it; null, and no text at all, is none.
///
/// # Errors
/// One sentence that names `field`.
pub fn truth(field: &str, value: Option<Value>) -> Result<Option<bool>, String> {
    match value.unwrap_or_default() {
        Value::Null => Ok(None),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        value => weak::truth(&value)
            .map(Some)
            .ok_or_else(|| format!("{field} must be true or false")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn take(body: Value, former: Option<RootSchedule>) -> Result<(Asked, Value), String> {
        let mut body = body.as_object().unwrap().clone();
        let asked = Asked::take(&mut body, former, Timestamp(0))?;
        Ok((asked, Value::Object(body)))
    }

    #[test]
    fn the_schedule_is_split_from_the_providers_config() {
        let body = json!({"rotation_period": "1d", "rotate_on_config": true, "host": "db"});
        let (asked, rest) = take(body, None).unwrap();
        assert_eq!(asked.schedule.next, Some(Timestamp(86_400_000)));
        assert!(asked.schedule.on_config && asked.rotate);
        assert_eq!(rest, json!({"host": "db"}));
    }

    #[test]
    fn what_is_not_named_keeps_its_value() {
        let former = RootSchedule {
            schedule: Schedule::Every(Duration::from_secs(86_400)),
            grace: Duration::from_secs(5),
            on_config: true,
            last: None,
            next: Some(Timestamp(7)),
            last_error: None,
        };
        let hourly = Schedule::Every(Duration::from_secs(3600));
        let kept = former.schedule.clone();
        let grace = Duration::from_secs(5);
        for (body, schedule, next, grace) in [
            (
                json!({"host": "db"}),
                kept.clone(),
                Some(Timestamp(7)),
                grace,
            ),
            (
                json!({"rotation_period": null}),
                kept.clone(),
                Some(Timestamp(7)),
                grace,
            ),
            (
                json!({"rotation_period": "1d"}),
                kept,
                Some(Timestamp(7)),
                grace,
            ),
            (
                json!({"rotation_period": "1h"}),
                hourly,
                Some(Timestamp(3_600_000)),
                grace,
            ),
            (json!({"rotation_period": 0}), Schedule::ByHand, None, grace),
            (
                json!({"replace": true}),
                Schedule::ByHand,
                None,
                DEFAULT_GRACE,
            ),
        ] {
            let (asked, _) = take(body.clone(), Some(former.clone())).unwrap();
            assert_eq!(
                (
                    asked.schedule.schedule,
                    asked.schedule.next,
                    asked.schedule.grace
                ),
                (schedule, next, grace),
                "{body}"
            );
            assert!(!asked.rotate);
        }
    }

    #[test]
    fn wrong_schedules_are_named() {
        for (body, field) in [
            (json!({"rotation_period": "1s"}), "rotation_period"),
            (json!({"rotation_period": -5}), "rotation_period"),
            (json!({"rotation_grace": "x"}), "rotation_grace"),
            (json!({"rotate_on_config": "later"}), "rotate_on_config"),
            (json!({"replace": "perhaps"}), "replace"),
            (json!({"rotation_schedule": "daily"}), "rotation_schedule"),
            (json!({"rotation_window": "2h"}), "rotation_window"),
        ] {
            let error = take(body, None).unwrap_err();
            assert!(error.contains(field), "{error}");
        }
    }

    #[test]
    fn a_config_is_written_back_as_it_was_shown() {
        let schema = json!({"properties": {"host": {}, "version": {}}});
        let shown = json!({"config": {"host": "db"}, "version": 3, "identity": "x", "rotation": null, "rotation_period": 0});
        let mut body = shown.as_object().unwrap().clone();
        take_shown(&schema, &mut body).unwrap();
        let mut twice = json!({"config": {"host": "a"}, "host": "b"});
        let twice = twice.as_object_mut().unwrap();
        assert!(take_shown(&schema, twice).unwrap_err().contains("host"));
        assert_eq!(
            Value::Object(body),
            json!({"host": "db", "rotation_period": 0})
        );
        let mut own = json!({"config": {"a": 1}, "identity": 1})
            .as_object()
            .unwrap()
            .clone();
        take_shown(&json!({"properties": {"config": {}}}), &mut own).unwrap();
        assert_eq!(own.len(), 2);
    }
}
