//! What can go wrong between here and the server, and what to do.

use std::error::Error as StdError;
use std::io;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

/// Why an upload failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// No credentials are configured.
    #[error(
        "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --profile"
    )]
    NoCredentials,
    /// Credentials are configured but cannot be had.
    #[error("the AWS credentials cannot be had: {0}")]
    Credentials(String),
    /// The server does not know the access key.
    #[error(
        "the server does not know this access key (AWS_ACCESS_KEY_ID): use another one, or the server that knows it (--endpoint-url)"
    )]
    UnknownKey,
    /// The secret is not that of the access key.
    #[error("the secret (AWS_SECRET_ACCESS_KEY) is not that of the access key: correct it")]
    WrongSecret,
    /// Temporary credentials are no longer valid.
    #[error("the credentials have expired: renew them (such as by aws sso login), then go on with --resume")]
    Expired,
    /// These credentials do not allow it.
    #[error("access denied: {0}; allow it to this user, or use other credentials (--profile)")]
    Denied(String),
    /// The clock here differs too much from the server's.
    #[error("the clock of this machine differs too much from the server's: set it right")]
    Clock,
    /// There is no such bucket.
    #[error("there is no bucket of this name; --create-bucket makes it")]
    NoBucket,
    /// The name of the bucket is taken.
    #[error("a bucket of this name belongs to somebody else: take another name")]
    BucketTaken,
    /// The bucket is in another region.
    #[error("the bucket is in {}", region_hint(.0))]
    WrongRegion(Option<String>),
    /// The object is there.
    #[error("exists already; --overwrite replaces it")]
    Exists,
    /// The server cannot make sure that nothing is replaced.
    #[error("the server cannot write on condition that nothing is there; --overwrite writes anyway")]
    NoCondition,
    /// The server has got, or has, other bytes.
    #[error("what arrived is not what was sent: {0}")]
    Corrupted(String),
    /// The upload that was to be finished is gone.
    #[error("the server has forgotten the unfinished upload")]
    NoUpload,
    /// There is no answer.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// The configuration is wrong.
    #[error("{0}")]
    Configuration(String),
    /// Anything else that the server says.
    #[error("the server says {code}: {message}")]
    Server {
        /// The code of the error, or the status of HTTP.
        code: String,
        /// What it means.
        message: String,
    },
    /// The file that is uploaded cannot be read.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// The runtime cannot be started.
    #[error("no thread can be started: {0}")]
    Threads(io::Error),
    /// A defect of this library.
    #[error("the upload failed unexpectedly; this is a defect, please report it")]
    Defect,
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}

fn region_hint(region: &Option<String>) -> String {
    match region {
        Some(region) => format!("the region {region}: say so with --region"),
        None => "another region: say which with --region".to_owned(),
    }
}

impl UploadError {
    /// Whether the same request may succeed if it is sent again.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Corrupted(_) | Self::Unreachable(_) => true,
            Self::Server { code, .. } => {
                matches!(&**code, "InternalError" | "ServiceUnavailable" | "SlowDown" | "RequestTimeout")
            }
            _ => false,
        }
    }
}

impl<E: ProvideErrorMetadata + StdError + 'static> From<SdkError<E, HttpResponse>> for UploadError {
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let response = error.raw_response();
        let status = response.map(|response| response.status().as_u16());
        let region = response.and_then(|response| response.headers().get("x-amz-bucket-region"));
        let region = region.map(ToOwned::to_owned);
        let Some(service) = error.as_service_error() else {
            return match error {
                SdkError::ConstructionFailure(_) => Self::Configuration(causes(&error)),
                _ => Self::Unreachable(causes(&error)),
            };
        };
        let message =
            || service.message().unwrap_or("no more is said").trim_end_matches('.').replace('\n', " ");
        match (service.code(), status) {
            (Some("InvalidAccessKeyId"), _) => Self::UnknownKey,
            (Some("SignatureDoesNotMatch"), _) => Self::WrongSecret,
            (Some("ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired"), _) => Self::Expired,
            (Some("RequestTimeTooSkewed"), _) => Self::Clock,
            (Some("NoSuchBucket"), _) => Self::NoBucket,
            (Some("BucketAlreadyExists"), _) => Self::BucketTaken,
            (Some("NoSuchUpload"), _) => Self::NoUpload,
            (Some("PreconditionFailed"), _) | (None, Some(412)) => Self::Exists,
            (
                Some(
                    "PermanentRedirect"
                    | "AuthorizationHeaderMalformed"
                    | "IllegalLocationConstraintException",
                ),
                _,
            )
            | (_, Some(301 | 307)) => Self::WrongRegion(region),
            (
                Some(
                    "BadDigest"
                    | "InvalidDigest"
                    | "XAmzContentSHA256Mismatch"
                    | "XAmzContentChecksumMismatch"
                    | "IncompleteBody",
                ),
                _,
            ) => Self::Corrupted(message()),
            (Some("AccessDenied"), _) | (None, Some(403)) => Self::Denied(message()),
            (code, status) => Self::Server {
                code: match (code, status) {
                    (Some(code), _) => code.to_owned(),
                    (None, Some(status)) => status.to_string(),
                    (None, None) => "nothing".to_owned(),
                },
                message: message(),
            },
        }
    }
}

/// An error and what caused it, in one line.
pub(super) fn causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some repeat what they were caused by.
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text.replace('\n', " ")
}
