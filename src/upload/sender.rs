//! Parts on their way: some in flight at a time, and whoever has the next one waits.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::Client;
use super::error::UploadError;
use super::multipart::{Multipart, Part};

/// Parts that are sent at the same time.
pub(super) const IN_FLIGHT: usize = 4;

/// Sends parts. Dropped, it drops what is in flight.
#[derive(Debug)]
pub(super) struct Sender {
    client: Client,
    pub(super) multipart: Arc<Multipart>,
    in_flight: JoinSet<Result<Part, UploadError>>,
    parts: Vec<Part>,
}

impl Sender {
    pub(super) fn new(client: &Client, multipart: Multipart) -> Self {
        let (client, multipart) = (client.clone(), Arc::new(multipart));
        Self { client, multipart, in_flight: JoinSet::new(), parts: Vec::new() }
    }

    /// Takes a part that the server has.
    pub(super) fn add(&mut self, part: Part) {
        self.parts.push(part);
    }

    /// Sends a part as soon as there is room for it.
    pub(super) fn send(&mut self, number: i32, bytes: Bytes) -> Result<(), UploadError> {
        while self.in_flight.len() >= IN_FLIGHT {
            self.arrive()?;
        }
        let multipart = Arc::clone(&self.multipart);
        let runtime = self.client.runtime.handle();
        self.in_flight.spawn_on(async move { multipart.send(number, bytes).await }, runtime);
        Ok(())
    }

    /// Waits for a part that is in flight; whether there was one.
    pub(super) fn arrive(&mut self) -> Result<bool, UploadError> {
        let in_flight = &mut self.in_flight;
        let arrived = self.client.wait(async {
            match in_flight.join_next().await {
                Some(part) => part.map_err(|_| UploadError::Defect)?.map(Some),
                None => Ok(None),
            }
        })?;
        let is_some = arrived.is_some();
        self.parts.extend(arrived);
        Ok(is_some)
    }

    /// Bytes that the server has.
    pub(super) fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// Waits for all parts that are in flight; all parts in order.
    pub(super) fn finish(&mut self) -> Result<&[Part], UploadError> {
        while self.arrive()? {}
        self.parts.sort_by_key(|part| part.number);
        Ok(&self.parts)
    }

    /// Stops sending, so that no part arrives any more.
    pub(super) async fn stop(&mut self) {
        self.in_flight.shutdown().await;
    }
}
