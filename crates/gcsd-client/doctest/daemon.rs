// Included by the examples in the documentation: a daemon before an embedded Cloud Storage, both in the example's process.

/// A running daemon. It stops when it is dropped.
struct Daemon {
    /// Where it listens.
    address: String,
    _storage: devgcs::Server,
    _stop: tokio::sync::oneshot::Sender<()>,
}

/// A daemon whose Cloud Storage has the bucket `my-bucket`, and in it the object `notes.txt`.
async fn daemon() -> Result<Daemon, Box<dyn std::error::Error>> {
    use std::{sync::Arc, time::Duration};

    let storage = devgcs::Server::builder().bucket("my-bucket").start().await?;
    let minute = Duration::from_secs(60);
    let gcs = gcsd_gcs::Config::anonymous(storage.endpoint().parse()?);
    let context = gcsd::ops::Context {
        gcs: gcsd_gcs::Gcs::new(gcs, Arc::new(gcsd_net::TcpConnector))?,
        sealer: gcsd::ops::Sealer::from_text(&"0".repeat(64))?,
        fences: gcsd::ops::Fences::default(),
        limits: gcsd::ops::Limits {
            max_args: 65_536,
            max_in_flight: 64,
            max_uploads: 64,
            drain_cap: 1 << 20,
            handshake_timeout: minute,
            idle_timeout: minute,
            client_timeout: minute,
            gcs_timeout: minute,
        },
        secret: None,
        access: gcsd::policy::Access::new(None),
    };
    let config = gcsd::server::Config {
        max_connections: 64,
        max_calls: 64,
        max_memory: 1 << 28,
        read_buffer: 1 << 16,
        receive_buffer: 1 << 17,
        grace: minute,
        drain_delay: Duration::ZERO,
        refusal_delay: Duration::ZERO,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = gcsd::server::Server::new(context, config, vec![listener.into()]);
    tokio::spawn(server.run(async move { drop(stopped.await) }));
    let client = gcsd_client::Client::connect(&address).await?;
    client.object("gs://my-bucket/notes.txt")?.upload().bytes("first line\nsecond line\n").await?;
    Ok(Daemon { address, _storage: storage, _stop: stop })
}
