//! What has to be set up so that the films of an S3 bucket are played from a site's own name: a CloudFormation template with
//! a standard CloudFront distribution, which takes the place of the RTMP distributions that ended in 2020.
//!
//! It is made without an account and without a network.

use crate::web::{fill, origin, percent_encoded};

const TEMPLATE: &str = include_str!("template.yaml");

/// The only region whose certificates CloudFront takes.
pub const CERTIFICATE_REGION: &str = "us-east-1";

/// Characters of a stack's name at most: its resources are named after it, and a CloudFront function has 64.
const STACK_NAME: usize = 58;

/// What the template is made of.
#[derive(Clone, Debug)]
pub struct PublishPlan {
    /// The bucket of the films.
    pub bucket: String,
    /// The key of the film whose URL is told; none if it is empty.
    pub key: String,
    /// The region of the bucket, and of the stack.
    pub region: String,
    /// The domain name that the films are served under; without it the bucket's name.
    pub site: Option<String>,
    /// ARN of a certificate for it; without it the stack makes one.
    pub certificate_arn: Option<String>,
    /// Id of the Route 53 hosted zone of the name; without it DNS records are made by hand.
    pub hosted_zone: Option<String>,
    /// Whether the stack makes the bucket.
    pub create_bucket: bool,
    /// The origin whose pages may read the films by scripts, or `*` for all.
    pub allowed_origin: String,
}

/// A template, and how to go on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Planned {
    /// The template, in YAML.
    pub template: String,
    /// A name for the stack.
    pub stack: String,
    /// Where the film will be.
    pub url: String,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanError {
    /// Something is not what its name says.
    #[error("{value}: is no {what}")]
    Value {
        /// What was given.
        value: String,
        /// What it should be.
        what: &'static str,
    },
    /// The bucket's name is no domain name, and no other name was given.
    #[error("{0}: the bucket has no name that a site could have; --site NAME tells it")]
    NoSite(String),
    /// The stack would have to be in two regions.
    #[error(
        "a certificate for CloudFront is made in {CERTIFICATE_REGION}, but the bucket and its stack are in {0}: make one there \
         (aws acm request-certificate --region {CERTIFICATE_REGION} --validation-method DNS --domain-name NAME), and give its \
         ARN by --certificate-arn"
    )]
    CertificateElsewhere(String),
}

impl PublishPlan {
    /// Makes the template.
    ///
    /// # Errors
    /// If something is not what it should be, or does not fit the rest.
    pub fn template(&self) -> Result<Planned, PlanError> {
        let check = |is_right: bool, value: &str, what| {
            if is_right { Ok(()) } else { Err(PlanError::Value { value: value.to_owned(), what }) }
        };
        check(is_bucket(&self.bucket), &self.bucket, "name of a bucket")?;
        check(is_region(&self.region), &self.region, "region such as us-east-1")?;
        if let Some(site) = &self.site {
            check(is_domain(site), site, "domain name in lower case, such as streams.example.com")?;
        }
        if let Some(arn) = &self.certificate_arn {
            check(
                is_certificate(arn),
                arn,
                "ARN of a certificate in us-east-1 (arn:aws:acm:us-east-1:ACCOUNT:certificate/ID)",
            )?;
        }
        if let Some(zone) = &self.hosted_zone {
            check(
                is_zone(zone),
                zone,
                "id of a hosted zone such as Z0123456789ABC (aws route53 list-hosted-zones-by-name)",
            )?;
        }
        let allowed = &self.allowed_origin;
        let is_origin = allowed == "*" || origin(allowed) == Some(allowed);
        check(is_origin, allowed, "origin such as https://www.example.com, or *")?;
        let site = match &self.site {
            Some(site) => site,
            None if is_domain(&self.bucket) => &self.bucket,
            None => return Err(PlanError::NoSite(self.bucket.clone())),
        };
        if self.certificate_arn.is_none() && self.region != CERTIFICATE_REGION {
            return Err(PlanError::CertificateElsewhere(self.region.clone()));
        }
        let key: Vec<String> = self.key.split('/').map(percent_encoded).collect();
        let url = format!("https://{site}/{}", key.join("/"));
        let mut stack = format!("films-{}", site.replace('.', "-"));
        stack.truncate(STACK_NAME);
        let stack = stack.trim_end_matches('-').to_owned();
        let template = fill(
            TEMPLATE,
            &[
                ("bucket", &self.bucket),
                ("site", site),
                ("region", &self.region),
                ("stack", &stack),
                ("url", &url),
                ("create_bucket", if self.create_bucket { "true" } else { "false" }),
                ("certificate_arn", self.certificate_arn.as_deref().unwrap_or_default()),
                ("hosted_zone", self.hosted_zone.as_deref().unwrap_or_default()),
                ("allowed_origin", allowed),
            ],
        );
        Ok(Planned { template, stack, url })
    }
}

/// Dots stand between labels of lower-case letters, digits and hyphens.
fn has_labels(name: &str) -> bool {
    name.split('.').all(|label| {
        let is_end =
            |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let bytes = label.as_bytes();
        is_end(bytes.first())
            && is_end(bytes.last())
            && bytes.iter().all(|byte| is_end(Some(byte)) || *byte == b'-')
            && bytes.len() <= 63
    })
}

fn is_bucket(name: &str) -> bool {
    (3..=63).contains(&name.len()) && has_labels(name)
}

/// The last label of an address is a number, that of a name is not.
fn is_domain(name: &str) -> bool {
    let ends_in_name =
        name.rsplit_once('.').is_some_and(|(_, last)| last.starts_with(|c: char| c.is_ascii_lowercase()));
    // The first name of a certificate has 64 characters at most.
    name.len() <= 64 && has_labels(name) && ends_in_name
}

fn is_region(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let is_number = |part: &&str| part.len() == 1 && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    matches!(&parts[..], [words @ .., number] if words.len() >= 2 && words.iter().all(is_word) && is_number(number))
}

fn is_certificate(arn: &str) -> bool {
    let account_and_id =
        arn.strip_prefix("arn:aws:acm:us-east-1:").and_then(|rest| rest.split_once(":certificate/"));
    account_and_id.is_some_and(|(account, id)| {
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        is_account && !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

fn is_zone(id: &str) -> bool {
    id.starts_with('Z')
        && id.len() <= 32
        && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> PublishPlan {
        PublishPlan {
            bucket: "streams.example.com".to_owned(),
            key: "a b/'ü'.flv".to_owned(),
            region: "us-east-1".to_owned(),
            site: None,
            certificate_arn: None,
            hosted_zone: None,
            create_bucket: false,
            allowed_origin: "*".to_owned(),
        }
    }

    #[test]
    fn names_are_filled_in() {
        let planned = plan().template().unwrap();
        assert_eq!(planned.url, "https://streams.example.com/a%20b/%27%C3%BC%27.flv");
        assert_eq!(planned.stack, "films-streams-example-com");
        for line in [
            "    Default: 'streams.example.com'\n    Description: The bucket",
            "    Default: 'streams.example.com'\n    Description: The name",
            "    Value: 'https://streams.example.com/a%20b/%27%C3%BC%27.flv'\n",
        ] {
            assert!(planned.template.contains(line), "{line}: {}", planned.template);
        }
        assert!(!planned.template.contains("{{"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        type Change = fn(&mut PublishPlan);
        let wrong: [(Change, &str); 9] = [
            (|plan| plan.bucket = "Films".to_owned(), "Films: is no name of a bucket"),
            (|plan| plan.bucket = "a'b".to_owned(), "a'b: is no name of a bucket"),
            (|plan| plan.bucket = "films".to_owned(), "films: the bucket has no name that a site could have"),
            (|plan| plan.site = Some("10.0.0.1".to_owned()), "10.0.0.1: is no domain name"),
            (|plan| plan.region = "us'east-1".to_owned(), "us'east-1: is no region"),
            (
                |plan| plan.region = "eu-central-1".to_owned(),
                "but the bucket and its stack are in eu-central-1",
            ),
            (
                |plan| {
                    plan.certificate_arn =
                        Some("arn:aws:acm:eu-central-1:123456789012:certificate/a".to_owned())
                },
                "is no ARN of a certificate in us-east-1",
            ),
            (
                |plan| plan.hosted_zone = Some("example.com".to_owned()),
                "example.com: is no id of a hosted zone",
            ),
            (|plan| plan.allowed_origin = "https://a.example/b".to_owned(), "is no origin"),
        ];
        for (change, message) in wrong {
            let mut plan = plan();
            change(&mut plan);
            let error = plan.template().unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
