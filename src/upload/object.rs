//! What an object is told to be.

use std::path::Path;

/// How an object is stored and served. What is `None` is left to the server.
#[derive(Clone, Debug, Default)]
pub struct ObjectOptions {
    /// Replace an object that is there. Otherwise the server is asked to refuse that, when the upload is completed.
    pub overwrite: bool,
    /// `Content-Type`; without it, the one of the key's [ending](content_type).
    pub content_type: Option<String>,
    /// `Cache-Control`, such as `max-age=86400`.
    pub cache_control: Option<String>,
    /// Names and texts, which are served as `x-amz-meta-NAME`.
    pub metadata: Vec<(String, String)>,
    /// Such as `STANDARD_IA`.
    pub storage_class: Option<String>,
    /// A canned ACL, such as `public-read`.
    pub acl: Option<String>,
    /// Encryption on the server: `AES256`, `aws:kms` or `aws:kms:dsse`.
    pub encryption: Option<String>,
    /// The key for `aws:kms`.
    pub kms_key_id: Option<String>,
}

impl ObjectOptions {
    pub(super) fn content_type_of(&self, key: &str) -> String {
        self.content_type.clone().unwrap_or_else(|| content_type(key).to_owned())
    }

    /// The condition of writing.
    pub(super) fn if_none_match(&self) -> Option<String> {
        (!self.overwrite).then(|| "*".to_owned())
    }
}

/// The media type by the ending of a name: those of FLV and of what a page with a player is made of.
#[must_use]
pub fn content_type(name: &str) -> &'static str {
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match &*ending.to_ascii_lowercase() {
        "flv" => "video/x-flv",
        "css" => "text/css; charset=utf-8",
        "html" | "htm" => "text/html; charset=utf-8",
        "jpg" | "jpeg" => "image/jpeg",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        "ogv" => "video/ogg",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "swf" => "application/x-shockwave-flash",
        "txt" | "md" => "text/plain; charset=utf-8",
        "wasm" => "application/wasm",
        "woff2" => "font/woff2",
        "xml" => "application/xml",
        _ => "application/octet-stream",
    }
}
