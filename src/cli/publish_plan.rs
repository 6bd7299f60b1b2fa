//! `oggflv publish-plan`: a CloudFormation template for a bucket of films.

use std::process::ExitCode;

use clap::Args;
use oggflv::publish_plan::{CERTIFICATE_REGION, PublishPlan};

use super::{print, say};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The bucket, with or without the key of a film: s3://streams.example.com/path/film.flv
    #[arg(value_name = "s3://BUCKET/KEY", value_parser = bucket_and_key)]
    target: (String, String),

    /// The name under which the films are served; without it the bucket's, if that is a domain name
    #[arg(long, value_name = "NAME")]
    site: Option<String>,

    /// The region of the bucket
    #[arg(long, value_name = "REGION", default_value = CERTIFICATE_REGION)]
    region: String,

    /// A certificate for the name, made in us-east-1; without it one is made, if the bucket is there, too
    #[arg(long, value_name = "ARN")]
    certificate_arn: Option<String>,

    /// The Route 53 hosted zone of the name; without it the DNS records are yours to make
    #[arg(long, value_name = "ID")]
    hosted_zone: Option<String>,

    /// Make the bucket, too; without it, it has to be there
    #[arg(long)]
    create_bucket: bool,

    /// The only site whose pages may play the films, such as https://www.example.com
    #[arg(long, value_name = "ORIGIN", default_value = "*")]
    allow_origin: String,
}

impl Arguments {
    pub(super) fn run(self) -> ExitCode {
        let (bucket, key) = self.target;
        let region = self.region.clone();
        let plan = PublishPlan {
            bucket,
            key,
            region: self.region,
            site: self.site,
            certificate_arn: self.certificate_arn,
            hosted_zone: self.hosted_zone,
            create_bucket: self.create_bucket,
            allowed_origin: self.allow_origin,
        };
        match plan.template() {
            Ok(planned) => {
                let code = print(planned.template.as_bytes());
                say(&format!(
                    "oggflv: save it as plan.yaml, read its comments, and deploy it: aws cloudformation deploy --region {region} \
                     --stack-name {} --template-file plan.yaml\noggflv: then it is at {}",
                    planned.stack, planned.url
                ));
                code
            }
            Err(error) => {
                say(&format!("oggflv: {error}"));
                ExitCode::from(2)
            }
        }
    }
}

fn bucket_and_key(text: &str) -> Result<(String, String), String> {
    let path = text.strip_prefix("s3://").filter(|path| !path.is_empty());
    let path = path.ok_or_else(|| "s3://BUCKET or s3://BUCKET/KEY".to_owned())?;
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    Ok((bucket.to_owned(), key.to_owned()))
}
