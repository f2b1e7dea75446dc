//! Refusals as AWS words them: the shapes of both protocols, by kind.

use super::*;
use crate::http;
use crate::testing::nothing::Nothing;
use crate::testing::{Harness, Route};

/// The refusal that an answer is read as.
fn read(status: u16, headers: &[(&str, &str)], body: &str) -> Option<Refused> {
    let url = "https://iam.amazonaws.com";
    let mut harness = Harness::<Nothing>::new();
    harness.upstream(Route::post(url).answer_bytes(status, headers, body));
    harness.run(|_| Refused::of("iam:CreateUser", &http::post(url).send().unwrap()))
}

fn xml(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>7a62</RequestId></ErrorResponse>"
    )
}

#[test]
fn each_kind_has_its_class_and_a_sentence_with_the_way_out() {
    for (status, code, message, class, says) in [
        (
            403,
            "AccessDenied",
            "User: arn:aws:iam::1:user/x is not authorized to perform: iam:CreateUser",
            FailureClass::Denied,
            "allow iam:CreateUser",
        ),
        (
            403,
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
            FailureClass::Denied,
            "does not know the access key",
        ),
        (
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match",
            FailureClass::Denied,
            "does not belong to the access key",
        ),
        (
            403,
            "SignatureDoesNotMatch",
            "Signature expired: 20261130T230000Z is now earlier than",
            FailureClass::Unavailable,
            "the clock of this machine",
        ),
        (
            403,
            "ExpiredToken",
            "The security token included in the request is expired",
            FailureClass::Denied,
            "is over",
        ),
        (
            404,
            "NoSuchEntity",
            "Policy arn:aws:iam::aws:policy/Nope does not exist",
            FailureClass::NotFound,
            "policy/Nope does not exist",
        ),
        (
            409,
            "EntityAlreadyExists",
            "User x",
            FailureClass::Conflict,
            "User x",
        ),
        (
            409,
            "LimitExceeded",
            "Cannot exceed quota for UsersPerAccount: 5000",
            FailureClass::Conflict,
            "UsersPerAccount: 5000",
        ),
        (
            400,
            "Throttling",
            "Rate exceeded",
            FailureClass::RateLimited,
            "slow down",
        ),
        (
            400,
            "MalformedPolicyDocument",
            "Syntax errors in policy.",
            FailureClass::InvalidConfig,
            "Syntax errors in policy",
        ),
        (
            403,
            "RegionDisabledException",
            "STS is not activated in this region",
            FailureClass::InvalidConfig,
            "enable it",
        ),
        (
            500,
            "ServiceFailure",
            "x",
            FailureClass::Unavailable,
            "iam:CreateUser",
        ),
        (
            409,
            "ConcurrentModification",
            "x",
            FailureClass::Unavailable,
            "iam:CreateUser",
        ),
    ] {
        let refused = read(status, &[], &xml(code, message)).unwrap();
        assert_eq!(
            (refused.code.as_str(), refused.request_id.as_deref()),
            (code, Some("7a62"))
        );
        let failure = Failure::from(AwsError::Refused(Box::new(refused)));
        assert_eq!(
            (failure.class(), failure.code()),
            (class, format!("aws_{code}").as_str())
        );
        assert!(failure.message().contains(says), "{code}: {failure}");
        assert!(
            failure.message().contains("iam:CreateUser"),
            "{code}: {failure}"
        );
    }
}

#[test]
fn the_shapes_of_both_protocols_are_read() {
    let type_of = "com.amazonaws.secretsmanager#ResourceNotFoundException";
    for (status, headers, body, code, message) in [
        (400, &[][..], format!(r#"{{"__type":"{type_of}","message":"can't find it"}}"#), "ResourceNotFoundException", "can't find it"),
        (400, &[][..], r#"{"__type":"AccessDeniedException","Message":"no"}"#.into(), "AccessDeniedException", "no"),
        (400, &[("x-amzn-ErrorType", "ValidationException:http://x/")][..], r#"{"message":"bad"}"#.into(), "ValidationException", "bad"),
        // A success that is none.
        (200, &[][..], xml("Throttling", "Rate exceeded"), "Throttling", "Rate exceeded"),
        (200, &[][..], format!(r#"{{"__type":"{type_of}","message":"x"}}"#), "ResourceNotFoundException", "x"),
        (403, &[][..], "<Response><Errors><Error><Code>AuthFailure</Code><Message>m</Message></Error></Errors><RequestID>1</RequestID></Response>".into(), "AuthFailure", "m"),
        (503, &[][..], "<html>sorry</html>".into(), "http_503", ""),
        (502, &[][..], String::new(), "http_502", ""),
    ] {
        let refused = read(status, headers, &body).unwrap();
        assert_eq!((refused.code.as_str(), refused.message.as_str()), (code, message), "{body}");
    }
    for body in [
        r#"{"__type":"Secret","ARN":"x"}"#,
        r#"{"ARN":"x"}"#,
        "<GetUserResponse/>",
    ] {
        assert_eq!(read(200, &[], body), None, "{body}");
    }
}

/// ESO-15: neither the id of the request nor the credential of its signature is told.
#[test]
fn eso_15_what_aws_quotes_of_a_request_is_left_out() {
    for (message, kept) in [
        (
            "operation error: https response error StatusCode: 400, request id: 0c5e-77, api error",
            "operation error: https response error StatusCode: 400, api error",
        ),
        ("Request ID: 12 failed", "failed"),
        (
            "Credential=AKIA/20260101/us-east-1/sts/aws4_request, is not valid",
            "is not valid",
        ),
        (
            "first line\nThe Canonical String was\nx-amz-security-token:hunter2",
            "first line",
        ),
    ] {
        assert_eq!(sanitised(message), kept);
    }
    assert_eq!(sanitised(&"x".repeat(999)).len(), LONGEST);
}

#[test]
fn retry_after_is_kept() {
    let refused = read(503, &[("Retry-After", "7")], "").unwrap();
    let failure = Failure::from(AwsError::Refused(Box::new(refused)));
    assert_eq!(failure.retry_after(), Some(Duration::from_secs(7)));
}
