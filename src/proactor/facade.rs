//! The initiator's side of the proactor: what a source can start.

use std::fmt;
use std::fs::File;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::device::{Device, Resource};
use super::driver::Driver;
use super::handle::{DiskFile, Handle, Listening, Socket};
use super::metrics::ProactorMetrics;
use super::operation::{Completion, Payload, Refused};
use super::options::{Pattern, ProactorOptions};
use super::pool::Pool;
use super::shared::{Intake, Shared, settle, wrong_kind};
use super::table::Table;
use crate::reactor::{
    Completed, Context, Error, ErrorKind, Local, OperationId, Result, ShortRead, Sources, Stream,
    StreamListener,
};
use crate::time::Span;

/// Starts operations; their completions come to the source that started them, as
/// [`Event::Completed`](crate::Event::Completed), on the same loop.
///
/// A key, like [`Local`]: copy it into every source. On another loop than its own it finds nothing and
/// says so. Starting, cancelling and taking are O(1) and allocate nothing, but for connecting.
///
/// ```
/// use trine::proactor::{Completion, Outcome, Pattern, Proactor, ProactorOptions, Socket};
/// use trine::reactor::StreamListener;
/// use trine::{Context, Event, EventLoop, EventSource, Next};
///
/// /// Accepts one client, says good day, and ends.
/// struct Greeter { proactor: Proactor, client: Option<Socket>, listener: trine::proactor::Listening }
///
/// impl EventSource<()> for Greeter {
///     fn handle(&mut self, event: Event, _: &mut (), cx: &mut Context<'_, ()>) -> Next {
///         match event {
///             Event::Resumed => {
///                 self.proactor.accept(cx, &self.listener).expect("a listener");
///             }
///             Event::Completed(completed) => match self.proactor.take(cx, completed).map(|c| c.outcome) {
///                 Some(Outcome::Accepted(client, _)) => {
///                     self.proactor.send(cx, &client, &b"good day"[..]).expect("a client");
///                     self.client = Some(client);
///                 }
///                 _ => cx.stop(),
///             },
///             _ => {}
///         }
///         Next::Wait
///     }
/// }
///
/// # fn main() -> trine::Result<()> {
/// let mut events = EventLoop::new()?;
/// let proactor = Proactor::new(&mut events, ProactorOptions::default())?;
/// let listener = StreamListener::bind_tcp("127.0.0.1:0")?;
/// let address = listener.local_address().expect("an address");
/// let listener = proactor.listen(&mut events.context(), listener)?;
/// events.insert(Greeter { proactor, client: None, listener })?;
/// let client = std::thread::spawn(move || {
///     use std::io::Read;
///     let mut word = [0; 8];
///     std::net::TcpStream::connect(address)?.read_exact(&mut word)?;
///     Ok::<_, std::io::Error>(word)
/// });
/// events.run(&mut ())?;
/// assert_eq!(&client.join().expect("no panic").expect("a word"), b"good day");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct Proactor {
    pub(super) shared: Local<Shared>,
}

impl Proactor {
    /// A proactor on `events`. It stays for as long as the loop.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for options out of their bounds; when the table of sources is full.
    pub fn new<S: 'static>(
        events: &mut impl Sources<S>,
        options: ProactorOptions,
    ) -> Result<Proactor> {
        options.check()?;
        let mut cx = events.context();
        let settled = settle(made(&options), &mut cx);
        let shared = match settled {
            // A simulated machine watches no ring.
            Err(error) if options.pattern == Pattern::IoUring => {
                tracing::warn!(target: "trine::proactor", %error, "the loop takes no io_uring: operations are emulated");
                let pattern = Pattern::Emulated;
                settle(made(&ProactorOptions { pattern, ..options }), &mut cx)?
            }
            settled => settled?,
        };
        Ok(Proactor { shared })
    }

    /// Who does the operations.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] on another loop than its own; so for all that follow.
    pub fn pattern<S: 'static>(&self, cx: &mut Context<'_, S>) -> Result<Pattern> {
        self.with(cx, |shared, _| Ok(shared.driver.pattern()))
    }

    /// Takes a connected stream in, for operations on it.
    ///
    /// # Errors
    ///
    /// When the loop cannot watch it.
    pub fn attach<S: 'static>(&self, cx: &mut Context<'_, S>, stream: Stream) -> Result<Socket> {
        let peer = stream.peer();
        let short_read = peer.map_or(ShortRead::SaysNothing, |peer| peer.short_read());
        self.with(cx, |shared, cx| {
            shared.ready_for_driver(|waiting| stream.set_waiting(waiting))?;
            shared.adopt(stream, short_read, cx)
        })
    }

    /// Gives a stream back, to be used by readiness again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] while an operation works on it; the socket then stays what it was.
    pub fn detach<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        socket: Socket,
    ) -> std::result::Result<Stream, Refused<Socket>> {
        let detached = self.with(cx, |shared, cx| {
            shared.device(&socket.0)?;
            let Some(device) = shared.table.detach(socket.0.token) else {
                let what = "a stream that an operation works on";
                return Err(Error::new(ErrorKind::Busy, "detach", what));
            };
            shared.unwatch(&device, cx);
            match device.resource {
                Resource::Stream(stream) => Ok(Rc::into_inner(stream)),
                _ => Err(wrong_kind()),
            }
        });
        let stream = match detached {
            Ok(Some(stream)) => stream.set_waiting(false).map(|()| stream),
            Ok(None) => Err(io::Error::other("something still works on it")),
            Err(error) => {
                return Err(Refused {
                    memory: socket,
                    error,
                });
            }
        };
        stream.map_err(|error| Refused {
            memory: socket,
            error: Error::io("detach", "a stream", error),
        })
    }

    /// Takes a listener in, for accepting.
    ///
    /// # Errors
    ///
    /// When the loop cannot watch it.
    pub fn listen<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        listener: StreamListener,
    ) -> Result<Listening> {
        self.with(cx, |shared, cx| {
            shared.ready_for_driver(|waiting| listener.set_waiting(waiting))?;
            let resource = Resource::Listener(Rc::new(listener));
            let token = shared.attach(Device::new(resource, ShortRead::SaysNothing))?;
            shared.watch(token, cx)?;
            Ok(Listening(Handle::new(token, &shared.home()?.releases)))
        })
    }

    /// Takes a file in, for reading, writing and syncing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for what is neither a regular file nor a disk: it might make a thread wait
    /// for ever.
    pub fn file<S: 'static>(&self, cx: &mut Context<'_, S>, file: File) -> Result<DiskFile> {
        use std::os::unix::fs::FileTypeExt;
        let metadata = file.metadata();
        let metadata = metadata.map_err(|error| Error::io("attach", "a file", error))?;
        if !metadata.is_file() && !metadata.file_type().is_block_device() {
            let what = "what is neither a regular file nor a disk: use the loop's sources for it";
            return Err(Error::new(ErrorKind::Invalid, "attach", what));
        }
        self.with(cx, |shared, _| {
            let resource = Resource::File(Arc::new(file));
            let token = shared.attach(Device::new(resource, ShortRead::SaysNothing))?;
            Ok(DiskFile(Handle::new(token, &shared.home()?.releases)))
        })
    }

    /// Asks that an operation ends. It completes as cancelled, or with its result, if that was faster.
    /// False when it is over, was asked before, or is of another proactor.
    pub fn cancel<S: 'static>(&self, cx: &mut Context<'_, S>, operation: OperationId) -> bool {
        let cancelled = cx.with(self.shared, |shared, cx| shared.cancel(operation, cx));
        cancelled.unwrap_or(false)
    }

    /// What [`Event::Completed`](crate::Event::Completed) has announced. `None` when it was taken.
    #[inline]
    pub fn take<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        completed: Completed,
    ) -> Option<Completion> {
        cx.with(self.shared, |shared, _| shared.take(completed))?
    }

    /// Gives a buffer of the proactor's own back. One of another size is dropped.
    pub fn recycle<S: 'static>(&self, cx: &mut Context<'_, S>, buffer: impl Into<Payload>) {
        let payload = buffer.into();
        cx.with(self.shared, |shared, _| shared.recycle(payload));
    }

    /// Says to the peer that no more comes (FIN); receiving goes on. At once, also before what is being
    /// sent: do it when that has completed.
    ///
    /// # Errors
    ///
    /// When the peer is gone already.
    pub fn shutdown_write<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        socket: &Socket,
    ) -> Result<()> {
        self.with(cx, |shared, _| {
            let shut = shared.stream(&socket.0)?.shutdown_write();
            shut.map_err(|error| Error::io("shut down", "a stream", error))
        })
    }

    /// From now on no operation begins. Those under way complete, or are cancelled when `grace` has
    /// passed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] on another loop than its own.
    pub fn close<S: 'static>(&self, cx: &mut Context<'_, S>, grace: Duration) -> Result<()> {
        self.with(cx, |shared, cx| {
            if shared.intake == Intake::Open {
                let until = cx.now().after(Span::from(grace));
                shared.intake = Intake::Closing { until };
                shared.call_pump(cx);
            }
            Ok(())
        })
    }

    /// What was counted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] on another loop than its own.
    pub fn metrics<S: 'static>(&self, cx: &mut Context<'_, S>) -> Result<ProactorMetrics> {
        self.with(cx, |shared, _| Ok(shared.counted()))
    }

    pub(super) fn with<S: 'static, R>(
        &self,
        cx: &mut Context<'_, S>,
        f: impl FnOnce(&mut Shared, &mut Context<'_, S>) -> Result<R>,
    ) -> Result<R> {
        let elsewhere = || {
            let what = "a proactor of another loop, or one that is gone";
            Err(Error::new(ErrorKind::Invalid, "use", what))
        };
        cx.with(self.shared, f).unwrap_or_else(elsewhere)
    }
}

fn made(options: &ProactorOptions) -> Shared {
    let table = Table::new(options.operations_max);
    let mut pool = Pool::new(options.buffer_bytes, options.buffers.into());
    let driver = Driver::new(options, &mut pool);
    Shared::new(table, driver, pool)
}

impl fmt::Debug for Proactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proactor")
    }
}
