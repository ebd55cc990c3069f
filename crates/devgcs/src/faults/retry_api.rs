//! The Retry Test API of Google's storage-testbench
//! (<https://github.com/googleapis/storage-testbench#retry-test-api>).

use http::{Method, Response, StatusCode};
use serde_json::json;

use super::draw::Faults;
use crate::answer;
use crate::call::Call;
use crate::error::Error;
use crate::json as document;
use crate::response_body::ResponseBody;

/// Answers a request to this API; `None` if `path` does not belong to it.
pub(crate) async fn serve(
    faults: &Faults,
    call: &mut Call,
    path: &str,
) -> Option<Result<Response<ResponseBody>, Error>> {
    let tests = &faults.tests;
    let id = path.strip_prefix("/retry_test/");
    let answer = match (&call.method, path, id) {
        (&Method::POST, "/retry_test", _) => match document::object(&mut call.body).await {
            Ok(body) => tests.create(&body),
            Err(error) => Err(error),
        },
        (&Method::GET, "/retry_tests", _) => Ok(tests.list()),
        (&Method::GET, _, Some(id)) => tests.get(id),
        (&Method::DELETE, _, Some(id)) => tests.delete(id).map(|()| json!({})),
        _ => return None,
    };
    Some(answer.map(|value| answer::json(StatusCode::OK, &value)))
}
