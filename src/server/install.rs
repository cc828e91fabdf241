//! Puts a server onto a loop: the whole of it, or the share that one loop of several has.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::host::{Bounds, Host, ServerHandle};
use super::listener::{self, HttpAcceptor};
use super::models::{Desk, Intake, Part};
use super::observer::Observer;
use super::recorder::Recorder;
use super::recording::Recording;
use super::reload::{self, Reload};
use super::team::Afar;
use super::{Server, settings};
use crate::connection::Config;
use crate::hand_over::HandOver;
use crate::proactor::{Proactor, ProactorOptions};
use crate::reactor::{Context, Reserve, Result, StreamListener};
use crate::service::Service;
use crate::slab::Token;
#[cfg(feature = "systemd")]
use crate::{reactor::Signal, systemd::Notify};

/// What one loop has of a server.
pub(super) struct Share {
    pub(super) door: Door,
    pub(super) config: Config,
    pub(super) bounds: Bounds,
    /// In descriptors.
    pub(super) reserve: usize,
    pub(super) observer: Option<Box<Observer>>,
    /// Entries for each connection; 0 without a recorder.
    pub(super) recorder: usize,
    /// Which of several it is.
    pub(super) part: Option<Part>,
    /// Who runs the connections, if others do.
    pub(super) afar: Option<Afar>,
    /// `None` for the reactor.
    pub(super) proactor: Option<ProactorOptions>,
}

/// Where the connections of a loop come from.
pub(super) enum Door {
    Listener(StreamListener),
    /// Accepts for the other loops as well.
    Desk(StreamListener, Desk),
    /// Another loop accepts for it.
    Intake(Intake),
}

/// What a server does once, however many loops it has.
pub(super) struct Care<R> {
    pub(super) reload: R,
    pub(super) hand_over: Option<HandOver>,
    #[cfg(feature = "systemd")]
    pub(super) notifies: bool,
    pub(super) drain: Duration,
}

impl<R> Server<R> {
    /// What is served, and what is done once.
    pub(super) fn split(self) -> Result<(Share, Care<R>)> {
        settings::check(&self.config, self.bounds.connections_max)?;
        settings::check_bounds(&self.bounds)?;
        settings::check_recorder(self.recorder)?;
        let share = Share {
            door: Door::Listener(self.listener),
            config: self.config,
            bounds: self.bounds,
            reserve: self.reserve,
            observer: self.observer,
            recorder: self.recorder,
            part: None,
            afar: None,
            proactor: self.proactor,
        };
        let care = Care {
            reload: self.reload,
            hand_over: self.hand_over,
            #[cfg(feature = "systemd")]
            notifies: self.notifies,
            drain: self.drain,
        };
        Ok((share, care))
    }
}

impl Share {
    /// Puts it onto a loop. The source that lets connections in comes along.
    pub(super) fn install<S: 'static, V: Service<S>>(
        self,
        service: V,
        cx: &mut Context<'_, S>,
    ) -> Result<(ServerHandle<S, V>, Token)> {
        let reserve = Reserve::new(self.reserve)?;
        let proactor = match self.proactor {
            None => None,
            Some(options) => {
                let options = settings::room_for(options);
                Some(Proactor::new(cx, options)?)
            }
        };
        let mut host = Host::new(service, self.config, self.bounds, reserve);
        let recorder = NonZeroUsize::new(self.recorder).map(Recorder::new);
        host.watch(self.observer, recorder.map(Recording::Own));
        host.part = self.part;
        if let Some(afar) = self.afar {
            afar.adopt(&mut host);
        }
        host.pattern = proactor.and_then(|proactor| proactor.pattern(cx).ok());
        let host = cx.share(host);
        let acceptor = HttpAcceptor::new(host, proactor);
        let door = match self.door {
            Door::Listener(socket) => insert(listener::listener(socket, acceptor), cx),
            Door::Desk(socket, desk) => {
                insert(listener::listener(socket, acceptor.sharing(desk)), cx)
            }
            Door::Intake(intake) => intake.insert(acceptor, cx),
        };
        match door {
            Ok(door) => Ok((ServerHandle::new(host), door)),
            Err(error) => {
                drop(cx.unshare(host));
                Err(error)
            }
        }
    }
}

fn insert<S: 'static>(
    source: impl crate::reactor::EventSource<S>,
    cx: &mut Context<'_, S>,
) -> Result<Token> {
    Ok(cx.insert(source)?)
}

impl<R> Care<R> {
    /// Puts what is done once onto the loop where the server is installed by `handle`.
    pub(super) fn attend<S: 'static, V: Service<S>>(
        self,
        handle: ServerHandle<S, V>,
        cx: &mut Context<'_, S>,
    ) -> Result<()>
    where
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
