//! SIGTERM under load: what is under way is answered, what is idle is closed at once, nothing new
//! begins; a second SIGTERM does not wait.
//!
//! A slow answer costs no thread: it is a promise the loop keeps 400 ms later. As a server the
//! exit code is 0 after a complete drain and 1 after one that was forced.

mod support;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::client::{Answer, Client, get};
use support::{Example, Timeline, terminate};
use trine::reactor::ErrorKind;
use trine::server::ServerMetrics;
use trine::service::{Answered, Reply};
use trine::time::Span;
use trine::{EventLoop, Request, Response, Server, Signal, Sources};

const SLOW: Duration = Duration::from_millis(400);
const GRACE: Duration = Duration::from_secs(3);
const CLIENTS: usize = 20;

fn main() -> trine::Result<ExitCode> {
    let about = "SIGTERM under load: nothing is lost; a second one does not wait.";
    let example = Example::from_arguments(about, "127.0.0.1:8080");
    let (metrics, ended) = serve(&example, term_under_load)?;
    if !example.is_demo() {
        return ended.map(|()| ExitCode::SUCCESS);
    }
    let timeline = example.timeline.clone();
    let requests = metrics.requests;
    timeline.check(ended.is_ok(), "the drain was complete: exit code 0");
    let answers = ANSWERS.load(Ordering::Relaxed);
    let says = format!("{requests} requests reached the service, {answers} answers the clients");
    timeline.check(requests == answers, says);
    let drain = metrics.drain();
    let counted = [("finished", drain.finished), ("idle", drain.idle)];
    timeline.note(format_args!(
        "connections that the drain ended: {counted:?}"
    ));
    timeline.check(drain.cut == 0, "and none was cut");

    let (_, ended) = serve(&example, term_twice)?;
    let forced = ended.is_err_and(|error| error.kind() == ErrorKind::DrainForced);
    timeline.check(forced, "the second drain was forced: exit code 1");
    Ok(example.verdict())
}

type Demo = fn(SocketAddr, &Timeline) -> io::Result<()>;

/// Serves until a drain has ended, and says how.
fn serve(example: &Example, demo: Demo) -> trine::Result<(ServerMetrics, trine::Result<()>)> {
    let server = Server::bind(example.listen)?;
    let address = server.local_address();
    let mut event_loop = EventLoop::new()?;
    let handle = server.attach(&mut event_loop, service)?;
    event_loop.drain_on_signals([Signal::TERM, Signal::INT], GRACE)?;
    example.begin(address, demo);
    let ended = event_loop.run(&mut ());
    let metrics = handle.metrics(&mut event_loop.context());
    Ok((metrics.expect("the service is not running"), ended))
}

fn service(request: &Request<'_>, reply: Reply<'_>, _: &mut ()) -> Answered {
    if request.path() != "/slow" {
        return reply.text("quick\n");
    }
    let (deferred, answered) = reply.defer();
    deferred.send_after(Span::from(SLOW), Response::text("slow\n"));
    answered
}

/// Whole answers that clients have read.
static ANSWERS: AtomicU64 = AtomicU64::new(0);

fn term_under_load(address: SocketAddr, timeline: &Timeline) -> io::Result<()> {
    let mut idle = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Client::connect(address)?;
        ask(&mut client, "/")?;
        idle.push(client);
    }
    let all_asked = Barrier::new(CLIENTS + 2 + 1);
    thread::scope(|scope| {
        let busy = [(); 2].map(|()| scope.spawn(|| ask_until_closed(address, &all_asked)));
        let slow = [(); CLIENTS].map(|()| scope.spawn(|| ask_slowly(address, &all_asked)));
        all_asked.wait();
        timeline.note("SIGTERM, with 20 slow answers under way, 20 idle and 2 busy clients");
        let term = Instant::now();
        terminate()?;
        for client in &mut idle {
            client.rest()?;
        }
        let after = term.elapsed();
        timeline.check(
            after < SLOW / 2,
            format_args!("idle: closed after {after:.0?}"),
        );
        let refused = TcpStream::connect(address).is_err();
        timeline.check(refused, "new: refused");
        for client in busy {
            let answers = client.join().expect("no panic")?;
            timeline.note(format_args!(
                "busy: {answers} answers, then closed between two"
            ));
        }
        for client in slow {
            client.join().expect("no panic")?;
        }
        let after = term.elapsed();
        timeline.check(true, format_args!("slow: all answered after {after:.0?}"));
        Ok(())
    })
}

fn ask(client: &mut Client, path: &str) -> io::Result<Answer> {
    let answer = client.get(path)?;
    ANSWERS.fetch_add(1, Ordering::Relaxed);
    Ok(answer)
}

fn ask_slowly(address: SocketAddr, all_asked: &Barrier) -> io::Result<()> {
    let mut client = Client::connect(address)?;
    client.send(&(get("/") + &get("/slow")))?;
    client.answer()?; // so the server has seen the second request too
    all_asked.wait();
    let last = client.answer()?;
    ANSWERS.fetch_add(2, Ordering::Relaxed);
    match last.says("Connection: close") {
        true => Ok(()),
        false => Err(io::Error::other("the last answer did not say so")),
    }
}

fn ask_until_closed(address: SocketAddr, all_asked: &Barrier) -> io::Result<u32> {
    let mut client = Client::connect(address)?;
    ask(&mut client, "/")?;
    all_asked.wait();
    for answers in 1.. {
        match ask(&mut client, "/") {
            Ok(answer) if answer.says("Connection: close") => return Ok(answers + 1),
            Ok(_) => {}
            Err(_) => return Ok(answers), // the counts tell whether an answer was lost
        }
    }
    Ok(u32::MAX)
}

fn term_twice(address: SocketAddr, timeline: &Timeline) -> io::Result<()> {
    let mut client = Client::connect(address)?;
    client.send(&(get("/") + &get("/slow")))?;
    client.answer()?;
    timeline.note("SIGTERM, with one slow answer under way");
    let term = Instant::now();
    terminate()?;
    while TcpStream::connect(address).is_ok() {
        thread::sleep(Duration::from_millis(1)); // until the drain has begun
    }
    timeline.note("SIGTERM again");
    terminate()?;
    let answered = client.answer().is_ok();
    let after = term.elapsed();
    timeline.check(
        !answered && after < SLOW,
        format_args!("cut after {after:.0?}"),
    );
    Ok(())
}
