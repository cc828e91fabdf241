//! Sources from closures, for people who want ten lines.
//!
//! Everything here is [`Context::insert`] of a source of this module. The trait [`Sources`]
//! offers it before the loop runs, on [`EventLoop`], and from inside a callback, on [`Context`].

use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, SystemTime};

use super::child::{ChildExit, ChildSource};
use super::connector::Connector;
use super::context::Context;
use super::datagram::{Datagram, DatagramSocket, DatagramSource};
use super::descriptor::DescriptorSource;
use super::error::{Error, ErrorKind, Result};
use super::event_loop::EventLoop;
use super::inbox::{Inbox, InboxSender, Mail};
use super::listener::Listener;
use super::net::{Stream, StreamListener, resolve};
use super::schedule::{After, At, Every, Firing, MissedTicks};
use super::signal_source::SignalSource;
use super::signals::{Signal, SignalEvent};
use super::source::{Next, Readiness};
use super::stream::{Link, StreamHandler, StreamOptions};
use super::stream_host::{StreamAcceptor, StreamHost};
use crate::slab::Token;
use crate::time::Span;

/// What both the loop and its context can be asked for. Bring it into scope to use it.
pub trait Sources<S: 'static> {
    /// The loop, as its sources see it.
    fn context(&mut self) -> Context<'_, S>;

    /// Calls `call` once, `delay` from now: never earlier, at most a tick (1 ms) later than the
    /// loop can. In a callback, now is the cached [`Context::now`]. Remove the token to cancel.
    ///
    /// # Errors
    ///
    /// When the table of sources is full.
    fn call_after<F>(&mut self, delay: Duration, call: F) -> Result<Token>
    where
        F: FnOnce(&mut S, &mut Context<'_, S>) + 'static,
    {
        let mut cx = self.context();
        let at = cx.after(delay);
        Ok(cx.insert(After {
            at,
            call: Some(call),
        })?)
    }

    /// Calls `call` every `period`, rounded up to whole milliseconds, the first time one period
    /// from now; missed periods are skipped ([`MissedTicks::Skip`]).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a period below a millisecond.
    fn every<F>(&mut self, period: Duration, call: F) -> Result<Token>
    where
        F: FnMut(&mut S, Firing, &mut Context<'_, S>) + 'static,
    {
        self.every_with(period, MissedTicks::default(), call)
    }

    /// Calls `call` every `period`, with a choice what to do about missed periods.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a period below a millisecond.
    fn every_with<F>(&mut self, period: Duration, missed: MissedTicks, call: F) -> Result<Token>
    where
        F: FnMut(&mut S, Firing, &mut Context<'_, S>) + 'static,
    {
        if period < Duration::from_millis(1) {
            let what = format!("every {period:?}: the shortest period is 1 ms");
            return Err(Error::new(ErrorKind::Invalid, "call", what));
        }
        let mut cx = self.context();
        let first = cx.after(period);
        Ok(cx.insert(Every::new(Span::from(period), missed, first, call))?)
    }

    /// Calls `call` once, when the wall clock shows `time`, at once if it has. Follows every change
    /// of the clock. Costs a descriptor.
    ///
    /// # Errors
    ///
    /// When the kernel has no descriptor for it.
    fn at<F>(&mut self, time: SystemTime, call: F) -> Result<Token>
    where
        F: FnOnce(&mut S, &mut Context<'_, S>) + 'static,
    {
        let mut cx = self.context();
        let alarm = cx.core.base.kernel.wall_alarm(time);
        let alarm = alarm.map_err(|error| Error::io("set", "a wall clock alarm", error))?;
        let call = Some(call);
        Ok(cx.insert(At { alarm, call })?)
    }

    /// Calls `call` for each of `signals` that arrives.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ForbiddenSignal`] for a signal that cannot be caught.
    fn signals<F>(&mut self, signals: impl IntoIterator<Item = Signal>, call: F) -> Result<Token>
    where
        F: FnMut(&mut S, SignalEvent, &mut Context<'_, S>) + 'static,
    {
        let signals: Vec<Signal> = signals.into_iter().collect();
        if let Some(signal) = signals.iter().find(|signal| signal.is_forbidden()) {
            return Err(Error::new(
                ErrorKind::ForbiddenSignal,
                "catch",
                format!("{signal:?}"),
            ));
        }
        Ok(self.context().insert(SignalSource { signals, call })?)
    }

    /// The first of `signals` to arrive drains the loop for up to `grace`; the second forces it to
    /// end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ForbiddenSignal`] for a signal that cannot be caught.
    fn drain_on_signals(
        &mut self,
        signals: impl IntoIterator<Item = Signal>,
        grace: Duration,
    ) -> Result<Token> {
        let on_signal = move |_: &mut S, _, cx: &mut Context<'_, S>| match cx.is_draining() {
            true => cx.force(),
            false => cx.drain(grace),
        };
        self.signals(signals, on_signal)
    }

    /// Opens an inbox for up to `capacity` messages from other threads.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a capacity of zero.
    fn inbox<T, F>(&mut self, capacity: usize, call: F) -> Result<InboxSender<T>>
    where
        T: 'static,
        F: FnMut(&mut S, Mail<T>, &mut Context<'_, S>) + 'static,
    {
        if capacity == 0 {
            return Err(Error::new(
                ErrorKind::Invalid,
                "open",
                "an inbox without room",
            ));
        }
        let (queue, receiver) = sync_channel(capacity);
        let mut cx = self.context();
        let token = cx.insert(Inbox { receiver, call })?;
        Ok(InboxSender::new(queue, cx.waker(token)))
    }

    /// Starts `command` and calls `call` when the child has ended. A drain waits for it.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or watched: then it is killed.
    fn child<F>(&mut self, command: &mut Command, call: F) -> Result<u32>
    where
        F: FnOnce(&mut S, ChildExit, &mut Context<'_, S>) + 'static,
    {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command
            .spawn()
            .map_err(|error| Error::io("start", name.clone(), error))?;
        let id = child.id();
        let source = ChildSource::new(child, call);
        let source = source.map_err(|error| Error::io("watch", name, error))?;
        self.context()
            .insert(source)
            .map(|_| id)
            .map_err(|refused| {
                refused.source.abandon();
                refused.error
            })
    }

    /// Watches any descriptor; `call` gets it and what it is ready for, and says what to wait for
    /// next. It must be non-blocking. Closed when the loop drains.
    ///
    /// # Errors
    ///
    /// When epoll cannot watch it, or watches it already.
    fn descriptor<D, F>(&mut self, descriptor: D, call: F) -> Result<Token>
    where
        D: AsFd + 'static,
        F: FnMut(&mut S, &mut D, Readiness, &mut Context<'_, S>) -> Next + 'static,
    {
        Ok(self
            .context()
            .insert(DescriptorSource { descriptor, call })?)
    }

    /// Serves TCP connections to `address` with default limits: `call` gets whatever arrives.
    /// Returns the address, with the port the kernel chose for port 0. A protocol with messages of
    /// its own, or with limits of its own, is a [`StreamHandler`] for [`streams`](Sources::streams).
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    fn tcp<F>(&mut self, address: impl ToSocketAddrs, call: F) -> Result<SocketAddr>
    where
        F: FnMut(&mut S, &mut Link<'_, '_, S>, &[u8]) + 'static,
    {
        let address = resolve(address)?;
        let listener = StreamListener::bind_tcp(address)?;
        let address = listener.local_address().unwrap_or(address);
        self.streams(listener, StreamOptions::default(), call)?;
        Ok(address)
    }

    /// Serves connections to a Unix socket at `path` as [`tcp`](Sources::tcp) does.
    ///
    /// # Errors
    ///
    /// When the path cannot be listened on.
    fn unix<F>(&mut self, path: impl AsRef<Path>, call: F) -> Result<Token>
    where
        F: FnMut(&mut S, &mut Link<'_, '_, S>, &[u8]) + 'static,
    {
        let listener = StreamListener::bind_unix(path)?;
        self.streams(listener, StreamOptions::default(), call)
    }

    /// Serves the connections of `listener`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for an option of zero that would serve nobody; when the listener
    /// cannot be registered.
    fn streams<H: StreamHandler<S>>(
        &mut self,
        listener: StreamListener,
        options: StreamOptions,
        handler: H,
    ) -> Result<Token> {
        options.check()?;
        let mut cx = self.context();
        let host = cx.share(StreamHost::new(handler, options));
        let inserted = cx.insert(Listener::new(listener, StreamAcceptor { host }));
        if inserted.is_err() {
            cx.unshare(host);
        }
        Ok(inserted?)
    }

    /// Connects to `address` by TCP and calls `call` once: with the stream, or with why there is none. It
    /// waits for `timeout`, never less; the kernel alone would wait for minutes. The stream is
    /// non-blocking and in no loop: give it to [`descriptor`](Sources::descriptor), or to a source of
    /// yours whose [`register`](super::EventSource::register) names it. It has the options of an accepted one
    /// ([`StreamListener::bind_tcp`]).
    ///
    /// Remove the token to give up: then `call` is not called.
    ///
    /// ```
    /// use std::net::TcpListener;
    /// use std::time::Duration;
    /// use trine::{EventLoop, Sources};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut events = EventLoop::<bool>::new()?;
    /// let address = listener.local_addr()?;
    /// events.connect(address, Duration::from_secs(5), |connected, stream, _| {
    ///     *connected = stream.is_ok();
    /// })?;
    /// let mut connected = false;
    /// events.run(&mut connected)?;
    /// assert!(connected);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When there is no descriptor for it, or the loop is simulated. What comes of the connection is told to `call`, as an
    /// [`ErrorKind::Io`] of the kind `ConnectionRefused`, `TimedOut` or another; or
    /// [`ErrorKind::Draining`], as nothing begins in a loop that drains.
    fn connect<F>(&mut self, address: SocketAddr, timeout: Duration, call: F) -> Result<Token>
    where
        F: FnOnce(&mut S, Result<Stream>, &mut Context<'_, S>) + 'static,
    {
        let mut cx = self.context();
        let connector = Connector::begin(address, cx.after(timeout), call)?;
        Ok(cx.insert(connector)?)
    }

    /// Binds a UDP socket to `address` and calls `call` for each datagram. Returns the address.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound.
    fn udp<F>(&mut self, address: impl ToSocketAddrs, call: F) -> Result<SocketAddr>
    where
        F: FnMut(&mut S, Datagram<'_>, &mut Context<'_, S>) + 'static,
    {
        let address = resolve(address)?;
        let socket = DatagramSocket::bind_udp(address)?;
        let address = socket.local_address().unwrap_or(address);
        self.datagrams(socket, call)?;
        Ok(address)
    }

    /// Calls `call` for each datagram that comes to `socket`.
    ///
    /// # Errors
    ///
    /// When it cannot be registered.
    fn datagrams<F>(&mut self, socket: DatagramSocket, call: F) -> Result<Token>
    where
        F: FnMut(&mut S, Datagram<'_>, &mut Context<'_, S>) + 'static,
    {
        Ok(self.context().insert(DatagramSource::new(socket, call))?)
    }
}

impl<S: 'static> Sources<S> for EventLoop<S> {
    fn context(&mut self) -> Context<'_, S> {
        EventLoop::context(self)
    }
}

impl<S: 'static> Sources<S> for Context<'_, S> {
    fn context(&mut self) -> Context<'_, S> {
        Context {
            token: self.token,
            core: self.core,
        }
    }
}
