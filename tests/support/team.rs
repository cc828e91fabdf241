//! A server on a team of threads, behind a loop on a thread of its own.

use trine::Server;
use trine::concurrency::TeamOptions;
use trine::service::Service;

use super::Running;

/// Runs a server at 127.0.0.1 with the settings of `configure`, and a service from `make` on each of so
/// many threads.
pub fn start<V: Service<()>>(
    threads: usize,
    configure: impl FnOnce(Server) -> Server,
    make: impl Fn() -> V + Send + Sync + 'static,
) -> Running {
    let options = TeamOptions {
        threads,
        ..TeamOptions::default()
    };
    start_on(options, configure, make)
}

/// The same for a team of another size.
pub fn start_on<V: Service<()>>(
    options: TeamOptions,
    configure: impl FnOnce(Server) -> Server,
    make: impl Fn() -> V + Send + Sync + 'static,
) -> Running {
    let server = super::by_pattern(configure(Server::bind("127.0.0.1:0").unwrap()));
    super::run_with(server, move |server, event_loop| {
        server.attach_team(event_loop, options, make, || ())
    })
}
