//! The vendor's own vectors.
//!
//! - `suite`: aws-sig-v4-test-suite, as AWS published it with its documentation and keeps it
//!   in awslabs/aws-c-auth (`tests/aws-signing-test-suite/v4`).
//! - `iam`: "Signature Version 4 signing process" of the AWS General Reference: ListUsers.
//! - `s3`: "Authenticating Requests (AWS Signature Version 4)" of the Amazon S3 API
//!   Reference: the header and the query examples.

use super::*;
use crate::secret::Secret;

/// 2015-08-30T12:36:00Z
const SUITE_TIME: UnixTime = UnixTime::from_seconds(1_440_938_160);
/// 2013-05-24T00:00:00Z
const S3_TIME: UnixTime = UnixTime::from_seconds(1_369_353_600);
const SUITE_SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const S3_SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";

fn suite_key() -> Credentials {
    Credentials::new("AKIDEXAMPLE", Secret::new(SUITE_SECRET))
}

fn s3_key() -> Credentials {
    Credentials::new("AKIAIOSFODNN7EXAMPLE", Secret::new(S3_SECRET))
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn scope(service: &'static str, time: UnixTime) -> Scope<'static> {
    Scope {
        service,
        region: "us-east-1",
        time,
    }
}

fn authorization(request: &Request<'_>, scope: Scope<'_>, key: &Credentials) -> String {
    let added = headers(request, scope, key);
    let (_, value) = added.last().unwrap();
    value.clone()
}

const UNRESERVED: &str = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const FORM: &str = "application/x-www-form-urlencoded";

type Case<'a> = (
    &'a str,
    &'a str,
    &'a str,
    &'a [(&'a str, &'a str)],
    &'a [(&'a str, &'a str)],
    &'a str,
    &'a str,
);

#[test]
fn the_suite_of_aws_is_signed_as_it_says() {
    let unreserved_path = format!("/{UNRESERVED}");
    let cases: [Case<'_>; 20] = [
        (
            "get-vanilla",
            "GET",
            "/",
            &[],
            &[],
            "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "get-vanilla-empty-query-key",
            "GET",
            "/",
            &[("Param1", "value1")],
            &[],
            "",
            "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
        ),
        (
            "get-vanilla-query-order-key-case",
            "GET",
            "/",
            &[("Param2", "value2"), ("Param1", "value1")],
            &[],
            "",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "get-vanilla-query-unreserved",
            "GET",
            "/",
            &[(UNRESERVED, UNRESERVED)],
            &[],
            "",
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
        ),
        (
            "get-vanilla-utf8-query",
            "GET",
            "/",
            &[("ሴ", "bar")],
            &[],
            "",
            "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
        ),
        (
            "get-unreserved",
            "GET",
            &unreserved_path,
            &[],
            &[],
            "",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
        // The suite gives paths before their first encoding.
        (
            "get-utf8",
            "GET",
            "/ሴ",
            &[],
            &[],
            "",
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
        ),
        (
            "get-space",
            "GET",
            "/example space/",
            &[],
            &[],
            "",
            "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
        ),
        (
            "get-relative",
            "GET",
            "/example/..",
            &[],
            &[],
            "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "get-slash-dot-slash",
            "GET",
            "/./",
            &[],
            &[],
            "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "get-slashes",
            "GET",
            "//example//",
            &[],
            &[],
            "",
            "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
        ),
        (
            "get-header-key-duplicate",
            "GET",
            "/",
            &[],
            &[
                ("My-Header1", "value2"),
                ("My-Header1", "value2"),
                ("My-Header1", "value1"),
            ],
            "",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            "get-header-value-trim",
            "GET",
            "/",
            &[],
            &[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
            "",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "post-vanilla",
            "POST",
            "/",
            &[],
            &[],
            "",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "post-vanilla-query",
            "POST",
            "/",
            &[("Param1", "value1")],
            &[],
            "",
            "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        ),
        (
            "post-header-key-sort",
            "POST",
            "/",
            &[],
            &[("My-Header1", "value1")],
            "",
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
        (
            "post-header-value-case",
            "POST",
            "/",
            &[],
            &[("My-Header1", "VALUE1")],
            "",
            "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        ),
        // The suite's token after the signature: it is not signed.
        (
            "post-sts-header-after",
            "POST",
            "/",
            &[],
            &[],
            "",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "post-x-www-form-urlencoded",
            "POST",
            "/",
            &[],
            &[("Content-Type", FORM)],
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            "post-x-www-form-urlencoded-parameters",
            "POST",
            "/",
            &[],
            &[(
                "Content-Type",
                "application/x-www-form-urlencoded; charset=utf8",
            )],
            "Param1=value1",
            "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
        ),
    ];
    for (name, method, path, query, headers, body, signature) in cases {
        let (query, headers) = (pairs(query), pairs(headers));
        let request = Request {
            method,
            host: "example.amazonaws.com",
            path,
            query: &query,
            headers: &headers,
            payload: Payload::Signed(body.as_bytes()),
            path_as_it_is: false,
        };
        let signed = authorization(&request, scope("service", SUITE_TIME), &suite_key());
        assert!(signed.ends_with(signature), "{name}: {signed}");
    }
}

#[test]
fn the_token_of_a_session_is_signed_in_the_header_and_in_the_query() {
    let key = Credentials::of_session("AKIDEXAMPLE", Secret::new(SUITE_SECRET), Secret::new(TOKEN));
    let request = Request {
        method: "GET",
        host: "example.amazonaws.com",
        path: "/",
        query: &[],
        headers: &[],
        payload: Payload::Signed(b""),
        path_as_it_is: false,
    };
    let scope = scope("service", SUITE_TIME);
    // Suite: get-vanilla-with-session-token.
    assert_eq!(
        authorization(&request, scope, &key),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders=host;x-amz-date;x-amz-security-token, \
         Signature=07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"
    );
    let query = presigned_query(&request, scope, &key, 3600);
    let signature = "7ff2b50b376cb4d151970630573d6291dc128cc5c2a12ffb237f73cc53f67b6c";
    assert!(
        query.ends_with(&format!("&X-Amz-Signature={signature}")),
        "{query}"
    );
    assert!(query.contains(&format!("X-Amz-Security-Token={TOKEN}")));
}

#[test]
fn the_list_of_users_of_the_general_reference_is_signed_as_it_says() {
    let query = pairs(&[("Action", "ListUsers"), ("Version", "2010-05-08")]);
    let headers = pairs(&[(
        "content-type",
        "application/x-www-form-urlencoded; charset=utf-8",
    )]);
    let request = Request {
        method: "GET",
        host: "iam.amazonaws.com",
        path: "/",
        query: &query,
        headers: &headers,
        payload: Payload::Signed(b""),
        path_as_it_is: false,
    };
    assert_eq!(
        authorization(&request, scope("iam", SUITE_TIME), &suite_key()),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, \
         Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    );
}

#[test]
fn the_examples_of_s3_are_signed_as_they_say() {
    let empty = hex(&Sha256::digest(b""));
    let welcome = hex(&Sha256::digest(b"Welcome to Amazon S3."));
    let cases: [Case<'_>; 4] = [
        (
            "GET Object",
            "GET",
            "/test.txt",
            &[],
            &[("range", "bytes=0-9"), ("x-amz-content-sha256", &empty)],
            "",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        // The path is sent encoded, and signed as it is sent.
        (
            "PUT Object",
            "PUT",
            "/test%24file.text",
            &[],
            &[
                ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                ("x-amz-content-sha256", &welcome),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ],
            "Welcome to Amazon S3.",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET Bucket Lifecycle",
            "GET",
            "/",
            &[("lifecycle", "")],
            &[("x-amz-content-sha256", &empty)],
            "",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET Bucket (List Objects)",
            "GET",
            "/",
            &[("prefix", "J"), ("max-keys", "2")],
            &[("x-amz-content-sha256", &empty)],
            "",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ];
    for (name, method, path, query, headers, body, signature) in cases {
        let (query, headers) = (pairs(query), pairs(headers));
        let request = Request {
            method,
            host: "examplebucket.s3.amazonaws.com",
            path,
            query: &query,
            headers: &headers,
            payload: Payload::Signed(body.as_bytes()),
            path_as_it_is: true,
        };
        let signed = authorization(&request, scope("s3", S3_TIME), &s3_key());
        assert!(signed.ends_with(signature), "{name}: {signed}");
    }
}

#[test]
fn the_presigned_url_of_s3_is_the_one_of_its_reference() {
    let request = Request {
        method: "GET",
        host: "examplebucket.s3.amazonaws.com",
        path: "/test.txt",
        query: &[],
        headers: &[],
        payload: Payload::Unsigned,
        path_as_it_is: true,
    };
    assert_eq!(
        presigned_query(&request, scope("s3", S3_TIME), &s3_key(), 86400),
        "X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
         &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
         &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    );
}

/// A path is sent encoded once, and signed encoded twice.
#[test]
fn a_path_is_signed_as_it_is_encoded_once_more() {
    for (sent, signed) in [
        ("/a%20b/c", "/a%2520b/c"),
        ("", "/"),
        ("/", "/"),
        ("/a/./b/../c/", "/a/c/"),
        ("/../a", "/a"),
    ] {
        assert_eq!(canonical_path(sent), signed);
    }
}
