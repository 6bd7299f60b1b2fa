//! The connection: configuration as AWS' own tools read it, and a runtime behind methods that wait.

use std::env;
use std::fs;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::{ProvideCredentials, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;

use super::error::{UploadError, causes};

/// The region where nothing says which; servers other than AWS' take any.
pub(super) const USUAL_REGION: &str = "us-east-1";
/// How often a request is tried unless `AWS_MAX_ATTEMPTS` tells.
const ATTEMPTS: u32 = 8;
/// How long a request, which sends a part of 8 MiB or more, may wait for the first byte of its answer.
const READ_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often an interruption is looked for.
const INTERRUPTION_INTERVAL: Duration = Duration::from_millis(50);

/// Which server, and as whom. What is `None` is found as AWS' own tools find it: in the environment, in the files of
/// `~/.aws`, by SSO, or from the machine's metadata.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// Name of a profile of `~/.aws/config`.
    pub profile: Option<String>,
    /// Region of the bucket.
    pub region: Option<String>,
    /// Address of the server.
    pub endpoint_url: Option<String>,
    /// Put the bucket's name into the path of addresses, not into the host's name. That is done anyway where the name has
    /// dots, which certificates do not cover.
    pub path_style: bool,
}

/// A connection to a server of S3's protocol.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) runtime: Arc<Runtime>,
    config: Arc<SdkConfig>,
    path_style: bool,
    interrupted: Arc<AtomicBool>,
}

impl Client {
    /// Reads the configuration and gets credentials. Every method ends with [`UploadError::Interrupted`] soon after
    /// `interrupted` is set.
    ///
    /// # Errors
    /// If there are no credentials, or they cannot be had.
    pub fn connect(connection: &Connection, interrupted: Arc<AtomicBool>) -> Result<Self, UploadError> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("upload")
            .enable_all()
            .build()
            .map_err(UploadError::Threads)?;
        let http_client = http_client()?;
        let config = wait(&runtime, &interrupted, async {
            let config = load(connection, http_client).await;
            check_credentials(&config).await?;
            Ok(config)
        })?;
        let path_style = connection.path_style;
        Ok(Self { runtime: Arc::new(runtime), config: Arc::new(config), path_style, interrupted })
    }

    pub(super) fn region(&self) -> &str {
        self.config.region().map_or(USUAL_REGION, Region::as_ref)
    }

    /// The SDK's client for a bucket.
    pub(super) fn s3(&self, bucket: &str) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&*self.config)
            .force_path_style(self.path_style || bucket.contains('.'))
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// Waits for `work`, or for an interruption.
    pub(super) fn wait<T>(
        &self,
        work: impl Future<Output = Result<T, UploadError>>,
    ) -> Result<T, UploadError> {
        wait(&self.runtime, &self.interrupted, work)
    }
}

fn wait<T>(
    runtime: &Runtime,
    interrupted: &AtomicBool,
    work: impl Future<Output = Result<T, UploadError>>,
) -> Result<T, UploadError> {
    runtime.block_on(async {
        let mut work = pin!(work);
        loop {
            if let Ok(result) = timeout(INTERRUPTION_INTERVAL, &mut work).await {
                return result;
            }
            if interrupted.load(Ordering::Relaxed) {
                return Err(UploadError::Interrupted);
            }
        }
    })
}

async fn load(connection: &Connection, http_client: SharedHttpClient) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http_client).timeout_config(
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build(),
    );
    if let Some(profile) = &connection.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(url) = &connection.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(region) = &connection.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if env::var_os("AWS_MAX_ATTEMPTS").is_none() {
        loader = loader.retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
    }
    let config = loader.load().await;
    if config.region().is_some() {
        return config;
    }
    config.into_builder().region(Region::from_static(USUAL_REGION)).build()
}

/// Finds out whether there are credentials, before any work is done.
async fn check_credentials(config: &SdkConfig) -> Result<(), UploadError> {
    let provider = config.credentials_provider().ok_or(UploadError::NoCredentials)?;
    match provider.provide_credentials().await {
        Ok(_) => Ok(()),
        Err(CredentialsError::CredentialsNotLoaded(_)) => Err(UploadError::NoCredentials),
        Err(error) => Err(UploadError::Credentials(causes(&error))),
    }
}

/// TLS by rustls and ring, with the system's certificates or those of `AWS_CA_BUNDLE`, through the proxy that
/// `HTTPS_PROXY` names.
fn http_client() -> Result<SharedHttpClient, UploadError> {
    let mut tls = TlsContext::builder();
    if let Some(path) = env::var_os("AWS_CA_BUNDLE") {
        let bundle = fs::read(&path).map_err(|error| {
            UploadError::Configuration(format!("AWS_CA_BUNDLE {} cannot be read: {error}", path.display()))
        })?;
        tls = tls.with_trust_store(TrustStore::empty().with_pem_certificate(bundle));
    }
    let tls = tls.build().map_err(|error| UploadError::Configuration(causes(&error)))?;
    let proxy = ProxyConfig::from_env();
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(tls.clone())
            .proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build()
    }))
}
