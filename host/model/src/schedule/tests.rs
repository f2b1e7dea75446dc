//! Tables of schedules: what they take, refuse, and when they come round.

use serde_json::json;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

fn take(body: &Value) -> Result<Schedule, String> {
    let mut body = body.as_object().unwrap().clone();
    let taken = Schedule::take(
        &mut body,
        Duration::from_secs(60),
        at("2026-01-01T00:00:00Z"),
    );
    assert!(taken.is_err() || body.is_empty(), "{body:?}");
    taken
}

fn cron(text: &str, window: Option<u64>) -> Schedule {
    Schedule::of_parts(
        Duration::ZERO,
        Some(text),
        window.map(|hours| Duration::from_secs(hours * 3600)),
    )
    .unwrap()
}

#[test]
fn an_expression_fires_as_every_cron_does() {
    for (text, from, next) in [
        ("* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"),
        ("0 3 * * *", "2026-01-01T03:00:00Z", "2026-01-02T03:00:00Z"),
        ("0 3 * * *", "2026-01-01T02:59:59Z", "2026-01-01T03:00:00Z"),
        (
            " 0   3 * * * ",
            "2026-01-01T03:00:01Z",
            "2026-01-02T03:00:00Z",
        ),
        (
            "*/15 8-10 * * *",
            "2026-01-01T10:45:00Z",
            "2026-01-02T08:00:00Z",
        ),
        (
            "5,35 0 * * *",
            "2026-01-01T00:05:00Z",
            "2026-01-01T00:35:00Z",
        ),
        (
            "0 0 * * SUN",
            "2026-01-01T00:00:00Z",
            "2026-01-04T00:00:00Z",
        ),
        (
            "0 0 * * sun",
            "2026-01-01T00:00:00Z",
            "2026-01-04T00:00:00Z",
        ),
        ("0 0 * * 0", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
        ("0 0 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
        (
            "0 0 * * MON-FRI",
            "2026-01-02T00:00:00Z",
            "2026-01-05T00:00:00Z",
        ),
        (
            "0 0 1 JAN,JUL *",
            "2026-01-01T00:00:00Z",
            "2026-07-01T00:00:00Z",
        ),
        ("0 0 31 * *", "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z"),
        (
            "0 0 31 12 *",
            "2026-01-01T00:00:00Z",
            "2026-12-31T00:00:00Z",
        ),
        (
            "59 23 31 12 *",
            "2026-12-31T23:59:00Z",
            "2027-12-31T23:59:00Z",
        ),
        // Either day counts where both are restricted.
        (
            "0 0 13 * FRI",
            "2026-01-01T00:00:00Z",
            "2026-01-02T00:00:00Z",
        ),
        (
            "0 0 13 * FRI",
            "2026-01-09T00:00:00Z",
            "2026-01-13T00:00:00Z",
        ),
        (
            "0 0 */2 * FRI",
            "2026-01-02T00:00:00Z",
            "2026-01-09T00:00:00Z",
        ),
        ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 0 29 2 *", "2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"),
        // No leap year between.
        ("0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"),
    ] {
        let next_after = Cron::parse(text).unwrap().next_after(at(from));
        assert_eq!(next_after, Some(at(next)), "{text} after {from}");
    }
    let daily = Cron::parse("0 3 * * *").unwrap();
    assert_eq!(daily.next_after(Timestamp(i64::MAX)), None);
    assert_eq!(daily.next_after(at("9999-12-01T00:00:00Z")), None);
}

#[test]
fn bodies_become_schedules() {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    for (body, expected) in [
        (json!({}), Schedule::ByHand),
        (
            json!({"rotation_period": null, "rotation_schedule": null, "rotation_window": null}),
            Schedule::ByHand,
        ),
        (
            json!({"rotation_period": 0, "rotation_schedule": "", "rotation_window": "0s"}),
            Schedule::ByHand,
        ),
        (json!({"rotation_period": "1h"}), Schedule::Every(hours(1))),
        (
            json!({"rotation_schedule": "0 3 * * *"}),
            cron("0 3 * * *", None),
        ),
        (
            json!({"rotation_schedule": "0 3 * * *", "rotation_window": "24h"}),
            cron("0 3 * * *", Some(24)),
        ),
        (
            json!({"rotation_schedule": "0 * * * *", "rotation_window": 3600}),
            cron("0 * * * *", Some(1)),
        ),
        (
            json!({"rotation_schedule": "0 0 29 2 *", "rotation_window": "8760h"}),
            cron("0 0 29 2 *", Some(8760)),
        ),
    ] {
        assert_eq!(take(&body), Ok(expected), "{body}");
    }
}

#[test]
fn what_is_no_schedule_is_refused_with_one_sentence() {
    let windowed = |schedule: &str, window: &str| json!({"rotation_schedule": schedule, "rotation_window": window});
    for (body, says) in [
        (
            json!({"rotation_period": "soon"}),
            "rotation_period is not a duration",
        ),
        (
            json!({"rotation_period": -5}),
            "rotation_period must not be negative",
        ),
        (json!({"rotation_period": "59s"}), "at least 60 s"),
        (
            json!({"rotation_schedule": 5}),
            "rotation_schedule must be a string",
        ),
        (
            json!({"rotation_schedule": "soon"}),
            "\"soon\" is no cron expression",
        ),
        (json!({"rotation_schedule": "@daily"}), "no cron expression"),
        (
            json!({"rotation_schedule": "0 3 * *"}),
            "no cron expression",
        ),
        (
            json!({"rotation_schedule": "0 0 3 * * *"}),
            "no cron expression",
        ),
        (
            json!({"rotation_schedule": "60 3 * * *"}),
            "no cron expression",
        ),
        (
            json!({"rotation_schedule": "0 3 0 * *"}),
            "no cron expression",
        ),
        (
            json!({"rotation_schedule": "0 3 * * 8"}),
            "no cron expression",
        ),
        (
            json!({"rotation_schedule": "0 3 * * FRY"}),
            "no cron expression",
        ),
        (
            json!({"rotation_schedule": "5-1 3 * * *"}),
            "no cron expression",
        ),
        (
            json!({"rotation_schedule": "*/0 3 * * *"}),
            "no cron expression",
        ),
        (
            json!({"rotation_schedule": "0 3 * * Europe/Berlin"}),
            "no cron expression",
        ),
        (
            json!({"rotation_schedule": "0 3 * * * Europe/Berlin"}),
            "no cron expression",
        ),
        // Extensions of some crons, which others read otherwise.
        (
            json!({"rotation_schedule": "0 3 L * *"}),
            "no cron expression",
        ),
        (
            json!({"rotation_schedule": "0 3 15W * *"}),
            "no cron expression",
        ),
        (
            json!({"rotation_schedule": "0 3 * * 5#3"}),
            "no cron expression",
        ),
        (
            json!({"rotation_schedule": "0 3 ? * 5"}),
            "no cron expression",
        ),
        (json!({"rotation_schedule": "0 0 30 2 *"}), "never fires"),
        (
            json!({"rotation_schedule": "0 0 31 4,6,9,11 *"}),
            "never fires",
        ),
        (
            json!({"rotation_period": "1h", "rotation_schedule": "0 3 * * *"}),
            "rotation_period and rotation_schedule exclude each other",
        ),
        (
            json!({"rotation_window": "1h"}),
            "rotation_window goes with rotation_schedule",
        ),
        (
            json!({"rotation_period": "1d", "rotation_window": "1h"}),
            "rotation_window goes with rotation_schedule",
        ),
        (
            windowed("0 3 * * *", "soon"),
            "rotation_window is not a duration",
        ),
        (
            windowed("0 3 * * *", "59m"),
            "rotation_window must be at least 3600 s",
        ),
        (
            windowed("0 3 * * *", "25h"),
            "rotation_window (90000 s) is longer",
        ),
        (
            windowed("0 * * * *", "61m"),
            "firings of rotation_schedule (3600 s)",
        ),
        (
            windowed("0 0,23 * * *", "2h"),
            "firings of rotation_schedule (3600 s)",
        ),
        // The 31st is a Sunday or Tuesday only now and then.
        (
            windowed("0 0 31 * MON", "48h"),
            "firings of rotation_schedule (86400 s)",
        ),
        (
            windowed("0 0 29 2 MON", "48h"),
            "firings of rotation_schedule (86400 s)",
        ),
    ] {
        let sentence = take(&body).unwrap_err();
        assert!(sentence.contains(says), "{body}: {sentence}");
    }
}

#[test]
fn the_next_time_counts_from_the_last() {
    let every = Schedule::Every(Duration::from_secs(3600));
    let (nightly, windowed) = (cron("0 3 * * *", None), cron("0 3 * * *", Some(2)));
    let noon = "2026-01-10T12:00:00Z";
    for (schedule, last, now, next) in [
        (&Schedule::ByHand, Some(noon), noon, None),
        (&every, None, noon, Some("2026-01-10T13:00:00Z")),
        (
            &every,
            Some("2026-01-10T11:30:00Z"),
            noon,
            Some("2026-01-10T12:30:00Z"),
        ),
        // Missed long ago: made up at once.
        (
            &every,
            Some("2026-01-01T00:00:00Z"),
            noon,
            Some("2026-01-01T01:00:00Z"),
        ),
        (&nightly, None, noon, Some("2026-01-11T03:00:00Z")),
        (
            &nightly,
            Some("2026-01-10T03:00:01Z"),
            noon,
            Some("2026-01-11T03:00:00Z"),
        ),
        (
            &nightly,
            Some("2026-01-01T00:00:00Z"),
            noon,
            Some("2026-01-01T03:00:00Z"),
        ),
        // A window that is over waits, one that is open does not.
        (
            &windowed,
            Some("2026-01-01T00:00:00Z"),
            noon,
            Some("2026-01-11T03:00:00Z"),
        ),
        (
            &windowed,
            Some("2026-01-01T00:00:00Z"),
            "2026-01-10T04:00:00Z",
            Some("2026-01-10T03:00:00Z"),
        ),
        (
            &windowed,
            Some("2026-01-10T03:10:00Z"),
            "2026-01-10T04:00:00Z",
            Some("2026-01-11T03:00:00Z"),
        ),
    ] {
        assert_eq!(
            schedule.next(last.map(at), at(now)),
            next.map(at),
            "{schedule:?} last {last:?} now {now}"
        );
    }
}

#[test]
fn only_a_window_lets_a_due_time_pass() {
    let (nightly, windowed) = (cron("0 3 * * *", None), cron("0 3 * * *", Some(2)));
    let every = Schedule::Every(Duration::from_secs(60));
    let missed = |next| Due::Missed {
        next: Some(at(next)),
    };
    for (schedule, now, due) in [
        (&every, "2026-01-10T12:00:00Z", Due::Now),
        (&nightly, "2026-01-10T12:00:00Z", Due::Now),
        (&windowed, "2026-01-10T03:00:00Z", Due::Now),
        (&windowed, "2026-01-10T04:59:59Z", Due::Now),
        (
            &windowed,
            "2026-01-10T05:00:00Z",
            missed("2026-01-11T03:00:00Z"),
        ),
        (
            &windowed,
            "2026-01-10T12:00:00Z",
            missed("2026-01-11T03:00:00Z"),
        ),
        (
            &windowed,
            "2026-01-10T02:59:59Z",
            missed("2026-01-10T03:00:00Z"),
        ),
    ] {
        assert_eq!(schedule.due(at(now)), due, "{schedule:?} at {now}");
    }
}

#[test]
fn no_try_goes_beyond_its_window() {
    let (nightly, windowed) = (cron("0 3 * * *", None), cron("0 3 * * *", Some(2)));
    let now = at("2026-01-10T03:10:00Z");
    let tomorrow = Due::Missed {
        next: Some(at("2026-01-11T03:00:00Z")),
    };
    for (schedule, again, due) in [
        (&nightly, "2026-01-11T03:10:00Z", Due::Now),
        (&windowed, "2026-01-10T03:11:00Z", Due::Now),
        (&windowed, "2026-01-10T05:00:00Z", tomorrow),
        // In the next one, which begins earlier.
        (&windowed, "2026-01-11T03:10:00Z", tomorrow),
        (&windowed, "2026-01-11T03:00:00Z", tomorrow),
    ] {
        assert_eq!(
            schedule.due_again(now, at(again)),
            due,
            "{schedule:?} {again}"
        );
    }
}
