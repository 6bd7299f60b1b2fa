//! Options of all commands that speak with an S3 server.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use oggflv::upload::{Client, Connection, Location, ObjectOptions, SCHEME, UploadError};

use super::usage_error;
use super::values::metadata;

#[derive(Clone, Debug, Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// Profile of ~/.aws/config and ~/.aws/credentials
    #[arg(hide_short_help = true, long, value_name = "NAME", help_heading = "Upload")]
    profile: Option<String>,

    /// Region of the bucket; without it, that of the environment or the profile
    #[arg(hide_short_help = true, long, value_name = "NAME", help_heading = "Upload")]
    region: Option<String>,

    /// Address of another server than Amazon's
    #[arg(hide_short_help = true, long, value_name = "URL", help_heading = "Upload")]
    endpoint_url: Option<String>,

    /// Put the bucket's name into the path of addresses, as many other servers want it; done anyway if it has dots
    #[arg(hide_short_help = true, long, help_heading = "Upload")]
    path_style: bool,

    /// Make the bucket if it is missing
    #[arg(hide_short_help = true, long, help_heading = "Upload")]
    create_bucket: bool,

    /// Content-Type; without it, the one of the name's ending, such as video/x-flv
    #[arg(hide_short_help = true, long, value_name = "TYPE", help_heading = "Upload")]
    content_type: Option<String>,

    /// Cache-Control, such as max-age=86400
    #[arg(hide_short_help = true, long, value_name = "TEXT", help_heading = "Upload")]
    cache_control: Option<String>,

    /// Metadata of the object, such as title=Holidays, served as x-amz-meta-title
    #[arg(hide_short_help = true, long, value_name = "NAME=TEXT", value_parser = metadata, help_heading = "Upload")]
    object_metadata: Vec<(String, String)>,

    /// Storage class, such as STANDARD_IA
    #[arg(hide_short_help = true, long, value_name = "NAME", help_heading = "Upload")]
    storage_class: Option<String>,

    /// Canned ACL, such as public-read; without it, none is sent
    #[arg(hide_short_help = true, long, value_name = "NAME", help_heading = "Upload")]
    acl: Option<String>,

    /// Encryption on the server
    #[arg(hide_short_help = true, long, value_name = "NAME", value_parser = ["AES256", "aws:kms", "aws:kms:dsse"], help_heading = "Upload")]
    sse: Option<String>,

    /// Key for --sse aws:kms
    #[arg(hide_short_help = true, long, value_name = "ID", requires = "sse", help_heading = "Upload")]
    sse_kms_key_id: Option<String>,

    /// Do not replace an object; this is so anyway without --overwrite
    #[arg(hide_short_help = true, long, conflicts_with = "overwrite", help_heading = "Upload")]
    if_none_match: bool,
}

/// The server that the options name. It is connected to when it is needed first.
pub(super) struct Server {
    connection: Connection,
    create_bucket: bool,
    pub(super) options: ObjectOptions,
    interrupted: Arc<AtomicBool>,
    client: OnceCell<Client>,
}

impl Arguments {
    pub(super) fn server(self, overwrite: bool, interrupted: Arc<AtomicBool>) -> Server {
        Server {
            connection: Connection {
                profile: self.profile,
                region: self.region,
                endpoint_url: self.endpoint_url,
                path_style: self.path_style,
            },
            create_bucket: self.create_bucket,
            options: ObjectOptions {
                overwrite,
                content_type: self.content_type,
                cache_control: self.cache_control,
                metadata: self.object_metadata,
                storage_class: self.storage_class,
                acl: self.acl,
                encryption: self.sse,
                kms_key_id: self.sse_kms_key_id,
            },
            interrupted,
            client: OnceCell::new(),
        }
    }
}

impl Server {
    /// The connection, with the bucket made if that is wanted.
    pub(super) fn client(&self, bucket: &str) -> Result<&Client, UploadError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::connect(&self.connection, Arc::clone(&self.interrupted))?;
        if self.create_bucket {
            client.create_bucket(bucket)?;
        }
        Ok(self.client.get_or_init(|| client))
    }
}

/// The place that a name means, if it is one of S3.
pub(super) fn location(name: &Path) -> Option<Location> {
    let name = name.to_str().filter(|name| name.starts_with(SCHEME))?;
    Some(name.parse().unwrap_or_else(|problem: String| usage_error(&format!("{name}: {problem}"))))
}
