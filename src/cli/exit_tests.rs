use super::*;
use gcsd_client::{DaemonError, Error};
use gcsd_wire::{ErrorReply, Opcode};

#[test]
fn a_failure_is_one_line_that_begins_with_its_name() {
    let error = Error::Daemon(Box::new(DaemonError {
        opcode: Some(Opcode::StatObject),
        status: Status::new(Kind::NotFound, Retry::Never),
        http_status: 404,
        reply: ErrorReply {
            message: "No such object".into(),
            ..ErrorReply::default()
        },
    }));
    let failure = Failure::from(error).at("gs://b/o");
    assert_eq!(
        failure.to_string(),
        "not_found: No such object (GCS: HTTP 404): gs://b/o; look at the names of the bucket and the object"
    );
    assert_eq!(failure.exit, Exit::NotFound);
    let usage = Failure::usage("no").to_string();
    assert_eq!(usage, "usage: no");
}

#[test]
fn statuses_have_their_exit_codes() {
    for (kind, retry, exit) in [
        (Kind::Unavailable, Retry::Same, Exit::Temporary),
        (Kind::Reset, Retry::Query, Exit::Temporary),
        (Kind::BadArgs, Retry::Never, Exit::Failed),
        (Kind::Forbidden, Retry::Never, Exit::NotPermitted),
        (Kind::ChecksumMismatch, Retry::Restart, Exit::Differs),
        (Kind::PreconditionFailed, Retry::Never, Exit::Precondition),
    ] {
        assert_eq!(of_status(Status::new(kind, retry)), exit, "{kind:?}");
    }
    assert_eq!(of_status(Status::OK), Exit::Ok);
}
