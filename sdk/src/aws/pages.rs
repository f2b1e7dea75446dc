//! Answers of several pages: `IsTruncated` and `Marker` of the query protocol, `NextToken`
//! of JSON.

use serde_json::Value;

use super::error::AwsError;
use super::xml::Element;
use crate::failure::Failure;

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page<T> {
    /// In the order of AWS.
    pub items: Vec<T>,
    /// Names the next page; none after the last.
    pub next: Option<String>,
}

/// The place in the answer to a list that says how it goes on.
pub trait Marked {
    /// The marker of the next page; none after the last. `result` names the element of
    /// the query protocol that holds the list.
    fn next(&self, result: &str) -> Option<String>;
}

impl Marked for Element {
    fn next(&self, result: &str) -> Option<String> {
        let result = self.child(result)?;
        let marker = result.text("Marker");
        let goes_on = result.text("IsTruncated") == "true" && !marker.is_empty();
        goes_on.then(|| marker.to_owned())
    }
}

impl Marked for Value {
    fn next(&self, _: &str) -> Option<String> {
        let token = self["NextToken"].as_str();
        token.filter(|token| !token.is_empty()).map(str::to_owned)
    }
}

/// The pages that `fetch` gives, each by the marker of the one before. After `most` of
/// them, and where a page names itself as the next, comes an error instead of a page; after
/// an error comes nothing.
pub fn pages<T>(
    most: usize,
    mut fetch: impl FnMut(Option<&str>) -> Result<Page<T>, AwsError>,
) -> impl Iterator<Item = Result<Vec<T>, AwsError>> {
    let mut marker: Option<String> = None;
    let mut left = most;
    let mut is_over = false;
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        is_over = true;
        let Some(rest) = left.checked_sub(1) else {
            return Some(Err(endless(format!("AWS lists more than {most} pages."))));
        };
        left = rest;
        let page = match fetch(marker.as_deref()) {
            Ok(page) => page,
            Err(error) => return Some(Err(error)),
        };
        if page.next.is_some() && page.next == marker {
            let sentence = "AWS names a page of a list as the one after itself.";
            return Some(Err(endless(sentence.to_owned())));
        }
        is_over = page.next.is_none();
        marker = page.next;
        Some(Ok(page.items))
    })
}

fn endless(sentence: String) -> AwsError {
    Failure::unavailable("aws_too_many_pages", sentence).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Page `n` of an endless list holds `n`, and names the next.
    fn counting(marker: Option<&str>) -> Result<Page<u32>, AwsError> {
        let number = marker.map_or(0, |marker| marker.parse().unwrap());
        Ok(Page {
            items: vec![number],
            next: (number < 4).then(|| (number + 1).to_string()),
        })
    }

    #[test]
    fn every_page_is_fetched_and_no_more_than_are_allowed() {
        let all: Result<Vec<_>, _> = pages(9, counting).collect();
        assert_eq!(all.unwrap().concat(), [0, 1, 2, 3, 4]);
        let bounded: Vec<_> = pages(2, counting).collect();
        assert_eq!(bounded.len(), 3);
        assert!(
            bounded[2]
                .as_ref()
                .unwrap_err()
                .to_string()
                .contains("more than 2 pages")
        );
    }

    #[test]
    fn a_list_that_never_goes_on_is_an_error_and_so_is_one_that_fails() {
        let same = |_: Option<&str>| {
            Ok(Page {
                items: vec![()],
                next: Some("x".to_owned()),
            })
        };
        let listed: Vec<_> = pages(9, same).collect();
        assert_eq!((listed.len(), listed[1].is_err()), (2, true));
        let failing = |_: Option<&str>| Err::<Page<()>, _>(endless("no".to_owned()));
        assert_eq!(pages(9, failing).count(), 1);
    }

    #[test]
    fn a_page_says_how_it_goes_on() {
        let list = |inner: &str| {
            Element::parse(&format!("<R><ListResult>{inner}</ListResult></R>")).unwrap()
        };
        for (inner, next) in [
            (
                "<IsTruncated>true</IsTruncated><Marker>m=</Marker>",
                Some("m="),
            ),
            ("<IsTruncated>false</IsTruncated><Marker>m=</Marker>", None),
            ("<IsTruncated>true</IsTruncated>", None),
            ("", None),
        ] {
            assert_eq!(list(inner).next("ListResult").as_deref(), next, "{inner}");
        }
        for (answer, next) in [
            (json!({"NextToken": "n"}), Some("n")),
            (json!({"NextToken": ""}), None),
            (json!({}), None),
        ] {
            assert_eq!(answer.next("").as_deref(), next, "{answer}");
        }
    }
}
