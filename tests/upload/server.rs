//! An S3 server in this process: `s3s-fs`, which checks signatures and payloads, with what it lacks laid over it. It has
//! no checksums and no ETags of parts (they are checked, kept and listed here), no `ListMultipartUploads`, no checksum of
//! an object made of parts (compared and kept here), no CORS, no
//! name for a payload that differs from its SHA-256, and it takes uploads to buckets that do not exist.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::auth::{S3Auth, SecretKey};
use s3s::crypto::{Checksum, Crc64Nvme};
use s3s::dto::*;
use s3s::service::S3ServiceBuilder;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

pub(crate) const BUCKET: &str = "films";
pub(crate) const ACCESS_KEY: &str = "AKIAEXAMPLE";
pub(crate) const SECRET: &str = "not a secret";

/// How many parts, and how many uploads, an answer lists at most.
const PARTS_A_PAGE: usize = 10;
const UPLOADS_A_PAGE: usize = 2;

/// A server on a port of its own. It ends when it is dropped.
pub(crate) struct Server {
    root: TempDir,
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// Parts and objects have no checksums, as on servers that do not know this kind.
    pub(crate) knows_no_checksums: Arc<AtomicBool>,
    _runtime: Runtime,
}

struct OneUser;

#[async_trait::async_trait]
impl S3Auth for OneUser {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == ACCESS_KEY { Ok(SECRET.into()) } else { Err(s3_error!(InvalidAccessKeyId)) }
    }
}

/// What the layer knows.
#[derive(Default)]
struct State {
    uploads: BTreeMap<String, Upload>,
    /// Checksums of objects made of parts, by their paths.
    objects: HashMap<PathBuf, String>,
    /// Rules by bucket.
    cors: HashMap<String, CORSRules>,
    /// What was asked for, a line each.
    log: Vec<String>,
}

struct Upload {
    bucket: String,
    key: String,
    initiated: SystemTime,
    parts: BTreeMap<i32, (ETag, String)>,
}

struct Layer {
    fs: FileSystem,
    root: PathBuf,
    state: Arc<Mutex<State>>,
    knows_no_checksums: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(BUCKET)).unwrap();
        let (state, knows_no_checksums) = <(Arc<Mutex<State>>, Arc<AtomicBool>)>::default();
        let layer = Layer {
            fs: FileSystem::new(root.path()).unwrap(),
            root: root.path().to_owned(),
            state: Arc::clone(&state),
            knows_no_checksums: Arc::clone(&knows_no_checksums),
        };
        let mut service = S3ServiceBuilder::new(layer);
        service.set_auth(OneUser);
        let service = service.build();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { root, address, state, knows_no_checksums, _runtime: runtime }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The file that an object is.
    pub(crate) fn path(&self, key: &str) -> PathBuf {
        self.root.path().join(BUCKET).join(key)
    }

    /// The content of an object, if there is one.
    pub(crate) fn object(&self, key: &str) -> Option<Vec<u8>> {
        fs::read(self.path(key)).ok()
    }

    /// Puts an object there.
    pub(crate) fn put(&self, key: &str, content: &[u8]) {
        fs::write(self.path(key), content).unwrap();
    }

    /// What was asked for since the last call, a line each.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.state().log)
    }

    /// The numbers of the parts that have arrived since the log was taken.
    pub(crate) fn parts_in_log(&self) -> Vec<i32> {
        let state = self.state();
        let number = |line: &String| line.strip_prefix("UploadPart ").map(|number| number.parse().unwrap());
        let mut parts: Vec<i32> = state.log.iter().filter_map(number).collect();
        parts.sort_unstable();
        parts
    }

    /// Whose pages may read what is in the bucket.
    pub(crate) fn origins(&self) -> Vec<String> {
        let rules = self.state().cors.get(BUCKET).cloned().unwrap_or_default();
        rules.into_iter().flat_map(|rule| rule.allowed_origins).collect()
    }

    /// How many uploads are unfinished, by the keys.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        self.state().uploads.values().map(|upload| upload.key.clone()).collect()
    }

    /// Whether parts, or pieces of any, lie around.
    pub(crate) fn has_remains(&self) -> bool {
        let names = fs::read_dir(&self.root).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter_map(|name| name.into_string().ok()).any(|name| name.starts_with(".upload"))
    }
}

impl Layer {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn log(&self, line: String) {
        self.state().log.push(line);
    }

    fn check_bucket(&self, bucket: &str) -> S3Result<()> {
        if self.root.join(bucket).is_dir() { Ok(()) } else { Err(s3_error!(NoSuchBucket)) }
    }

    fn part_path(&self, upload_id: &str, number: i32) -> PathBuf {
        self.root.join(format!(".upload_id-{upload_id}.part-{number}"))
    }

    fn check_upload(&self, upload_id: &str) -> S3Result<()> {
        if self.state().uploads.contains_key(upload_id) { Ok(()) } else { Err(s3_error!(NoSuchUpload)) }
    }

    fn knows_checksums(&self) -> bool {
        !self.knows_no_checksums.load(Ordering::Relaxed)
    }
}

/// The checksum of files one after the other, as S3 writes it.
fn checksum<'a>(paths: impl IntoIterator<Item = &'a Path>) -> String {
    let mut crc = Crc64Nvme::new();
    for path in paths {
        crc.update(&fs::read(path).unwrap());
    }
    BASE64_STANDARD.encode(crc.finalize())
}

#[async_trait::async_trait]
impl S3 for Layer {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        self.fs.create_bucket(request).await
    }

    async fn get_bucket_cors(
        &self,
        request: S3Request<GetBucketCorsInput>,
    ) -> S3Result<S3Response<GetBucketCorsOutput>> {
        let rules = self.state().cors.get(&request.input.bucket).cloned();
        let cors_rules = Some(rules.ok_or_else(|| s3_error!(NoSuchCORSConfiguration))?);
        Ok(S3Response::new(GetBucketCorsOutput { cors_rules }))
    }

    async fn put_bucket_cors(
        &self,
        request: S3Request<PutBucketCorsInput>,
    ) -> S3Result<S3Response<PutBucketCorsOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        self.log("PutBucketCors".to_owned());
        self.state().cors.insert(input.bucket, input.cors_configuration.cors_rules);
        Ok(S3Response::new(PutBucketCorsOutput::default()))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let path = self.root.join(&request.input.bucket).join(&request.input.key);
        let wants_checksum = request.input.checksum_mode.is_some();
        let mut response = self.fs.head_object(request).await?;
        if let Some(checksum) = self.state().objects.get(&path)
            && wants_checksum
        {
            response.output.checksum_crc64nvme = Some(checksum.clone());
        }
        if !self.knows_checksums() {
            response.output.checksum_crc64nvme = None;
        }
        Ok(response)
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = &request.input;
        self.check_bucket(&input.bucket)?;
        self.log(format!("PutObject {} {}", input.key, input.content_type.as_deref().unwrap_or("-")));
        self.fs.put_object(request).await
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = &request.input;
        self.check_bucket(&input.bucket)?;
        let (bucket, key) = (input.bucket.clone(), input.key.clone());
        let text = |value: Option<&str>| value.unwrap_or("-").to_owned();
        self.log(format!(
            "CreateMultipartUpload {key} {} {} {} {} {} {} {:?}",
            text(input.content_type.as_deref()),
            text(input.cache_control.as_deref()),
            text(input.storage_class.as_ref().map(StorageClass::as_str)),
            text(input.acl.as_ref().map(ObjectCannedACL::as_str)),
            text(input.server_side_encryption.as_ref().map(ServerSideEncryption::as_str)),
            text(input.ssekms_key_id.as_deref()),
            input.metadata.clone().unwrap_or_default(),
        ));
        let response = self.fs.create_multipart_upload(request).await?;
        let upload_id = response.output.upload_id.clone().unwrap();
        let upload = Upload { bucket, key, initiated: SystemTime::now(), parts: BTreeMap::new() };
        self.state().uploads.insert(upload_id, upload);
        Ok(response)
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let (number, upload_id) = (request.input.part_number, request.input.upload_id.clone());
        let announced = request.input.checksum_crc64nvme.clone().expect("every part has a checksum");
        self.check_upload(&upload_id)?;
        // All that can be wrong here is the body, whose SHA-256 is signed.
        let mismatch = |_| s3_error!(BadDigest, "the x-amz-content-sha256 did not match");
        let mut response = self.fs.upload_part(request).await.map_err(mismatch)?;
        let path = self.part_path(&upload_id, number);
        let checksum = checksum([&*path]);
        if checksum != announced {
            fs::remove_file(path).unwrap();
            self.log(format!("BadDigest {number}"));
            return Err(s3_error!(BadDigest, "the CRC64NVME you specified did not match"));
        }
        let etag = response.output.e_tag.clone().unwrap();
        let mut state = self.state();
        state.log.push(format!("UploadPart {number}"));
        let upload = state.uploads.get_mut(&upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        upload.parts.insert(number, (etag, checksum.clone()));
        if self.knows_checksums() {
            response.output.checksum_crc64nvme = Some(checksum);
        }
        Ok(response)
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        let upload_id = request.input.upload_id.clone();
        self.check_upload(&upload_id)?;
        let after = request.input.part_number_marker.unwrap_or(0);
        let mut response = self.fs.list_parts(request).await?;
        let output = &mut response.output;
        let mut parts = output.parts.take().unwrap_or_default();
        parts.sort_by_key(|part| part.part_number);
        parts.retain(|part| part.part_number > Some(after));
        output.is_truncated = Some(parts.len() > PARTS_A_PAGE);
        parts.truncate(PARTS_A_PAGE);
        output.next_part_number_marker = parts.last().and_then(|part| part.part_number);
        let state = self.state();
        for part in &mut parts {
            let known = &state.uploads[&upload_id].parts;
            let Some((etag, checksum)) = part.part_number.and_then(|number| known.get(&number)) else {
                continue;
            };
            part.e_tag = Some(etag.clone());
            part.checksum_crc64nvme = self.knows_checksums().then(|| checksum.clone());
        }
        output.parts = Some(parts);
        drop(state);
        Ok(response)
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        let prefix = input.prefix.unwrap_or_default();
        let after = input.key_marker.zip(input.upload_id_marker);
        let state = self.state();
        let mut found: Vec<_> = state
            .uploads
            .iter()
            .filter(|(_, upload)| upload.bucket == input.bucket && upload.key.starts_with(&*prefix))
            .map(|(id, upload)| ((upload.key.clone(), id.clone()), upload))
            .filter(|(place, _)| after.as_ref().is_none_or(|after| place > after))
            .collect();
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        let is_truncated = found.len() > UPLOADS_A_PAGE;
        found.truncate(UPLOADS_A_PAGE);
        let (next_key_marker, next_upload_id_marker) = found.last().map(|(place, _)| place.clone()).unzip();
        let uploads = found.into_iter().map(|((key, id), upload)| MultipartUpload {
            key: Some(key),
            upload_id: Some(id),
            initiated: Some(upload.initiated.into()),
            ..MultipartUpload::default()
        });
        Ok(S3Response::new(ListMultipartUploadsOutput {
            uploads: Some(uploads.collect()),
            is_truncated: Some(is_truncated),
            next_key_marker,
            next_upload_id_marker,
            ..ListMultipartUploadsOutput::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = &request.input;
        let upload_id = input.upload_id.clone();
        self.check_upload(&upload_id)?;
        let parts = input.multipart_upload.as_ref().and_then(|upload| upload.parts.as_ref()).unwrap();
        let paths: Vec<_> =
            parts.iter().map(|part| self.part_path(&upload_id, part.part_number.unwrap())).collect();
        let checksum = checksum(paths.iter().map(PathBuf::as_path));
        if input.checksum_crc64nvme.as_ref() != Some(&checksum) {
            return Err(s3_error!(BadDigest, "the CRC64NVME of the object did not match"));
        }
        let path = self.root.join(&input.bucket).join(&input.key);
        self.log(format!("CompleteMultipartUpload {} of {}", input.key, paths.len()));
        let response = self.fs.complete_multipart_upload(request).await?;
        let mut state = self.state();
        state.uploads.remove(&upload_id);
        state.objects.insert(path, checksum);
        Ok(response)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let upload_id = request.input.upload_id.clone();
        self.check_upload(&upload_id)?;
        self.log("AbortMultipartUpload".to_owned());
        let response = self.fs.abort_multipart_upload(request).await?;
        self.state().uploads.remove(&upload_id);
        Ok(response)
    }
}
