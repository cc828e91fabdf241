//! What a server has on its loop beside its listener: the reload, the hand-over, the word to systemd.

use std::time::Duration;

use super::host::ServerHandle;
use super::reload::{self, Reload};
use crate::hand_over::HandOver;
#[cfg(feature = "systemd")]
use crate::reactor::Signal;
use crate::reactor::{Context, Result};
use crate::service::Service;
use crate::slab::Token;
#[cfg(feature = "systemd")]
use crate::systemd::Notify;

/// Whatever else of a server's settings becomes a source.
pub(super) struct Attendance<R> {
    pub(super) reload: R,
    pub(super) hand_over: Option<HandOver>,
    #[cfg(feature = "systemd")]
    pub(super) notifies: bool,
    pub(super) drain: Duration,
}

impl<R> Attendance<R> {
    /// Makes the sources, for a server that listens already. If that fails, it listens no more: nobody
    /// would have the handle to what is served.
    pub(super) fn attach<S, V>(
        self,
        handle: ServerHandle<S, V>,
        listener: Token,
        cx: &mut Context<'_, S>,
    ) -> Result<()>
    where
        S: 'static,
        V: Service<S>,
        R: Reload<S>,
    {
        let attached = self.sources(handle, cx);
        if attached.is_err() {
            cx.remove(listener);
        }
        attached
    }

    fn sources<S, V>(self, handle: ServerHandle<S, V>, cx: &mut Context<'_, S>) -> Result<()>
    where
        S: 'static,
        V: Service<S>,
        R: Reload<S>,
    {
        let reload = self.reload.into_call();
        #[cfg(feature = "systemd")]
        if self.notifies {
            notify(reload.is_some(), cx)?; // before those who reload
        }
        reload::attach(reload, handle, cx)?;
        let hand_over = self.hand_over.map(|it| it.attach(cx, self.drain));
        hand_over.unwrap_or(Ok(()))
    }
}

/// Tells systemd how the server is, if it wants to hear it.
#[cfg(feature = "systemd")]
fn notify<S: 'static>(reloads: bool, cx: &mut Context<'_, S>) -> Result<()> {
    let Some(notify) = Notify::from_environment()? else {
        return Ok(());
    };
    match reloads {
        true => notify.reloading_on(Signal::HUP).attach(cx),
        false => notify.attach(cx),
    }
}
