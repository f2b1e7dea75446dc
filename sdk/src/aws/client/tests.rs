//! Calls against a scripted AWS: what is tried again, and how long that takes.

use super::*;
use crate::Secret;
use crate::testing::nothing::Nothing;
use crate::testing::{Harness, Route};

const IAM: &str = "https://iam.amazonaws.com";

fn refusal(code: &str) -> String {
    format!("<ErrorResponse><Error><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>")
}

/// Status, headers and body of each answer.
type Answers<'a> = &'a [(u16, &'a [(&'a str, &'a str)], &'a str)];

/// Answers, one after the other; the last one stays.
fn answering(answers: Answers<'_>) -> Harness<Nothing> {
    let mut harness = Harness::<Nothing>::new();
    let route = answers
        .iter()
        .fold(Route::post(IAM), |route, (status, headers, body)| {
            route.answer_bytes(*status, headers, *body)
        });
    harness.upstream(route);
    harness
}

fn key() -> Credentials {
    Credentials::new("AKIAEXAMPLE", Secret::new("hunter2hunter2"))
}

fn ask(harness: &mut Harness<Nothing>, form: Form) -> (Result<Element, AwsError>, Duration) {
    harness.run(|ctx| {
        let iam = Client::new(ctx, Service::iam(), "eu-central-1", Some(key()));
        let before = ctx.time_left();
        (iam.query(form), before - ctx.time_left())
    })
}

fn get_user() -> Form {
    Form::action("GetUser", "2010-05-08")
}

#[test]
fn what_passes_is_tried_again_and_nothing_else() {
    let throttled = refusal("Throttling");
    let concurrent = refusal("ConcurrentModification");
    let missing = refusal("NoSuchEntity");
    let denied = refusal("AccessDenied");
    let fine = "<GetUserResponse/>";
    let cases: [(&str, Answers<'_>, Form, usize, bool); 8] = [
        (
            "throttled twice",
            &[
                (400, &[], &throttled),
                (400, &[], &throttled),
                (200, &[], fine),
            ],
            get_user(),
            3,
            true,
        ),
        (
            "a passing fault",
            &[(500, &[], ""), (409, &[], &concurrent), (200, &[], fine)],
            get_user(),
            3,
            true,
        ),
        (
            "throttled for ever",
            &[(400, &[], &throttled)],
            get_user(),
            6,
            false,
        ),
        (
            "denied",
            &[(403, &[], &denied), (200, &[], fine)],
            get_user(),
            1,
            false,
        ),
        (
            "missing",
            &[(404, &[], &missing), (200, &[], fine)],
            get_user(),
            1,
            false,
        ),
        (
            "not known yet",
            &[(404, &[], &missing), (200, &[], fine)],
            get_user().while_refused("NoSuchEntity", "m"),
            2,
            true,
        ),
        (
            "perhaps made already",
            &[(500, &[], ""), (200, &[], fine)],
            get_user().once(),
            1,
            false,
        ),
        (
            "throttled, so not made",
            &[(400, &[], &throttled), (200, &[], fine)],
            get_user().once(),
            2,
            true,
        ),
    ];
    for (what, answers, form, requests, succeeds) in cases {
        let mut harness = answering(answers);
        let (answer, _) = ask(&mut harness, form);
        assert_eq!(
            (harness.received().len(), answer.is_ok()),
            (requests, succeeds),
            "{what}: {answer:?}"
        );
    }
}

#[test]
fn retry_after_is_kept_to_within_the_time_of_the_call() {
    let throttled = refusal("Throttling");
    let mut harness = answering(&[
        (400, &[("retry-after", "7")], &throttled),
        (200, &[], "<R/>"),
    ]);
    let (answer, waited) = ask(&mut harness, get_user());
    assert!(answer.is_ok());
    assert_eq!(waited, Duration::from_secs(7));

    // The harness's call has a minute, so the host is told instead.
    let mut harness = answering(&[(400, &[("retry-after", "59")], &throttled)]);
    let (answer, waited) = ask(&mut harness, get_user());
    let failure = Failure::from(answer.unwrap_err());
    assert_eq!(failure.retry_after(), Some(Duration::from_secs(59)));
    assert_eq!(waited, Duration::ZERO);
}

#[test]
fn pauses_double_and_are_jittered() {
    for attempt in 1..6 {
        let pause = jittered(Duration::from_millis(400), attempt);
        let (shortest, longest) = (Duration::from_millis(200), Duration::from_millis(400));
        assert!((shortest..=longest).contains(&pause), "{pause:?}");
    }
    let throttled = refusal("Throttling");
    let mut harness = answering(&[(400, &[], &throttled)]);
    let (_, waited) = ask(&mut harness, get_user());
    // 300, 600, 1200, 2400 and 4800 ms, of each of which at least half.
    assert!(
        waited >= Duration::from_millis(4650) && waited <= Duration::from_millis(9300),
        "{waited:?}"
    );
}

/// IAM is signed for the home of its partition, wherever the mount is.
#[test]
fn a_request_is_signed_for_the_service_and_its_region() {
    let mut harness = answering(&[(200, &[], "<R/>")]);
    ask(&mut harness, get_user()).0.unwrap();
    let sent = &harness.received()[0];
    let authorization = sent.header("authorization").unwrap();
    assert!(
        authorization.starts_with(
            "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260101/us-east-1/iam/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, Signature="
        ),
        "{authorization}"
    );
    assert_eq!(sent.header("x-amz-date"), Some("20260101T000000Z"));
    assert_eq!(sent.body, b"Action=GetUser&Version=2010-05-08");
    assert!(!format!("{sent:?}").contains("hunter2"));
}

#[test]
fn a_json_call_names_its_target() {
    let url = "https://secretsmanager.eu-central-1.amazonaws.com";
    let mut harness = Harness::<Nothing>::new();
    harness.upstream(Route::post(url).answer(200, serde_json::json!({"ARN": "a"})));
    let answer = harness.run(|ctx| {
        let service = Service::regional("secretsmanager");
        Client::new(ctx, service, "eu-central-1", Some(key())).json(
            "secretsmanager.GetSecretValue",
            &serde_json::json!({"SecretId": "s"}),
        )
    });
    assert_eq!(answer.unwrap()["ARN"], "a");
    let sent = &harness.received()[0];
    assert_eq!(
        sent.header("x-amz-target"),
        Some("secretsmanager.GetSecretValue")
    );
    assert_eq!(
        sent.header("content-type"),
        Some("application/x-amz-json-1.1")
    );
    let signed = sent.header("authorization").unwrap();
    assert!(signed.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-target"));
}

#[test]
fn a_service_is_where_its_partition_or_the_operator_has_it() {
    for (service, region, endpoint) in [
        (Service::iam(), "eu-central-1", "https://iam.amazonaws.com"),
        (
            Service::sts(),
            "eu-central-1",
            "https://sts.eu-central-1.amazonaws.com",
        ),
        (
            Service::sts(),
            "cn-north-1",
            "https://sts.cn-north-1.amazonaws.com.cn",
        ),
        (
            Service::regional("ssm"),
            "us-gov-east-1",
            "https://ssm.us-gov-east-1.amazonaws.com",
        ),
        (
            Service::sts().at(Some("http://127.0.0.1:5000/")),
            "us-east-1",
            "http://127.0.0.1:5000",
        ),
        (
            Service::sts().at(Some(" ")),
            "us-east-1",
            "https://sts.us-east-1.amazonaws.com",
        ),
    ] {
        assert_eq!(service.endpoint(region), endpoint);
    }
}
