//! A bucket's objects, and a project's buckets, page by page.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::given_up::GivenUp;
use super::requests::ReliableRequests;
use gcsd_types::digits;
use gcsd_types::{BucketQuery, Crc32c, ObjectInfo, ObjectQuery, Page};
use gcsd_wire::{list_buckets, list_objects};

/// An object of a list.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ListedObject {
    /// Its name.
    pub name: String,
    /// The fields that a program needs, as far as they were asked for.
    pub info: ObjectInfo,
    /// GCS's JSON resource, as far as it was asked for.
    pub resource: Map<String, Value>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct ObjectPage {
    /// Objects, by name.
    pub objects: Vec<ListedObject>,
    /// What the names of others begin with, up to the delimiter that was asked for.
    pub prefixes: Vec<String>,
}

/// A list, of which one page is held at a time. Each is asked for again until it comes.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/daemon.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = daemon().await?;
/// # let address = daemon.address.as_str();
/// # let client = gcsd_client::Client::connect(address).await?;
/// let mut pages = client.list("gs://my-bucket/")?;
/// while let Some(page) = pages.next().await? {
///     for object in page.objects {
///         assert_eq!(object.name, "notes.txt");
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ObjectPages {
    requests: ReliableRequests,
    /// What the next page is asked for with; `None` behind the last one.
    query: Option<ObjectQuery>,
}

impl ObjectPages {
    /// The objects that `query` asks for. Its `fields`, where it has any, must include `nextPageToken`.
    pub fn new(requests: ReliableRequests, query: ObjectQuery) -> Self {
        let query = Some(query);
        Self { requests, query }
    }

    /// The next page, which may be empty; `None` behind the last one, and after an error.
    ///
    /// Cancel safe: a page whose future was dropped is the next one again.
    pub async fn next(&mut self) -> Result<Option<ObjectPage>, GivenUp> {
        let Some(query) = self.query.clone() else {
            return Ok(None);
        };
        let args = list_objects::ListObjectsArgs { query };
        let reply = self.requests.list(&args).await;
        // Only now: a future that is dropped before leaves the list where it was.
        self.query = None;
        let reply = reply?;
        let page = read(&reply.json)?;
        let mut query = args.query;
        if turn(&mut query.page_token, reply.args)? {
            self.query = Some(query);
        }
        Ok(Some(page))
    }
}

/// Takes the next page's token. Says whether there is one.
fn turn(token: &mut Option<String>, page: Page) -> Result<bool, GivenUp> {
    if page.next_page_token.is_some() && page.next_page_token == *token {
        return Err(GivenUp::bad_response(
            "a page of the list says that it comes after itself",
        ));
    }
    *token = page.next_page_token;
    Ok(token.is_some())
}

/// A project's buckets, of which one page is held at a time, as GCS's JSON resources.
#[derive(Debug)]
pub struct BucketPages {
    requests: ReliableRequests,
    query: Option<BucketQuery>,
}

impl BucketPages {
    /// The buckets that `query` asks for. Its `fields`, where it has any, must include `nextPageToken`.
    pub fn new(requests: ReliableRequests, query: BucketQuery) -> Self {
        let query = Some(query);
        Self { requests, query }
    }

    /// The next page, which may be empty; `None` behind the last one, and after an error.
    ///
    /// Cancel safe: a page whose future was dropped is the next one again.
    pub async fn next(&mut self) -> Result<Option<Vec<Map<String, Value>>>, GivenUp> {
        let Some(query) = self.query.clone() else {
            return Ok(None);
        };
        let args = list_buckets::ListBucketsArgs { query };
        let reply = self.requests.list_buckets(&args).await;
        self.query = None;
        let reply = reply?;
        let page = resources(&reply.json)?;
        let mut query = args.query;
        if turn(&mut query.page_token, reply.args)? {
            self.query = Some(query);
        }
        Ok(Some(page.items))
    }
}

#[derive(Debug, Default, Deserialize)]
struct Resources {
    #[serde(default)]
    items: Vec<Map<String, Value>>,
    #[serde(default)]
    prefixes: Vec<String>,
}

/// Reads GCS's JSON.
fn resources(json: &Bytes) -> Result<Resources, GivenUp> {
    if json.is_empty() {
        return Ok(Resources::default());
    }
    serde_json::from_slice(json)
        .map_err(|error| GivenUp::bad_response(format!("GCS's list cannot be read: {error}")))
}

fn read(json: &Bytes) -> Result<ObjectPage, GivenUp> {
    let page = resources(json)?;
    let objects = page.items.into_iter().map(|resource| {
        let name = text(&resource, "name")
            .ok_or_else(|| GivenUp::bad_response("GCS lists an object without a name"))?;
        Ok(ListedObject {
            name: name.to_owned(),
            info: info(&resource),
            resource,
        })
    });
    Ok(ObjectPage {
        objects: objects.collect::<Result<_, _>>()?,
        prefixes: page.prefixes,
    })
}

fn text<'a>(resource: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    resource.get(field)?.as_str()
}

fn info(resource: &Map<String, Value>) -> ObjectInfo {
    let number = |field| text(resource, field).and_then(digits).unwrap_or(0);
    ObjectInfo {
        generation: number("generation"),
        metageneration: number("metageneration"),
        size: number("size"),
        crc32c: text(resource, "crc32c").and_then(Crc32c::from_base64),
        md5: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let json = r#"{"items":[{"name":"a","size":"5","generation":"7","metageneration":"1",
            "crc32c":"yZRlqg=="}],"prefixes":["d/"],"kind":"storage#objects"}"#;
        let page = read(&json.into()).expect("a page");
        assert_eq!(page.prefixes, ["d/"]);
        let object = &page.objects[0];
        assert_eq!(object.name, "a");
        assert_eq!((object.info.size, object.info.generation), (5, 7));
        assert_eq!(object.info.crc32c, Some(Crc32c::of(b"hello world")));
        assert_eq!(read(&"{}".into()), Ok(ObjectPage::default()));
        assert_eq!(read(&"".into()), Ok(ObjectPage::default()));
        for bad in [
            r#"{"items":[{}]}"#,
            r#"{"items":[{"name":1}]}"#,
            r#"{"prefixes":[1]}"#,
        ] {
            assert_eq!(read(&bad.into()).expect_err(bad).error().name(), "bad_response");
        }
    }
}
