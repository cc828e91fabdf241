//! The same echo over readiness and over operations: reactor, proactor emulated, proactor on io_uring.
//!
//! `proactor_echo [ROUNDS]` serves each in turn on one thread and drives it from another with blocking
//! sockets in rounds: every connection sends, then every connection is read. Prints round trips a second
//! and the processor time of the server's thread for one of them, each also as a ratio to the reactor, at
//! 1, 64 and 512 connections: the middle of five runs that take turns. Build it with
//! `--features io-uring` for the third.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use trine::proactor::{Outcome, Pattern, Proactor, ProactorOptions, Socket};
use trine::reactor::{InboxSender, Mail, StreamListener};
use trine::{Context, Event, EventLoop, EventSource, Next, Sources};

type Failure = Box<dyn Error + Send + std::marker::Sync>;

const MESSAGE: [u8; 64] = [b'x'; 64];
const RUNS: usize = 5;

/// Echoes what comes; sends one thing at a time.
struct Echo {
    proactor: Proactor,
    socket: Socket,
    waiting: VecDeque<trine::proactor::Payload>,
    sending: usize,
}

impl EventSource<()> for Echo {
    fn handle(&mut self, event: Event, (): &mut (), cx: &mut Context<'_, ()>) -> Next {
        let completed = match event {
            Event::Resumed => {
                let started = self.proactor.receive_many(cx, &self.socket);
                return started.map_or(Next::Close, |_| Next::Wait);
            }
            Event::Completed(completed) => completed,
            _ => return Next::Wait,
        };
        match self.proactor.take(cx, completed).map(|done| done.outcome) {
            Some(Outcome::Received(filled)) if filled.is_empty() => return Next::Close,
            Some(Outcome::Received(filled)) => self.waiting.push_back(filled.into()),
            Some(Outcome::Sent(passed)) => {
                self.sending -= 1;
                match passed.rest.is_empty() {
                    true => self.proactor.recycle(cx, passed.rest),
                    false => self.waiting.push_front(passed.rest),
                }
            }
            _ => return Next::Close,
        }
        if self.sending == 0
            && let Some(next) = self.waiting.pop_front()
        {
            self.sending += 1;
            if self.proactor.send(cx, &self.socket, next).is_err() {
                return Next::Close;
            }
        }
        Next::Wait
    }
}

/// Accepts clients for [`Echo`].
struct Accept {
    proactor: Proactor,
    listening: trine::proactor::Listening,
}

impl EventSource<()> for Accept {
    fn handle(&mut self, event: Event, (): &mut (), cx: &mut Context<'_, ()>) -> Next {
        match event {
            Event::Resumed => {
                let started = self.proactor.accept_many(cx, &self.listening);
                return started.map_or(Next::Close, |_| Next::Wait);
            }
            Event::Completed(completed) => {
                let done = self.proactor.take(cx, completed);
                if let Some(Outcome::Accepted(socket, _)) = done.map(|done| done.outcome) {
                    let (waiting, sending) = (VecDeque::new(), 0);
                    let proactor = self.proactor;
                    let echo = Echo {
                        proactor,
                        socket,
                        waiting,
                        sending,
                    };
                    let _ = cx.insert(echo);
                }
            }
            _ => {}
        }
        Next::Wait
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Model {
    Reactor,
    Proactor(Pattern),
}

enum Ask {
    /// The processor time of the server's thread.
    Time(Sender<Duration>),
    Stop,
}

fn serve(model: Model, ready: &Sender<(SocketAddr, InboxSender<Ask>)>) -> Result<(), Failure> {
    let mut events = EventLoop::<()>::new()?;
    let address = match model {
        Model::Reactor => events.tcp("127.0.0.1:0", |(), link, bytes| {
            link.write(bytes);
        })?,
        Model::Proactor(pattern) => {
            let options = ProactorOptions {
                pattern,
                ..ProactorOptions::default()
            };
            let proactor = Proactor::new(&mut events, options)?;
            let mut cx = events.context();
            if proactor.pattern(&mut cx)? != pattern {
                return Err("io_uring is denied here".into());
            }
            let listener = StreamListener::bind_tcp("127.0.0.1:0")?;
            let address = listener.local_address().ok_or("no address")?;
            let listening = proactor.listen(&mut cx, listener)?;
            cx.insert(Accept {
                proactor,
                listening,
            })
            .map_err(|refused| refused.error)?;
            address
        }
    };
    let inbox = events.inbox(4, |(), mail, cx| match mail {
        Mail::Message(Ask::Time(answer)) => drop(answer.send(thread_time())),
        _ => cx.stop(),
    })?;
    ready.send((address, inbox))?;
    events.run(&mut ())?;
    Ok(())
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Round trips a second, and processor time of the server for one.
fn measure(model: Model, connections: usize, trips: usize) -> Result<(f64, f64), Failure> {
    let (ready, address) = channel();
    let server = thread::spawn(move || serve(model, &ready));
    let Ok((address, inbox)) = address.recv() else {
        return server
            .join()
            .map_err(|_| "the server panicked")?
            .map(|()| (0.0, 0.0));
    };
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        streams.push(stream);
    }
    let time = || -> Result<Duration, Failure> {
        let (answer, time) = channel();
        inbox
            .send(Ask::Time(answer))
            .map_err(|_| "the server is gone")?;
        Ok(time.recv()?)
    };
    let rounds = trips.div_ceil(connections);
    drive(&mut streams, rounds / 10 + 1)?; // warm
    let (began, before) = (Instant::now(), time()?);
    drive(&mut streams, rounds)?;
    let (took, busy) = (began.elapsed(), time()? - before);
    inbox.send(Ask::Stop).map_err(|_| "the server is gone")?;
    server.join().map_err(|_| "the server panicked")??;
    let trips = (rounds * connections) as f64;
    Ok((trips / took.as_secs_f64(), busy.as_secs_f64() * 1e6 / trips))
}

fn drive(streams: &mut [TcpStream], rounds: usize) -> Result<(), Failure> {
    let mut answer = [0; MESSAGE.len()];
    for _ in 0..rounds {
        for stream in &mut *streams {
            stream.write_all(&MESSAGE)?;
        }
        for stream in &mut *streams {
            stream.read_exact(&mut answer)?;
        }
    }
    Ok(())
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> Result<(), Failure> {
    let trips: usize = std::env::args()
        .nth(1)
        .map_or(Ok(100_000), |rounds| rounds.parse())?;
    let mut models = vec![Model::Reactor, Model::Proactor(Pattern::Emulated)];
    if cfg!(feature = "io-uring") {
        models.push(Model::Proactor(Pattern::IoUring));
    }
    println!("| connections | model | round trips/s | ratio | CPU us each | ratio |");
    println!("|---|---|---|---|---|---|");
    for connections in [1, 64, 512] {
        let mut results = vec![(Vec::new(), Vec::new()); models.len()];
        for _ in 0..RUNS {
            for (model, (rates, times)) in models.iter().zip(&mut results) {
                let (rate, time) = measure(*model, connections, trips)?;
                rates.push(rate);
                times.push(time);
            }
        }
        let mut base = None;
        for (model, (rates, times)) in models.iter().zip(results) {
            let (rate, time) = (middle(rates), middle(times));
            let (base_rate, base_time) = *base.get_or_insert((rate, time));
            let (faster, dearer) = (rate / base_rate, time / base_time);
            println!(
                "| {connections} | {model:?} | {rate:.0} | {faster:.2} | {time:.2} | {dearer:.2} |"
            );
        }
    }
    Ok(())
}
