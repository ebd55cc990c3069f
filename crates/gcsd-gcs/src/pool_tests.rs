use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;

use super::super::link::{Guard, Link, Meter};
use super::*;

const IDLE: Duration = Duration::from_secs(3600);

fn endpoint(port: u16) -> Endpoint {
    Endpoint::parse(&format!("http://127.0.0.1:{port}")).expect("an endpoint")
}

/// A connection to the server with `port` that has carried `answered` requests. It lives as long as the server's end.
async fn connection(port: u16, answered: u64, servers: &mut Vec<DuplexStream>) -> Box<Connection> {
    // So that no two are made at the same moment.
    tokio::time::advance(Duration::from_millis(1)).await;
    let (client, server) = tokio::io::duplex(1024);
    servers.push(server);
    let link = Arc::new(Link::default());
    let guard = Guard::plain(Meter::new(Box::new(client), link.clone()), link.clone());
    let (sender, driver) = http1::handshake(TokioIo::new(guard)).await.expect("made");
    let mut connection = Connection::new(endpoint(port), sender, driver, link);
    connection.answered = answered;
    Box::new(connection)
}

#[tokio::test(start_paused = true)]
async fn a_break_on_a_kept_connection_empties_the_pool_of_its_endpoint() {
    let (pool, mut servers) = (Pool::new(9, IDLE), Vec::new());
    for port in [1, 1, 2] {
        pool.put(connection(port, 1, &mut servers).await);
    }
    let under_way = connection(1, 5, &mut servers).await;
    let broken = connection(1, 2, &mut servers).await;
    pool.broke(&broken);
    assert!(pool.take(&endpoint(1)).is_none());
    pool.put(under_way);
    assert!(pool.take(&endpoint(1)).is_none(), "it is older than the break");
    pool.put(connection(1, 1, &mut servers).await);
    assert!(pool.take(&endpoint(1)).is_some(), "it is new");
    assert!(pool.take(&endpoint(2)).is_some(), "another endpoint");
}

#[tokio::test(start_paused = true)]
async fn a_break_at_the_first_reuse_keeps_nothing_for_a_while() {
    let (pool, mut servers) = (Pool::new(9, IDLE), Vec::new());
    pool.broke(&*connection(1, 1, &mut servers).await);
    // A second break that says less does not end it.
    pool.broke(&*connection(1, 7, &mut servers).await);
    pool.put(connection(1, 1, &mut servers).await);
    assert!(pool.take(&endpoint(1)).is_none());
    pool.put(connection(2, 1, &mut servers).await);
    assert!(pool.take(&endpoint(2)).is_some(), "another endpoint");
    tokio::time::advance(DISTRUST).await;
    pool.put(connection(1, 1, &mut servers).await);
    assert!(pool.take(&endpoint(1)).is_some(), "after a while");
}

#[tokio::test(start_paused = true)]
async fn a_break_on_a_new_connection_says_nothing_of_the_kept_ones() {
    let (pool, mut servers) = (Pool::new(9, IDLE), Vec::new());
    pool.put(connection(1, 1, &mut servers).await);
    pool.broke(&*connection(1, 0, &mut servers).await);
    assert!(pool.take(&endpoint(1)).is_some());
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_is_not_kept_however_busy_it_is() {
    let (pool, mut servers) = (Pool::new(9, IDLE), Vec::new());
    pool.put(connection(1, 1, &mut servers).await);
    let busy = pool.take(&endpoint(1)).expect("it is young");
    pool.put(connection(1, 1, &mut servers).await);
    tokio::time::advance(MAX_AGE).await;
    pool.put(busy);
    assert!(pool.take(&endpoint(1)).is_none());
}
