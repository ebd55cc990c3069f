//! ListObjects (proto-spec.md, section of the same name).

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use gcsd_client::{Address, Connection, ObjectPages, Options, ReliableRequests};
use gcsd_net::TcpConnector;
use gcsd_types::{Crc32c, ObjectQuery, Page};
use gcsd_wire::list_objects::Args;
use gcsd_wire::page::{End, Reply as PageReply};
use gcsd_wire::{Kind, Reply, Request, Retry};

use crate::support::daemon::{BUCKET, Client, Daemon};
use crate::support::devgcs;
use crate::support::uploads::{daemons, retries, tcp};

fn query() -> ObjectQuery {
    ObjectQuery::new(BUCKET.parse().expect("a name"))
}

/// A page, whose frames are what the specification says.
async fn page(client: &mut Client, query: ObjectQuery) -> (Page, serde_json::Value) {
    let request = Request::ListObjects(Args { query });
    let sequence = client.begin(0, &request, 0).await;
    let mut json = Vec::new();
    loop {
        let frame = client.reply_to(sequence).await;
        match frame.ok() {
            Reply::ListObjects(PageReply::Piece) => {
                assert!(frame.head.more() && (1..=256 * 1024).contains(&frame.body.len()));
                assert_eq!(frame.head.http_status, 0);
                json.extend(frame.body);
            }
            Reply::ListObjects(PageReply::End(End { sent, crc32c, page })) => {
                assert!(!frame.head.more() && frame.body.is_empty());
                assert_eq!((frame.head.http_status, sent), (200, json.len() as u64));
                assert_eq!(crc32c, Crc32c::of(&json));
                let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
                let count = |name: &str| json[name].as_array().map_or(0, Vec::len);
                assert_eq!(count("items"), usize::try_from(page.items).expect("small"));
                assert_eq!(count("prefixes"), usize::try_from(page.prefixes).expect("small"));
                assert_eq!(json["nextPageToken"].as_str(), page.next_page_token.as_deref());
                return (page, json);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn names(json: &serde_json::Value) -> Vec<&str> {
    let items = json["items"].as_array().map_or(&[][..], Vec::as_slice);
    items.iter().filter_map(|item| item["name"].as_str()).collect()
}

#[tokio::test]
async fn a_list_has_prefixes_pages_and_bounds() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let (empty, _) = page(&mut client, query()).await;
    assert_eq!(empty, Page::default());
    for name in ["a/1", "a/2.txt", "a/b/3", "c", "ü#?&"] {
        devgcs::upload(
            &daemon.devgcs,
            &name
                .replace('#', "%23")
                .replace('&', "%26")
                .replace('ü', "%C3%BC"),
            b"x",
        )
        .await;
    }
    let (all, json) = page(&mut client, query()).await;
    assert_eq!((all.items, all.prefixes, all.next_page_token), (5, 0, None));
    assert_eq!(names(&json), ["a/1", "a/2.txt", "a/b/3", "c", "ü#?&"]);

    let below = |prefix: &str| ObjectQuery {
        prefix: Some(prefix.into()),
        delimiter: Some("/".into()),
        ..query()
    };
    let (found, json) = page(&mut client, below("a/")).await;
    assert_eq!((found.items, found.prefixes), (2, 1));
    assert_eq!(json["prefixes"][0], "a/b/");

    // Page by page it is the same list.
    let mut next = ObjectQuery {
        max_results: Some(2),
        ..query()
    };
    let mut seen = Vec::new();
    for expected in [2, 2, 1] {
        let (found, json) = page(&mut client, next.clone()).await;
        assert_eq!(found.items, expected);
        seen.extend(names(&json).into_iter().map(str::to_owned));
        next.page_token = found.next_page_token;
    }
    assert_eq!((seen.len(), next.page_token), (5, None));

    let bounded = ObjectQuery {
        start_offset: Some("a/2".into()),
        end_offset: Some("c".into()),
        ..query()
    };
    assert_eq!(names(&page(&mut client, bounded).await.1), ["a/2.txt", "a/b/3"]);
    let globbed = ObjectQuery {
        match_glob: Some("**.txt".into()),
        ..query()
    };
    assert_eq!(names(&page(&mut client, globbed).await.1), ["a/2.txt"]);
    // Fields are selected, and the token still comes.
    let few = ObjectQuery {
        max_results: Some(1),
        fields: Some("items(size)".into()),
        ..query()
    };
    let (found, json) = page(&mut client, few).await;
    assert!(found.next_page_token.is_some());
    assert_eq!(json["items"][0], serde_json::json!({ "size": "1" }));
}

#[tokio::test]
async fn a_page_of_a_thousand_comes_in_pieces() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    for at in 0..1001 {
        devgcs::upload(&daemon.devgcs, &format!("{}{at:04}", "long".repeat(100)), b"").await;
    }
    let (found, json) = page(&mut client, query()).await;
    assert_eq!((found.items, names(&json).len()), (1000, 1000));
    assert!(json.to_string().len() > 1 << 20, "it is larger than a piece");
    let rest = ObjectQuery {
        page_token: found.next_page_token,
        ..query()
    };
    assert_eq!(page(&mut client, rest).await.0.items, 1);

    let address: Address = daemon.address.to_string().parse().expect("an address");
    let connection = Connection::open(&TcpConnector, &address, &Options::default())
        .await
        .expect("connected");
    let listed = connection
        .list_objects(&Args { query: query() })
        .await
        .expect("listed");
    assert_eq!(listed.args.items, 1000);
    let again: serde_json::Value = serde_json::from_slice(&listed.json).expect("JSON");
    assert_eq!(names(&again), names(&json));
}

#[tokio::test]
async fn what_cannot_be_listed_is_told() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let elsewhere = ObjectQuery::new("no-such-bucket".parse().expect("a name"));
    let missing = Request::ListObjects(Args { query: elsewhere });
    let frame = client.call(0, missing).await;
    assert_eq!(frame.head.http_status, 404);
    frame.fails(Kind::NotFound, Retry::Never);
    let query = ObjectQuery {
        page_token: Some("not a token".into()),
        ..query()
    };
    let frame = client.call(0, Request::ListObjects(Args { query })).await;
    frame.fails(Kind::Refused, Retry::Never);
    client.lives().await;
}

#[tokio::test]
async fn a_page_that_nobody_waited_for_is_the_next_one() {
    let daemon = Daemon::start().await;
    for name in ["a", "b", "c", "d", "e"] {
        devgcs::upload(&daemon.devgcs, name, b"").await;
    }
    let requests = ReliableRequests::new(daemons(&[daemon.address], tcp()), retries());
    let mut two = query();
    two.max_results = Some(2);
    let mut pages = ObjectPages::new(requests, two);
    let mut names = Vec::new();
    loop {
        {
            let mut dropped = pin!(pages.next());
            let polled = poll_fn(|cx| Poll::Ready(dropped.as_mut().poll(cx))).await;
            assert!(names.len() == 5 || polled.is_pending(), "it takes the network");
        }
        match pages.next().await.expect("a page") {
            Some(page) => names.extend(page.objects.into_iter().map(|object| object.name)),
            None => break,
        }
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
}
