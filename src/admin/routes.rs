//! What each path answers.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use percent_encoding::percent_decode_str;
use tracing::{info, warn};

use super::status::Status;
use super::{State, page};
use crate::server::Readiness;
use crate::stats;

type Answer = Response<Full<Bytes>>;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// The page loads what this listener has, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Answers a request, whose body is not read.
pub(super) async fn answer<B>(state: &State, request: &Request<B>) -> Answer {
    if !state.guard.knows_host(request.headers()) {
        let text = "this name is not known here: ask by an address, or permit the name with --admin-host\n";
        return text_of(StatusCode::MISDIRECTED_REQUEST, text);
    }
    let path = request.uri().path();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    match (path, reads, request.method() == Method::POST) {
        ("/", true, _) => page::html(&Status::of(&state.handle)),
        ("/status.css", true, _) => page::style(),
        ("/status.js", true, _) => page::script(),
        ("/status", true, _) => {
            let json = serde_json::to_vec_pretty(&Status::of(&state.handle)).unwrap_or_default();
            with(StatusCode::OK, JSON, json)
        }
        ("/metrics", true, _) => with(StatusCode::OK, stats::MEDIA_TYPE, state.handle.metrics()),
        // That it answers is the answer.
        ("/livez", true, _) => text_of(StatusCode::OK, "alive\n"),
        ("/startupz", true, _) => match state.handle.has_started() {
            true => text_of(StatusCode::OK, "started\n"),
            false => text_of(StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        },
        ("/readyz", true, _) => {
            let readiness = state.handle.readiness();
            let status = match readiness {
                Readiness::Ready => StatusCode::OK,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            text_of(status, format!("{}\n", readiness.name()))
        }
        ("/drain" | "/reload" | "/log", _, true) => {
            if !state.guard.is_own_page(request.headers()) {
                let text = "a page of another origin asks for this\n";
                return text_of(StatusCode::FORBIDDEN, text);
            }
            change(state, path, request.uri().query().unwrap_or("")).await
        }
        ("/drain" | "/reload" | "/log", ..) => not_allowed("POST"),
        (
            "/" | "/status" | "/metrics" | "/livez" | "/startupz" | "/readyz" | "/status.css" | "/status.js",
            ..,
        ) => not_allowed("GET, HEAD"),
        _ => text_of(
            StatusCode::NOT_FOUND,
            "nothing is here; GET: / /status /metrics /livez /startupz /readyz; POST: /drain /reload /log?filter=FILTER\n",
        ),
    }
}

async fn change(state: &State, path: &str, query: &str) -> Answer {
    match path {
        "/drain" => {
            info!("asked to stop by the admin listener");
            state.handle.stop();
            text_of(StatusCode::ACCEPTED, "draining\n")
        }
        "/reload" => {
            let controls = state.controls.clone();
            let reload = tokio::task::spawn_blocking(move || controls.reload());
            match reload.await {
                Ok(Ok(())) => text_of(StatusCode::OK, "reloaded\n"),
                Ok(Err(why)) => text_of(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    format!("nothing was changed: {why}\n"),
                ),
                Err(error) => text_of(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            }
        }
        _ => {
            let filter = query.split('&').find_map(|pair| pair.strip_prefix("filter="));
            let filter = filter.map(|filter| percent_decode_str(filter).decode_utf8());
            let Some(Ok(filter)) = filter else {
                return text_of(StatusCode::BAD_REQUEST, "name a filter: /log?filter=debug\n");
            };
            match state.controls.set_log_filter(&filter) {
                Ok(()) => {
                    warn!(%filter, "the log has another filter");
                    text_of(StatusCode::OK, "changed\n")
                }
                Err(why) => text_of(StatusCode::UNPROCESSABLE_ENTITY, format!("{why}\n")),
            }
        }
    }
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = text_of(StatusCode::METHOD_NOT_ALLOWED, format!("{methods} only\n"));
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(methods));
    answer
}

fn text_of(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    with(status, TEXT, text)
}

/// An answer that nobody keeps.
pub(super) fn with(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, media_type),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (http::header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}
