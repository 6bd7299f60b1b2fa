//! What concerns a bucket as a whole.

use aws_sdk_s3::types::{BucketLocationConstraint, CorsConfiguration, CorsRule, CreateBucketConfiguration};

use super::client::{Client, USUAL_REGION};
use super::error::UploadError;

/// Seconds for which a browser need not ask again.
const CORS_SECONDS: i32 = 3600;

impl Client {
    /// Makes a bucket. One that is there and belongs to the user will do.
    ///
    /// # Errors
    /// If the name is taken, or what the server says.
    pub fn create_bucket(&self, bucket: &str) -> Result<(), UploadError> {
        let region = self.region();
        // The first region is the only one that must not be named.
        let constraint = (region != USUAL_REGION).then(|| {
            let region = BucketLocationConstraint::from(region);
            CreateBucketConfiguration::builder().location_constraint(region).build()
        });
        let request =
            self.s3(bucket).create_bucket().bucket(bucket).set_create_bucket_configuration(constraint);
        match self.wait(async { Ok(request.send().await?) }) {
            Err(UploadError::Server { code, .. }) if code == "BucketAlreadyOwnedByYou" => Ok(()),
            result => result.map(drop),
        }
    }

    /// Lets pages of `origin`, such as `https://example.com` or `*`, read what is in a bucket, also in pieces. Other rules
    /// of the bucket stay.
    ///
    /// # Errors
    /// What the server says.
    pub fn allow_origin(&self, bucket: &str, origin: &str) -> Result<(), UploadError> {
        let s3 = self.s3(bucket);
        let rules = self.wait(async { Ok(s3.get_bucket_cors().bucket(bucket).send().await?.cors_rules) });
        let mut rules = match rules {
            Err(UploadError::Server { code, .. }) if code == "NoSuchCORSConfiguration" => Vec::new(),
            rules => rules?.unwrap_or_default(),
        };
        let allows = |rule: &CorsRule| {
            rule.allowed_origins().iter().any(|allowed| allowed == origin)
                && rule.allowed_methods().iter().any(|method| method == "GET")
        };
        if rules.iter().any(allows) {
            return Ok(());
        }
        let rule = CorsRule::builder()
            .allowed_origins(origin)
            .set_allowed_methods(Some(["GET", "HEAD"].map(Into::into).into()))
            .allowed_headers("Range")
            .set_expose_headers(Some(
                ["Accept-Ranges", "Content-Length", "Content-Range"].map(Into::into).into(),
            ))
            .max_age_seconds(CORS_SECONDS)
            .build();
        rules.push(rule.map_err(|error| UploadError::Configuration(error.to_string()))?);
        let configuration = CorsConfiguration::builder().set_cors_rules(Some(rules)).build();
        let configuration = configuration.map_err(|error| UploadError::Configuration(error.to_string()))?;
        let request = s3.put_bucket_cors().bucket(bucket).cors_configuration(configuration);
        self.wait(async { Ok(request.send().await?) }).map(drop)
    }
}
