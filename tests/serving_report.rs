//! What a server of several loops reports at its end: one line for all of them.

#[path = "support/reports.rs"]
mod reports;
mod support;

use std::time::Duration;

use reports::Reports;
use support::client::Client;
use support::site;
use trine::server::{Accepting, CoreOptions, Model};
use trine::{Server, Sources};

#[test]
fn the_end_of_a_drain_is_reported_once_for_all_loops() {
    let reports = Reports::under("trine::http");
    tracing::subscriber::set_global_default(reports.clone()).unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_address().unwrap();
    let model = Model::LoopPerCore(CoreOptions {
        loops: 3,
        accepting: Accepting::One,
        ..CoreOptions::default()
    });
    let clients = std::thread::spawn(move || {
        let mut clients: Vec<_> = (0..6).map(|_| Client::connect(address)).collect();
        for client in &mut clients {
            assert_eq!(client.get("/").status, 200);
        }
        clients
    });
    let ended = server.under(model).run_with(
        || site,
        || (),
        |core, meter, event_loop| {
            let meter = meter.clone();
            if core.number() == 1 {
                let drain_when_all_was_asked =
                    move |(): &mut (), _, cx: &mut trine::Context<'_, ()>| {
                        if meter.read().requests == 6 {
                            cx.drain(Duration::from_secs(5));
                        }
                    };
                event_loop.every(Duration::from_millis(5), drain_when_all_was_asked)?;
            }
            Ok(())
        },
    );
    ended.unwrap();
    drop(clients.join().unwrap());
    let lines: Vec<_> = reports.all().into_iter().map(|(_, line)| line).collect();
    let drained: Vec<_> = lines.iter().filter(|it| it.contains("drained")).collect();
    assert_eq!(drained.len(), 1, "{lines:?}");
    assert!(
        drained[0].contains("idle=6") && drained[0].contains("requests=6"),
        "{drained:?}"
    );
}
