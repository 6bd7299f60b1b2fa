//! The requests: those of a multipart upload, and those of a whole object.

use std::fmt::Write;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart, ObjectCannedAcl,
    ServerSideEncryption, StorageClass,
};
use bytes::Bytes;
use md5::{Digest, Md5};
use tokio::time::sleep;

use super::checksum::Crc64;
use super::error::UploadError;
use super::{Location, ObjectOptions, Uploaded};

/// How often bytes are sent if the connection or the bytes are damaged. Each time the SDK tries on its own, too.
const ROUNDS: u32 = 4;
/// The pause before they are sent once more; it doubles every time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// A request that makes an object, with what the object is told to be.
macro_rules! described {
    ($request:expr, $location:expr, $options:expr) => {
        $request
            .bucket(&$location.bucket)
            .key(&$location.key)
            .content_type($options.content_type_of(&$location.key))
            .set_cache_control($options.cache_control.clone())
            .set_metadata(Some($options.metadata.iter().cloned().collect()))
            .set_storage_class($options.storage_class.as_deref().map(StorageClass::from))
            .set_acl($options.acl.as_deref().map(ObjectCannedAcl::from))
            .set_server_side_encryption($options.encryption.as_deref().map(ServerSideEncryption::from))
            .set_ssekms_key_id($options.kms_key_id.clone())
    };
}

/// An upload that the server has begun and not completed.
#[derive(Debug)]
pub(super) struct Multipart {
    s3: aws_sdk_s3::Client,
    location: Location,
    upload_id: String,
}

/// A part that the server has.
#[derive(Debug)]
pub(super) struct Part {
    /// From 1 on.
    pub(super) number: i32,
    pub(super) bytes: u64,
    pub(super) checksum: Crc64,
    pub(super) etag: Option<String>,
}

/// What the server says of a part that came earlier.
#[derive(Debug)]
pub(super) struct Listed {
    number: i32,
    bytes: u64,
    checksum: Option<String>,
    etag: Option<String>,
}

/// What the server says of an object.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) bytes: Option<u64>,
    pub(super) checksum: Option<String>,
    pub(super) etag: Option<String>,
}

impl Listed {
    /// The part, if it holds just these bytes: by its checksum, or, where the server lists none, by its ETag, which is the
    /// MD5 of a part that is not encrypted.
    pub(super) fn if_it_holds(self, bytes: &[u8]) -> Option<Part> {
        if self.bytes != bytes.len() as u64 {
            return None;
        }
        let checksum = Crc64::of(bytes);
        let holds = match (&self.checksum, &self.etag) {
            (Some(listed), _) => *listed == checksum.to_string(),
            (None, Some(etag)) => etag.trim_matches('"') == md5(bytes),
            (None, None) => false,
        };
        holds.then_some(Part { number: self.number, bytes: self.bytes, checksum, etag: self.etag })
    }

    pub(super) fn number(&self) -> i32 {
        self.number
    }
}

fn md5(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Md5::digest(bytes) {
        let _ = write!(text, "{byte:02x}"); // a String takes anything
    }
    text
}

impl Multipart {
    /// Begins an upload.
    pub(super) async fn create(
        s3: aws_sdk_s3::Client,
        location: &Location,
        options: &ObjectOptions,
    ) -> Result<Self, UploadError> {
        let request = described!(s3.create_multipart_upload(), location, options)
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .checksum_type(ChecksumType::FullObject);
        let answer = request.send().await?;
        let upload_id = answer.upload_id.ok_or(UploadError::NoUpload)?;
        Ok(Self::resume(s3, location, upload_id))
    }

    /// An upload that was begun earlier.
    pub(super) fn resume(s3: aws_sdk_s3::Client, location: &Location, upload_id: String) -> Self {
        Self { s3, location: location.clone(), upload_id }
    }

    /// The unfinished uploads of an object, the newest first.
    pub(super) async fn find(s3: &aws_sdk_s3::Client, location: &Location) -> Result<Vec<Self>, UploadError> {
        let mut found = Vec::new();
        let (mut key_marker, mut id_marker) = (None, None);
        loop {
            let answer = s3
                .list_multipart_uploads()
                .bucket(&location.bucket)
                .prefix(&location.key)
                .set_key_marker(key_marker)
                .set_upload_id_marker(id_marker)
                .send()
                .await?;
            let uploads = answer.uploads.unwrap_or_default();
            found.extend(uploads.into_iter().filter(|upload| upload.key.as_deref() == Some(&*location.key)));
            (key_marker, id_marker) = (answer.next_key_marker, answer.next_upload_id_marker);
            if answer.is_truncated != Some(true) || key_marker.is_none() {
                break;
            }
        }
        found.sort_by_key(|upload| upload.initiated.map(|time| -time.secs()));
        let ids = found.into_iter().filter_map(|upload| upload.upload_id);
        Ok(ids.map(|id| Self::resume(s3.clone(), location, id)).collect())
    }

    pub(super) fn upload_id(&self) -> &str {
        &self.upload_id
    }

    /// Sends a part.
    pub(super) async fn send(&self, number: i32, bytes: Bytes) -> Result<Part, UploadError> {
        let (len, checksum) = (bytes.len() as u64, Crc64::of(&bytes));
        persistently(|| async {
            let answer = self
                .s3
                .upload_part()
                .bucket(&self.location.bucket)
                .key(&self.location.key)
                .upload_id(&self.upload_id)
                .part_number(number)
                .checksum_crc64_nvme(checksum.to_string())
                .body(ByteStream::from(bytes.clone()))
                .send()
                .await?;
            agrees(answer.checksum_crc64_nvme.as_deref(), checksum)?;
            Ok(Part { number, bytes: len, checksum, etag: answer.e_tag })
        })
        .await
    }

    /// The parts that the server has.
    pub(super) async fn parts(&self) -> Result<Vec<Listed>, UploadError> {
        let mut listed = Vec::new();
        let mut marker = None;
        loop {
            let answer = self
                .s3
                .list_parts()
                .bucket(&self.location.bucket)
                .key(&self.location.key)
                .upload_id(&self.upload_id)
                .set_part_number_marker(marker)
                .send()
                .await?;
            listed.extend(answer.parts.unwrap_or_default().into_iter().filter_map(|part| {
                Some(Listed {
                    number: part.part_number?,
                    bytes: part.size?.try_into().ok()?,
                    checksum: part.checksum_crc64_nvme,
                    etag: part.e_tag,
                })
            }));
            marker = answer.next_part_number_marker;
            if answer.is_truncated != Some(true) || marker.is_none() {
                return Ok(listed);
            }
        }
    }

    /// Makes the object out of `parts`, which are in order, and makes sure that it is right.
    pub(super) async fn complete(
        &self,
        parts: &[Part],
        options: &ObjectOptions,
    ) -> Result<Uploaded, UploadError> {
        let bytes = parts.iter().map(|part| part.bytes).sum();
        let checksum =
            parts.iter().fold(Crc64::EMPTY, |whole, part| whole.followed_by(part.checksum, part.bytes));
        let completed = parts.iter().map(|part| {
            CompletedPart::builder()
                .part_number(part.number)
                .set_e_tag(part.etag.clone())
                .checksum_crc64_nvme(part.checksum.to_string())
                .build()
        });
        let answer = self
            .s3
            .complete_multipart_upload()
            .bucket(&self.location.bucket)
            .key(&self.location.key)
            .upload_id(&self.upload_id)
            .multipart_upload(
                CompletedMultipartUpload::builder().set_parts(Some(completed.collect())).build(),
            )
            .checksum_crc64_nvme(checksum.to_string())
            .checksum_type(ChecksumType::FullObject)
            .mpu_object_size(bytes as i64)
            .set_if_none_match(options.if_none_match())
            .send()
            .await;
        let stored = match answer {
            Ok(answer) => Stored { bytes: None, checksum: answer.checksum_crc64_nvme, etag: answer.e_tag },
            Err(error) => self.made_it_nevertheless(error.into(), bytes, checksum).await?,
        };
        verify(&self.s3, &self.location, stored, bytes, checksum).await
    }

    /// If the answer to a completion is lost, the request that is sent again finds the upload gone or the object there.
    async fn made_it_nevertheless(
        &self,
        error: UploadError,
        bytes: u64,
        checksum: Crc64,
    ) -> Result<Stored, UploadError> {
        if matches!(error, UploadError::Exists | UploadError::NoUpload)
            && let Ok(Some(stored)) = stored(&self.s3, &self.location).await
            && stored.is(bytes, checksum)
        {
            return Ok(stored);
        }
        Err(unconditional(error))
    }

    /// Gives the upload up; the server frees what it has of it.
    pub(super) async fn abort(&self) -> Result<(), UploadError> {
        let request = self
            .s3
            .abort_multipart_upload()
            .bucket(&self.location.bucket)
            .key(&self.location.key)
            .upload_id(&self.upload_id);
        match request.send().await.map_err(UploadError::from) {
            Err(UploadError::NoUpload) => Ok(()),
            result => result.map(drop),
        }
    }
}

/// Writes an object in one request.
pub(super) async fn put(
    s3: &aws_sdk_s3::Client,
    location: &Location,
    bytes: Bytes,
    options: &ObjectOptions,
) -> Result<Uploaded, UploadError> {
    let (len, checksum) = (bytes.len() as u64, Crc64::of(&bytes));
    let send = || {
        described!(s3.put_object(), location, options)
            .checksum_crc64_nvme(checksum.to_string())
            .set_if_none_match(options.if_none_match())
            .body(ByteStream::from(bytes.clone()))
            .send()
    };
    let answer = persistently(|| async { Ok(send().await?) }).await;
    let stored = match answer {
        Ok(answer) => Stored { bytes: None, checksum: answer.checksum_crc64_nvme, etag: answer.e_tag },
        // The answer to the first try may be lost, and the second one finds the object there.
        Err(UploadError::Exists) => match stored(s3, location).await {
            Ok(Some(stored)) if stored.is(len, checksum) => stored,
            _ => return Err(UploadError::Exists),
        },
        Err(error) => return Err(unconditional(error)),
    };
    verify(s3, location, stored, len, checksum).await
}

/// Sends again what did not arrive, or not as it was sent.
async fn persistently<T, F: Future<Output = Result<T, UploadError>>>(
    mut request: impl FnMut() -> F,
) -> Result<T, UploadError> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..ROUNDS {
        match request().await {
            Err(error) if error.is_transient() => sleep(pause).await,
            result => return result,
        }
        pause *= 2;
    }
    request().await
}

/// What the server has in a place, as far as these credentials may know.
pub(super) async fn stored(
    s3: &aws_sdk_s3::Client,
    location: &Location,
) -> Result<Option<Stored>, UploadError> {
    let request =
        s3.head_object().bucket(&location.bucket).key(&location.key).checksum_mode(ChecksumMode::Enabled);
    match request.send().await.map_err(UploadError::from) {
        Ok(answer) => Ok(Some(Stored {
            bytes: answer.content_length.and_then(|bytes| bytes.try_into().ok()),
            checksum: answer.checksum_crc64_nvme,
            etag: answer.e_tag,
        })),
        // An answer to HEAD has no body that would tell more; the next request does.
        Err(UploadError::Server { .. } | UploadError::Denied(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Stored {
    /// Whether these are known to be the bytes.
    pub(super) fn is(&self, bytes: u64, checksum: Crc64) -> bool {
        self.bytes == Some(bytes) && self.checksum == Some(checksum.to_string())
    }
}

/// Compares what the server says of an object with what it should be.
async fn verify(
    s3: &aws_sdk_s3::Client,
    location: &Location,
    mut told: Stored,
    bytes: u64,
    checksum: Crc64,
) -> Result<Uploaded, UploadError> {
    if told.checksum.is_none()
        && let Some(stored) = stored(s3, location).await?
    {
        told = stored;
    }
    if let Some(stored) = told.bytes.filter(|stored| *stored != bytes) {
        return Err(UploadError::Corrupted(format!("the object has {stored} bytes, not {bytes}")));
    }
    agrees(told.checksum.as_deref(), checksum)?;
    let verified = told.checksum.is_some();
    Ok(Uploaded { bytes, bytes_sent: bytes, checksum, verified, etag: told.etag })
}

/// Compares the checksum that the server tells, if it tells one, with the right one.
fn agrees(told: Option<&str>, checksum: Crc64) -> Result<(), UploadError> {
    match told {
        Some(told) if told != checksum.to_string() => {
            Err(UploadError::Corrupted(format!("its CRC-64/NVME is {told}, not {checksum}")))
        }
        _ => Ok(()),
    }
}

/// A server that does not know the condition says what it does not know.
fn unconditional(error: UploadError) -> UploadError {
    match error {
        UploadError::Server { code, .. } if code == "NotImplemented" => UploadError::NoCondition,
        error => error,
    }
}
