//! What may change while a server runs, and SIGHUP, which by convention asks for it.

use std::fmt::{self, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::host::ServerHandle;
use super::{Server, settings};
use crate::connection::Config;
use crate::reactor::{Context, Error, ErrorKind, Result, Signal, Sources};
use crate::service::Service;
use crate::unwind::discard;

/// The settings that a running server can be given anew.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Live {
    /// Deadlines and limits. Each connection goes by the new ones from its next state on: a deadline
    /// that runs stays what it was. What is to be sent or taken in the window of a rate that runs is
    /// judged by the new number; how many requests a connection may make was settled when it came.
    pub config: Config,
    /// As [`Server::connections_max`]. Nobody is cut when it falls below what is there.
    pub connections_max: usize,
}

/// What SIGHUP does to a server; made by [`Server::on_reload`].
pub trait Reload<S>: sealed::Sealed + Send {
    /// What to call, if anything.
    #[doc(hidden)]
    fn into_call(self) -> Option<ReloadCall<S>>;
}

/// New settings by a callback, which says why there are none.
type ReloadCall<S> = Box<dyn FnMut(&mut Live, &mut S) -> std::result::Result<(), String> + Send>;

/// SIGHUP is left alone: by default it ends the process.
#[derive(Clone, Copy, Debug)]
pub struct NoReload;

/// SIGHUP calls a function.
pub struct OnReload<S> {
    call: ReloadCall<S>,
}

impl<S> fmt::Debug for OnReload<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnReload")
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::NoReload {}
    impl<S> Sealed for super::OnReload<S> {}
}

impl<S> Reload<S> for NoReload {
    fn into_call(self) -> Option<ReloadCall<S>> {
        None
    }
}

impl<S> Reload<S> for OnReload<S> {
    fn into_call(self) -> Option<ReloadCall<S>> {
        Some(self.call)
    }
}

impl Server {
    /// On SIGHUP, calls `change` with a copy of the settings, and with the state of the loop, which is what
    /// a service on the loop is lent (of [several loops](super::Model::LoopPerCore), on loop 0). When it
    /// succeeds, and the settings make sense, they hold from then on, for each
    /// connection from its next state on. When it fails, or panics, the old ones stay, which is
    /// logged and [counted](super::ServerMetrics::reloads_failed); the next SIGHUP asks again. Change
    /// the state last: it is not put back.
    ///
    /// It runs on the loop, so everybody waits for it: read a file, but no network. A service on
    /// [worker threads](crate::concurrency) or a [team](Server::attach_team) has a state of its own on each;
    /// share what changes there. Of
    /// [several loops](super::Model::LoopPerCore) it runs on one, with the state of that one, and all take
    /// the settings.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use trine::{Response, Server};
    ///
    /// fn main() -> trine::Result<()> {
    ///     Server::bind("127.0.0.1:8080")?
    ///         .on_reload(|live, (): &mut ()| {
    ///             let text = std::fs::read_to_string("idle-seconds").map_err(|error| error.to_string())?;
    ///             let seconds = text.trim().parse().map_err(|_| format!("{text:?} is no number"))?;
    ///             live.config.deadlines.idle = Duration::from_secs(seconds).into();
    ///             Ok::<(), String>(())
    ///         })
    ///         .serve(|_| Response::text("hello"))
    /// }
    /// ```
    #[must_use]
    pub fn on_reload<S, E: Display>(
        self,
        mut change: impl FnMut(&mut Live, &mut S) -> std::result::Result<(), E> + Send + 'static,
    ) -> Server<OnReload<S>> {
        let call = move |live: &mut Live, state: &mut S| {
            change(live, state).map_err(|error| error.to_string())
        };
        Server {
            listener: self.listener,
            config: self.config,
            bounds: self.bounds,
            reserve: self.reserve,
            drain: self.drain,
            stall: self.stall,
            recorder: self.recorder,
            proactor: self.proactor,
            observer: self.observer,
            hand_over: self.hand_over,
            #[cfg(feature = "systemd")]
            notifies: self.notifies,
            reload: OnReload {
                call: Box::new(call),
            },
        }
    }
}

/// Subscribes to SIGHUP, if it is to do something.
pub(super) fn attach<S: 'static, V: Service<S>>(
    reload: Option<ReloadCall<S>>,
    handle: ServerHandle<S, V>,
    cx: &mut Context<'_, S>,
) -> Result<()> {
    let Some(mut call) = reload else {
        return Ok(());
    };
    cx.signals([Signal::HUP], move |state, _, cx| {
        // Whoever could not be reloaded has been told; the next signal is as welcome.
        let _ = handle.reload(cx, |live| call(live, state));
    })?;
    Ok(())
}

impl<S: 'static, V: Service<S>> ServerHandle<S, V> {
    /// Gives the server new settings: what [`Server::on_reload`] does on SIGHUP, for a server on a
    /// loop with signals, or other reasons, of its own. `change` gets a copy of the settings; if it
    /// fails or panics, or they make no sense, the old ones stay.
    ///
    /// # Errors
    ///
    /// What `change` said, or which setting makes no sense; [`ErrorKind::Invalid`] inside the server's
    /// own service, which has the server in hand.
    pub fn reload<E: Display>(
        &self,
        cx: &mut Context<'_, S>,
        change: impl FnOnce(&mut Live) -> std::result::Result<(), E>,
    ) -> Result<()> {
        let fail = |why: String| Error::new(ErrorKind::Invalid, "reload", why);
        let asked = cx.with(self.host, |host, _| (host.live(), host.loops()));
        let Some((mut live, loops)) = asked else {
            return Err(fail("a server from within its service".to_owned()));
        };
        let changed = catch_unwind(AssertUnwindSafe(|| change(&mut live)));
        let changed = match changed {
            Ok(Ok(())) => settings::check(&live.config, live.connections_max)
                .and_then(|()| settings::check_loops(live.connections_max, loops)),
            Ok(Err(why)) => Err(fail(format!("the settings: {why}"))),
            Err(payload) => {
                discard(payload);
                Err(fail("the settings: the callback panicked".to_owned()))
            }
        };
        match &changed {
            Ok(()) => tracing::info!(target: "trine::http", "settings reloaded"),
            Err(error) => {
                tracing::error!(target: "trine::http", %error, "the old settings stay");
            }
        }
        let changed = changed.map(|()| live);
        let waiting = cx.with(self.host, |host, _| host.take(changed.as_ref().ok()));
        if let Some(listener) = waiting.flatten() {
            cx.resume(listener);
        }
        changed.map(drop)
    }
}
