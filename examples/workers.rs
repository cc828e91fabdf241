//! Handlers that block, on two worker threads behind one loop: a bounded queue, 503 when it is full,
//! and nothing begun for a client that has left.

mod support;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use support::client::{Client, get};
use support::{Example, Timeline, terminate};
use trine::concurrency::{Bounds, HalfSyncHalfAsync, WorkerMeter, WorkerMetrics, WorkerOptions};
use trine::{Reply, Request, Server};

/// How long a handler blocks.
const WORK: Duration = Duration::from_millis(400);

fn main() -> trine::Result<ExitCode> {
    let about = "Handlers that block: 2 workers, a queue of 4, 503 beyond it.";
    let example = Example::from_arguments(about, "127.0.0.1:8080");
    let options = WorkerOptions {
        workers: 2,
        queue: Bounds {
            items_max: 4,
            bytes_max: 1 << 20,
        },
        ..WorkerOptions::default()
    };
    // Each worker makes its own service and its own state, here a count of its calls.
    let slow = || {
        |_: &Request<'_>, reply: Reply<'_>, calls: &mut u32| {
            thread::sleep(WORK); // a database, a file, a library that knows no loop
            *calls += 1;
            reply.text(format!("call {calls} of this worker\n"))
        }
    };
    let service = HalfSyncHalfAsync::start(&options, slow, || 0)?;
    let meter = service.meter();
    let server = Server::bind(example.listen)?;
    example.begin(server.local_address(), move |address, timeline| {
        demo(address, timeline, &meter)
    });
    server.serve_with(service, 0)?;
    Ok(example.verdict())
}

fn demo(address: SocketAddr, timeline: &Timeline, meter: &WorkerMeter) -> io::Result<()> {
    let ask = |_| {
        let mut client = Client::connect(address)?;
        client.send(&get("/"))?;
        Ok(client)
    };
    let mut clients = (0..2).map(ask).collect::<io::Result<Vec<_>>>()?;
    until(meter, |now| now.running == 2);
    clients.extend((0..4).map(ask).collect::<io::Result<Vec<_>>>()?);
    until(meter, |now| now.queued == 4);
    timeline.note("two calls block their workers, four requests wait");

    let mut refused = Client::connect(address)?;
    let mut quickest = WORK;
    for _ in 0..10 {
        let began = Instant::now();
        let answer = refused.get("/")?;
        quickest = quickest.min(began.elapsed());
        let is_refusal = answer.status == 503 && answer.says("Retry-After: 1");
        if !is_refusal {
            timeline.check(false, "more is refused: 503, with Retry-After");
        }
    }
    let now = meter.read();
    let says = format!("ten more are refused: 503 with Retry-After, in {quickest:?} at best");
    timeline.check(
        now.refused == 10 && quickest < Duration::from_millis(10),
        says,
    );
    timeline.check(now.done == 0, "while both workers are blocked");

    if let Some(client) = clients.pop() {
        client.reset()?; // an end of file alone may come from a client that still reads
        timeline.note("one of the four that wait leaves");
    }
    for client in &mut clients {
        let answer = client.answer()?;
        timeline.check(
            answer.status == 200,
            format_args!("200: {}", answer.body.trim_end()),
        );
    }
    until(meter, |now| now.queued == 0);
    let now = meter.read();
    timeline.check(
        (now.accepted, now.done, now.cancelled) == (6, 5, 1),
        "six were accepted: five calls made, the one for nobody was not",
    );
    terminate()
}

/// Waits until the counters are so; no longer than the demonstration may take.
fn until(meter: &WorkerMeter, is_so: impl Fn(&WorkerMetrics) -> bool) {
    while !is_so(&meter.read()) {
        thread::sleep(Duration::from_millis(1));
    }
}
