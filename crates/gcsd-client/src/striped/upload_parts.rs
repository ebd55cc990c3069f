//! The parts go up, side by side.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::{ReplaySource, Token};
use super::checkpoint::{CheckpointStore, PartState};
use super::engine::Engine;
use super::error::StripedError;
use super::options::{StripedOptions, Via};
use super::part_upload::{PartResult, PartUpload};
use super::route::Route;
use super::section::Section;
use super::temporary::{multipart_ref, part_object};

impl<R: Route, S: ReplaySource + Sync, K: CheckpointStore> Engine<R, S, K> {
    /// Uploads the parts that are not finished, as many at a time as there are connections.
    pub(super) async fn upload_parts(&mut self) -> Result<(), StripedError> {
        let stop = self.requests.stop.clone();
        let halt = stop.child_token();
        let (tokens, mut opened) = mpsc::channel(StripedOptions::MAX_CONNECTIONS);
        let undone = |number: &usize| !self.checkpoint.parts[*number].is_done();
        let mut waiting: VecDeque<usize> = (0..self.checkpoint.parts.len()).filter(undone).collect();
        let mut lanes: VecDeque<usize> = (0..self.connections).collect();
        let mut running = JoinSet::new();
        let mut failed = None;
        loop {
            while !halt.is_cancelled()
                && !waiting.is_empty()
                && let Some(lane) = lanes.pop_front()
                && let Some(number) = waiting.pop_front()
            {
                let (run, token) = match &self.checkpoint.parts[number] {
                    PartState::Open { run, token } => (*run, Some(token.clone())),
                    _ => (self.checkpoint.run, None),
                };
                let (offset, len) = self.checkpoint.layout().range(number);
                let part = PartUpload {
                    number,
                    lane,
                    source: Section {
                        source: self.source.clone(),
                        offset,
                        len,
                    },
                    token,
                    retries: self.requests.part_retries(),
                    halt: halt.clone(),
                    tokens: tokens.clone(),
                    reports: self.requests.reports.clone(),
                };
                let route = &self.requests.route;
                match &self.checkpoint.multipart {
                    Some(id) => {
                        let part_number = u32::try_from(number + 1).unwrap_or(u32::MAX);
                        let upload = multipart_ref(&self.object, id);
                        running.spawn(part.run(route.part(lane, upload, part_number)));
                    }
                    None => {
                        let object = part_object(&self.object, self.names.part(run, number)?, len);
                        running.spawn(part.run(route.uploads(lane, object)));
                    }
                }
            }
            let ended = tokio::select! {
                joined = running.join_next() => match joined {
                    None => break,
                    Some(Ok(ended)) => Some(ended),
                    // A task is lost only with its runtime: nothing in it panics.
                    Some(Err(_)) => {
                        halt.cancel();
                        continue;
                    }
                },
                Some((number, token)) = opened.recv() => {
                    self.opened(number, token);
                    None
                }
            };
            if let Some(ended) = ended {
                lanes.push_back(ended.lane);
                if let Err(error) = self.ended(ended) {
                    halt.cancel();
                    failed.get_or_insert_with(|| (Instant::now(), error));
                }
            }
            if let Err(error) = self.save().await {
                halt.cancel();
                failed.get_or_insert_with(|| (Instant::now(), error));
            }
        }
        if let Some((since, error)) = &failed {
            // The last look of a part is behind its budget, and so is what the others need to stop.
            let looked = match error.is_exhausted() {
                true => self.requests.part_retries().abort_budget,
                false => Duration::ZERO,
            };
            self.requests.used.at_least(looked + since.elapsed());
        }
        match failed {
            _ if stop.is_cancelled() => Err(StripedError::Stopped),
            Some((_, error)) => Err(error),
            None if halt.is_cancelled() => Err(StripedError::Stopped),
            None => Ok(()),
        }
    }

    /// Part `number` has an upload that `token` brings back.
    fn opened(&mut self, number: usize, token: Token) {
        let run = match self.checkpoint.parts[number] {
            // The token came after the result.
            PartState::Done { .. } | PartState::Sent { .. } => return,
            // A resumed part keeps its name, whatever became of its first upload.
            PartState::Open { run, .. } => run,
            PartState::Waiting => self.checkpoint.run,
        };
        self.checkpoint.parts[number] = PartState::Open { run, token };
    }

    fn ended(&mut self, ended: PartResult) -> Result<(), StripedError> {
        let PartResult {
            number,
            result,
            token,
            resource,
            ..
        } = ended;
        if let Some(token) = token {
            self.opened(number, token);
        }
        let run = match self.checkpoint.parts[number] {
            PartState::Open { run, .. } => run,
            _ => self.checkpoint.run,
        };
        let object = result.map_err(|error| StripedError::Part {
            number: number + 1,
            parts: self.checkpoint.parts.len(),
            error: Box::new(error),
        })?;
        // It was compared with what was sent, so it has one.
        let crc32c = object.crc32c.unwrap_or_default();
        self.checkpoint.parts[number] = match self.checkpoint.via {
            Via::Multipart => PartState::Sent {
                etag: String::from_utf8_lossy(&resource.unwrap_or_default()).into_owned(),
                crc32c: crc32c.0,
            },
            Via::Compose => PartState::done(run, object.generation, crc32c),
        };
        Ok(())
    }
}
