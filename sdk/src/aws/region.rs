//! Regions, the partitions that they belong to, and where services are.
//!
//! The names are those of "AWS service endpoints" of the AWS General Reference, and of
//! `partitions.json` that AWS's own SDKs carry.

use crate::failure::{Failure, Result};

/// A part of AWS with accounts, names and endpoints of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// `aws`
    Commercial,
    /// `aws-cn`
    China,
    /// `aws-us-gov`
    GovCloud,
    /// `aws-iso`
    Iso,
    /// `aws-iso-b`
    IsoB,
    /// `aws-iso-e`
    IsoE,
    /// `aws-iso-f`
    IsoF,
    /// `aws-eusc`
    EuropeanSovereign,
}

impl Partition {
    /// The partition of a region, by the way that its name begins.
    pub fn of(region: &str) -> Self {
        let starts = [
            ("cn-", Self::China),
            ("us-gov-", Self::GovCloud),
            ("us-isob-", Self::IsoB),
            ("us-isof-", Self::IsoF),
            ("us-iso-", Self::Iso),
            ("eu-isoe-", Self::IsoE),
            ("eusc-", Self::EuropeanSovereign),
        ];
        let found = starts.iter().find(|(start, _)| region.starts_with(start));
        found.map_or(Self::Commercial, |(_, partition)| *partition)
    }

    /// As it stands in ARNs: `aws`, `aws-cn`, `aws-us-gov`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Commercial => "aws",
            Self::China => "aws-cn",
            Self::GovCloud => "aws-us-gov",
            Self::Iso => "aws-iso",
            Self::IsoB => "aws-iso-b",
            Self::IsoE => "aws-iso-e",
            Self::IsoF => "aws-iso-f",
            Self::EuropeanSovereign => "aws-eusc",
        }
    }

    /// The end of the names of its endpoints.
    pub fn domain(self) -> &'static str {
        match self {
            Self::Commercial | Self::GovCloud => "amazonaws.com",
            Self::China => "amazonaws.com.cn",
            Self::Iso => "c2s.ic.gov",
            Self::IsoB => "sc2s.sgov.gov",
            Self::IsoE => "cloud.adc-e.uk",
            Self::IsoF => "csp.hci.ic.gov",
            Self::EuropeanSovereign => "amazonaws.eu",
        }
    }

    /// The region that signs for the services of the whole partition, as IAM is.
    pub fn home(self) -> &'static str {
        match self {
            Self::Commercial => "us-east-1",
            Self::China => "cn-north-1",
            Self::GovCloud => "us-gov-west-1",
            Self::Iso => "us-iso-east-1",
            Self::IsoB => "us-isob-east-1",
            Self::IsoE => "eu-isoe-west-1",
            Self::IsoF => "us-isof-south-1",
            Self::EuropeanSovereign => "eusc-de-east-1",
        }
    }

    /// The one endpoint of IAM.
    pub(super) fn iam(self) -> String {
        match self {
            Self::Commercial => "https://iam.amazonaws.com".to_owned(),
            Self::GovCloud => "https://iam.us-gov.amazonaws.com".to_owned(),
            other => format!("https://iam.{}.{}", other.home(), other.domain()),
        }
    }

    /// The host of the sign-in page, and the one of the console; none where AWS documents
    /// none.
    pub fn console(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Commercial => Some(("signin.aws.amazon.com", "console.aws.amazon.com")),
            Self::China => Some(("signin.amazonaws.cn", "console.amazonaws.cn")),
            Self::GovCloud => Some((
                "signin.amazonaws-us-gov.com",
                "console.amazonaws-us-gov.com",
            )),
            _ => None,
        }
    }
}

/// Refuses what cannot be the name of a region, before it becomes part of a host's name.
///
/// # Errors
/// One sentence.
pub fn check_region(field: &str, region: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let parts: Vec<_> = region.split('-').collect();
    let numbered = |part: &&str| part.chars().all(|c| c.is_ascii_digit());
    let whole = parts.len() >= 3 && parts.iter().all(|part| !part.is_empty());
    if region.chars().all(fits) && whole && parts.last().is_some_and(numbered) {
        return Ok(());
    }
    let sentence = format!(
        "{field}: {region:?} is not the name of a region of AWS, such as \"eu-central-1\"."
    );
    Err(Failure::invalid_config("aws_region_unknown", sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_belongs_to_its_partition() {
        for (region, name, home, iam) in [
            (
                "eu-central-1",
                "aws",
                "us-east-1",
                "https://iam.amazonaws.com",
            ),
            (
                "cn-northwest-1",
                "aws-cn",
                "cn-north-1",
                "https://iam.cn-north-1.amazonaws.com.cn",
            ),
            (
                "us-gov-east-1",
                "aws-us-gov",
                "us-gov-west-1",
                "https://iam.us-gov.amazonaws.com",
            ),
            (
                "us-iso-west-1",
                "aws-iso",
                "us-iso-east-1",
                "https://iam.us-iso-east-1.c2s.ic.gov",
            ),
            (
                "us-isob-east-1",
                "aws-iso-b",
                "us-isob-east-1",
                "https://iam.us-isob-east-1.sc2s.sgov.gov",
            ),
        ] {
            let partition = Partition::of(region);
            assert_eq!(
                (partition.name(), partition.home(), partition.iam().as_str()),
                (name, home, iam),
                "{region}"
            );
        }
    }

    #[test]
    fn what_is_no_region_is_refused() {
        for region in [
            "eu-central-1",
            "us-gov-west-1",
            "ap-southeast-12",
            "eusc-de-east-1",
        ] {
            assert_eq!(check_region("config.region", region), Ok(()), "{region}");
        }
        for region in [
            "",
            "Frankfurt",
            "eu-central",
            "eu-central-1.evil.example",
            "eu-central-1\n",
            "--1",
        ] {
            let failure = check_region("config.region", region).unwrap_err();
            assert!(
                failure.message().starts_with("config.region: "),
                "{failure}"
            );
        }
    }
}
