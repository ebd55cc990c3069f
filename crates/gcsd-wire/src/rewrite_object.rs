//! RewriteObject: one step of a copy (proto-spec.md, "RewriteObject").

use super::args::{ArgsError, check_size};
use super::object::NO_JSON;
use super::table::{wire_args_as, wire_struct};
use gcsd_types::{Destination, ObjectInfo, ObjectRef, Rewrite, Rewritten};

/// What to copy where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewriteObjectArgs {
    /// The step.
    pub rewrite: Box<Rewrite>,
}

/// How far the copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewriteObjectReply {
    /// The outcome of the step.
    pub rewritten: Rewritten,
}

wire_struct! {
    /// What to copy where.
    #[derive(Clone, PartialEq)]
    pub(crate) struct Fields: "RewriteObject.args"[152], request, checked by Fields::check {
        /// The object that is made.
        destination: Destination;
        /// The object that is copied.
        source: ObjectRef where not(fields = NO_JSON, user_project = "is that of the destination");
        /// How many bytes this step copies, at most: a multiple of 1 MiB; absent: GCS's choice.
        max_bytes: Option<u64>, destination.present[4];
        /// The `rewrite_token` of the step before; absent: the first step.
        rewrite_token: Option<String>;
        pad reserved 2;
        pad reserved2 4;
        pad reserved3 8;
    }
}

wire_struct! {
    /// How far the copy is.
    #[derive(Clone, PartialEq)]
    pub(crate) struct ReplyFields: "RewriteObject.reply"[96], reply {
        /// Bytes copied so far, in all steps.
        rewritten: u64;
        /// The object's size.
        size: u64;
        bits state;
        /// What the next step is asked for with; absent: the copy is done.
        rewrite_token: Option<String>;
        pad reserved 2;
        pad reserved2 8;
        /// The copy is there.
        flag done, state[0];
        /// The copy, once it is there; zeros before.
        object: Option<ObjectInfo>, state[0];
    }
}

impl Fields {
    fn check(&self) -> Result<(), ArgsError> {
        check_size("max_bytes", self.max_bytes)
    }
}

impl From<&RewriteObjectArgs> for Fields {
    fn from(RewriteObjectArgs { rewrite }: &RewriteObjectArgs) -> Self {
        let rewrite = (**rewrite).clone();
        Self {
            destination: rewrite.destination,
            source: rewrite.source,
            max_bytes: rewrite.max_bytes,
            rewrite_token: rewrite.token,
        }
    }
}

impl From<Fields> for RewriteObjectArgs {
    fn from(fields: Fields) -> Self {
        Self {
            rewrite: Box::new(Rewrite {
                source: fields.source,
                destination: fields.destination,
                max_bytes: fields.max_bytes,
                token: fields.rewrite_token,
            }),
        }
    }
}

impl From<&RewriteObjectReply> for ReplyFields {
    fn from(RewriteObjectReply { rewritten }: &RewriteObjectReply) -> Self {
        Self {
            rewritten: rewritten.rewritten,
            size: rewritten.size,
            rewrite_token: rewritten.token.clone(),
            object: rewritten.object,
        }
    }
}

impl From<ReplyFields> for RewriteObjectReply {
    fn from(fields: ReplyFields) -> Self {
        Self {
            rewritten: Rewritten {
                rewritten: fields.rewritten,
                size: fields.size,
                token: fields.rewrite_token,
                object: fields.object,
            },
        }
    }
}

wire_args_as!(RewriteObjectArgs, Fields, true);
wire_args_as!(RewriteObjectReply, ReplyFields, false);

/// The args of the request.
pub type Args = RewriteObjectArgs;
/// The args of the reply.
pub type Reply = RewriteObjectReply;
