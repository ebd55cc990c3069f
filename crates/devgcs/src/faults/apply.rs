//! What a fault does in the course of a call: before it, in its body, after it.

use std::sync::Arc;

use http::header::RANGE;
use http::{HeaderValue, Response, StatusCode};
use tokio::time::sleep;

use super::body::{FaultyBody, LONGEST_STALL};
use super::cut::Cut;
use super::draw::Injected;
use super::instruction::{Amount, Fault, Kib, When};
use crate::answer;
use crate::call::Call;
use crate::error::Error;
use crate::inspect::CallKind;
use crate::response_body::ResponseBody;
use crate::resumable::Batch;
use crate::service::{Service, cancelled};
use gcsd_types::CHUNK_ALIGNMENT;

/// Injects the faults that come before anything is done. An error is the answer, unless the connection is cut.
pub(crate) async fn before(service: &Arc<Service>, call: &mut Call) -> Result<(), Error> {
    let bare = call.body.length() == Some(0);
    for fault in call.injected.faults.clone() {
        match fault {
            Fault::LoseSession { status } => {
                let Some(id) = call.query.get("upload_id") else {
                    continue;
                };
                let (session, shared) = (service.session(id)?, Arc::clone(service));
                let answer = Error::text(code(status), "Injected: the session is lost.");
                let answered = answer.clone();
                service.faults.happened(&mut call.injected, &fault);
                service
                    .store
                    .run(move || Ok(shared.end_session(&session, answer)))
                    .await?;
                return Err(answered);
            }
            _ => match fault.when() {
                Some(When::AtOnce) => strike(service, call, &fault).await?,
                // There is no body to wait for.
                Some(When::AfterBody) if bare => strike(service, call, &fault).await?,
                _ => {}
            },
        }
    }
    Ok(())
}

/// Injects a fault that is due. A stall is over when this returns; anything else ends the call.
async fn strike(service: &Service, call: &mut Call, fault: &Fault) -> Result<(), Error> {
    service.faults.happened(&mut call.injected, fault);
    let injected = &mut call.injected;
    match fault {
        Fault::Stall {
            duration: Some(duration),
            ..
        } => {
            sleep(*duration).await;
            Ok(())
        }
        Fault::Stall { duration: None, .. } => {
            sleep(LONGEST_STALL).await;
            Err(injected.end(Cut::Close))
        }
        Fault::Return { status, .. } => Err(returned(*status)),
        Fault::Reset { .. } => Err(injected.end(Cut::Reset)),
        _ => Err(injected.end(Cut::Close)),
    }
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn returned(status: u16) -> Error {
    Error::new(code(status), "injected", format!("Injected: {status}."))
}

impl Injected {
    /// Cuts the connection; the answer is not sent.
    fn end(&mut self, cut: Cut) -> Error {
        self.cut = Some(cut);
        Error::empty(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What will happen while a body is read whose bytes go from `start` to `end`, if that is
    /// known.
    pub(crate) fn course(&mut self, start: u64, end: Option<u64>) -> Course {
        let mut course = Course::default();
        for fault in self.faults.clone() {
            let ends_the_call = !matches!(fault, Fault::Stall { .. });
            let strike = match (fault, fault.when()) {
                (Fault::Persist { until }, _) => {
                    let until = match until {
                        Amount::Exactly(offset) => offset.bytes(),
                        Amount::Random => self.some_offset(start, end),
                    };
                    course.keep = Some(course.keep.unwrap_or(u64::MAX).min(until));
                    course.persist = Some(fault);
                    continue;
                }
                (_, Some(When::After(offset))) => {
                    let offset = offset.bytes();
                    let passes = start < offset || (start, offset) == (0, 0);
                    if !passes || end.is_some_and(|end| end < offset) {
                        continue;
                    }
                    offset
                }
                (_, Some(When::AfterSome)) => self.some_offset(start, end),
                (_, Some(When::AfterBody)) => {
                    course.at_end.push(fault);
                    continue;
                }
                _ => continue,
            };
            if ends_the_call {
                course.keep = Some(course.keep.unwrap_or(u64::MAX).min(strike));
            }
            course.strikes.push((strike, fault));
        }
        course.strikes.sort_by_key(|(offset, _)| *offset);
        course
    }

    /// A random multiple of 256 KiB from `start` to `end`, or within 8 MiB if there is no end.
    fn some_offset(&mut self, start: u64, end: Option<u64>) -> u64 {
        let room = end.map_or(32 * CHUNK_ALIGNMENT, |end| end.saturating_sub(start));
        start + CHUNK_ALIGNMENT * self.random.below(room / CHUNK_ALIGNMENT + 1)
    }

    /// How many of the `fresh` bytes that a call has persisted to hide.
    pub(crate) fn hide(&mut self, service: &Service, fresh: u64) -> Option<u64> {
        let hidden = self.faults.iter().find_map(|fault| match fault {
            Fault::Hide { amount } => Some((*fault, *amount)),
            _ => None,
        });
        let (fault, amount) = hidden?;
        let amount = match amount {
            Amount::Exactly(amount) => amount.bytes() - amount.bytes() % CHUNK_ALIGNMENT,
            Amount::Random => CHUNK_ALIGNMENT * (1 + self.random.below(fresh / CHUNK_ALIGNMENT)),
        };
        let amount = Some(amount.min(fresh)).filter(|amount| *amount > 0)?;
        service.faults.happened(self, &fault);
        Some(amount)
    }
}

/// What happens while a body is read.
#[derive(Debug, Default)]
pub(crate) struct Course {
    /// Nothing from here on is persisted.
    keep: Option<u64>,
    /// The fault behind `keep`, if it is one of its own.
    persist: Option<Fault>,
    /// The faults at offsets of the object, in order.
    strikes: Vec<(u64, Fault)>,
    at_end: Vec<Fault>,
}

impl Course {
    /// The bytes of a batch that are persisted.
    pub(crate) fn keep(&mut self, service: &Service, call: &mut Call, batch: Batch) -> Batch {
        let Some(keep) = self.keep else { return batch };
        let whole = keep - keep % CHUNK_ALIGNMENT;
        if batch.end() > whole {
            self.withhold(service, call);
        }
        batch.until(whole)
    }

    /// Injects the faults up to `offset`.
    pub(crate) async fn reached(
        &mut self,
        service: &Service,
        call: &mut Call,
        offset: u64,
    ) -> Result<(), Error> {
        while let Some((at, fault)) = self.strikes.first().copied()
            && at <= offset
        {
            self.strikes.remove(0);
            strike(service, call, &fault).await?;
        }
        Ok(())
    }

    /// Injects the faults at the end of the body.
    pub(crate) async fn ended(&mut self, service: &Service, call: &mut Call) -> Result<(), Error> {
        for fault in std::mem::take(&mut self.at_end) {
            strike(service, call, &fault).await?;
        }
        Ok(())
    }

    /// Whether an object of `total` bytes may be finished.
    pub(crate) fn may_finish(&mut self, service: &Service, call: &mut Call, total: u64) -> bool {
        let may = self.keep.is_none_or(|keep| keep >= total);
        if !may {
            self.withhold(service, call);
        }
        may
    }

    fn withhold(&mut self, service: &Service, call: &mut Call) {
        if let Some(fault) = self.persist.take() {
            service.faults.happened(&mut call.injected, &fault);
        }
    }
}

/// Injects the faults that come when everything is done.
pub(crate) async fn after(
    service: &Service,
    call: &mut Call,
    kind: CallKind,
    mut response: Response<ResponseBody>,
) -> Response<ResponseBody> {
    let status = response.status();
    let refused = status.is_client_error() || status.is_server_error();
    // A cancellation that was carried out is answered 499.
    let done = !refused || (kind == CallKind::CancelUpload && status == cancelled());
    if call.injected.cut.is_none() && done {
        for fault in call.injected.faults.clone() {
            if fault.when() == Some(When::AfterAll) {
                if let Err(error) = strike(service, call, &fault).await {
                    response = answer::refusal(&error);
                    break;
                }
            } else if spoil(&fault, kind, &mut response) {
                service.faults.happened(&mut call.injected, &fault);
            }
        }
    }
    if let Some(cut) = call.injected.cut {
        response.extensions_mut().insert(cut);
    }
    response
}

/// Changes an answer; false if the fault does not apply to it.
fn spoil(fault: &Fault, kind: CallKind, response: &mut Response<ResponseBody>) -> bool {
    let incomplete = response.status() == StatusCode::PERMANENT_REDIRECT;
    let success = response.status().is_success();
    let finishes = matches!(
        kind,
        CallKind::WriteUpload | CallKind::FinishUpload | CallKind::QueryUpload
    );
    let reads = kind == CallKind::ReadObject;
    match fault {
        Fault::NoRange if incomplete => response.headers_mut().remove(RANGE).is_some(),
        Fault::ReportLess { by } if incomplete => {
            report(response, |persisted| persisted.saturating_sub(by.bytes()))
        }
        Fault::ReportMore { by } if incomplete => {
            report(response, |persisted| persisted.saturating_add(by.bytes()))
        }
        Fault::Shorten { bytes } if success && finishes => match response.body_mut() {
            ResponseBody::Full(Some(body)) => {
                body.truncate(usize::try_from(*bytes).unwrap_or(usize::MAX));
                true
            }
            _ => false,
        },
        Fault::Break { after } if success => {
            let bytes = after.map_or(4, Kib::bytes);
            wrap(response, |body| body.break_after(bytes))
        }
        Fault::Corrupt if success && reads => wrap(response, FaultyBody::corrupt),
        Fault::Stall {
            duration,
            when: When::After(offset),
        } if success && reads => wrap(response, |body| body.stall_after(offset.bytes(), *duration)),
        _ => false,
    }
}

fn report(response: &mut Response<ResponseBody>, change: impl Fn(u64) -> u64) -> bool {
    let range = response
        .headers()
        .get(RANGE)
        .and_then(|range| range.to_str().ok());
    let last = range.and_then(|range| range.strip_prefix("bytes=0-"));
    let persisted = last
        .and_then(|last| last.parse().ok())
        .map_or(0, |last: u64| last + 1);
    let changed = change(persisted);
    match changed.checked_sub(1) {
        None => drop(response.headers_mut().remove(RANGE)),
        Some(last) => {
            if let Ok(value) = HeaderValue::try_from(format!("bytes=0-{last}")) {
                response.headers_mut().insert(RANGE, value);
            }
        }
    }
    changed != persisted
}

fn wrap(response: &mut Response<ResponseBody>, change: impl FnOnce(&mut FaultyBody<ResponseBody>)) -> bool {
    let body = std::mem::replace(response.body_mut(), ResponseBody::empty());
    let mut body = match body {
        ResponseBody::Faulty(body) => body,
        body => Box::new(FaultyBody::new(body)),
    };
    change(&mut body);
    *response.body_mut() = ResponseBody::Faulty(body);
    true
}
