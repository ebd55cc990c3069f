//! Objects in the JSON API (<https://cloud.google.com/storage/docs/json_api/v1/objects>), except their bytes and upload
//! sessions.

mod change;
mod compose;
mod copy;
mod get;
mod insert;
mod list;

pub(crate) use change::{delete, patch, restore, update};
pub(crate) use compose::{Source, compose, join};
pub(crate) use copy::{copy, move_within, rewrite};
pub(crate) use get::{find, get, resource};
pub(crate) use insert::{Upload, insert};
pub(crate) use list::list;
