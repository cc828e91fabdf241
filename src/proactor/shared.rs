//! The proactor of a loop: the operation table, the driver below it, and what has been completed and
//! not been taken. Shared by all who start operations on this loop.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use super::device::{Device, Resource};
use super::driver::Driver;
use super::handle::{Handle, Releases, Socket};
use super::metrics::ProactorMetrics;
use super::operation::{Completion, Memory, Outcome, Payload};
use super::pool::Pool;
use super::pump::Pump;
use super::request::Request;
use super::table::{Cancel, Lane, Refusal, Table};
use crate::reactor::{
    Completed, Context, Error, ErrorKind, Local, OperationId, Peer, Result, ShortRead, Stream,
    Waker,
};
use crate::slab::Token;
use crate::time::Tick;

pub(super) struct Shared {
    pub(super) table: Table<Device>,
    pub(super) driver: Driver,
    pub(super) pool: Pool,
    pub(super) intake: Intake,
    pub(super) metrics: ProactorMetrics,
    /// Completions by their numbers, in order: told or about to be told, and not taken.
    posted: VecDeque<(u32, Completion)>,
    /// Who does what the proactor does by itself, once it is on the loop.
    pub(super) home: Option<Home>,
}

/// The proactor's place on its loop.
pub(super) struct Home {
    pub(super) local: Local<Shared>,
    pub(super) pump: Token,
    pub(super) waker: Waker,
    pub(super) releases: Rc<Releases>,
    pub(super) flush: Flush,
}

/// Whether the loop has been asked to call the pump before it waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flush {
    Idle,
    Asked,
}

/// Whether operations may begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Intake {
    Open,
    /// None; those under way have until then.
    Closing {
        until: Tick,
    },
    /// None; those that were under way have been cancelled.
    Closed,
}

impl Shared {
    pub(super) fn new(table: Table<Device>, driver: Driver, pool: Pool) -> Shared {
        Shared {
            table,
            driver,
            pool,
            intake: Intake::Open,
            metrics: ProactorMetrics::default(),
            posted: VecDeque::new(),
            home: None,
        }
    }

    pub(super) fn home(&self) -> Result<&Home> {
        let gone = || Error::new(ErrorKind::Invalid, "use", "a proactor that is gone");
        self.home.as_ref().ok_or_else(gone)
    }

    /// Checks that `handle` is this proactor's.
    pub(super) fn device(&mut self, handle: &Handle) -> Result<&mut Device> {
        let own = handle.is_of(&self.home()?.releases);
        let device = own.then(|| self.table.device(handle.token)).flatten();
        device.ok_or_else(|| {
            let what = "an operation on a descriptor of another proactor";
            Error::new(ErrorKind::Invalid, "start", what)
        })
    }

    /// Begins an operation of the running source.
    pub(super) fn start<S: 'static>(
        &mut self,
        lane: Lane,
        request: Request,
        cx: &mut Context<'_, S>,
    ) -> std::result::Result<OperationId, Box<(Request, Error)>> {
        if let Err(error) = self.admit(&request, cx) {
            return Err(Box::new((request, error)));
        }
        match self.table.start(cx.token(), lane) {
            Ok(id) => {
                self.metrics.started += 1;
                self.begin(id, lane, request, cx);
                Ok(id)
            }
            Err(refusal) => Err(Box::new((request, refusal.into()))),
        }
    }

    /// Whether an operation may begin now.
    fn admit<S: 'static>(&self, request: &Request, cx: &Context<'_, S>) -> Result<()> {
        let begins = matches!(request, Request::Accept { .. } | Request::Connect { .. });
        if begins && cx.is_draining() {
            let what = "a connection, as the loop drains";
            return Err(Error::new(ErrorKind::Draining, "begin", what));
        }
        self.admit_any(cx)
    }

    pub(super) fn admit_any<S: 'static>(&self, cx: &Context<'_, S>) -> Result<()> {
        if self.intake != Intake::Open {
            let what = "an operation on a proactor that closes";
            return Err(Error::new(ErrorKind::Draining, "start", what));
        }
        if !cx.contains(cx.token()) {
            let what = "an operation outside of a source, as nobody would get its completion";
            return Err(Error::new(ErrorKind::Invalid, "start", what));
        }
        Ok(())
    }

    /// Puts a stream, set to what the driver needs, under its watch and makes the handle to it.
    pub(super) fn adopt<S: 'static>(
        &mut self,
        stream: Stream,
        short_read: ShortRead,
        cx: &mut Context<'_, S>,
    ) -> Result<Socket> {
        let device = Device::new(Resource::Stream(Rc::new(stream)), short_read);
        let token = self.attach(device)?;
        self.watch(token, cx)?;
        Ok(Socket(Handle::new(token, &self.home()?.releases)))
    }

    pub(super) fn attach(&mut self, device: Device) -> Result<Token> {
        let full = |_| Error::new(ErrorKind::Full, "attach", "a descriptor to a proactor");
        self.table.attach(device).map_err(full)
    }

    /// `id` has come to `outcome`, and goes on if `more`.
    pub(super) fn complete<S: 'static>(
        &mut self,
        id: OperationId,
        outcome: Outcome,
        more: bool,
        cx: &mut Context<'_, S>,
    ) {
        let Some(finished) = self.table.finish(id, more) else {
            return self.discard(outcome);
        };
        if let Some(device) = finished.freed {
            self.unwatch(&device, cx);
        }
        self.metrics.count(&outcome, more);
        if !cx.contains(finished.owner) {
            self.discard(outcome);
            if more {
                self.cancel(id, cx);
            }
            return;
        }
        if self.posted.is_empty() {
            self.flush_later(cx); // to see whether it was taken
        }
        let number = cx.complete(finished.owner, id);
        let completion = Completion {
            operation: id,
            more,
            outcome,
        };
        self.posted.push_back((number, completion));
    }

    /// Drops what was told and not taken.
    pub(super) fn sweep<S: 'static>(&mut self, cx: &mut Context<'_, S>) {
        self.drop_before(cx.first_untold());
        if !self.posted.is_empty() {
            self.flush_later(cx);
        }
    }

    /// Has the pump called before the loop waits, after what has completed was told.
    pub(super) fn flush_later<S: 'static>(&mut self, cx: &mut Context<'_, S>) {
        if let Some(home) = &mut self.home
            && home.flush == Flush::Idle
        {
            home.flush = Flush::Asked;
            cx.flush_before_wait(home.pump);
        }
    }

    fn drop_before(&mut self, number: u32) {
        let precedes = |(posted, _): &(u32, Completion)| Completed::precedes(*posted, number);
        while self.posted.front().is_some_and(precedes) {
            if let Some((_, completion)) = self.posted.pop_front() {
                self.metrics.untaken += 1;
                self.discard(completion.outcome);
            }
        }
    }

    /// What `completed` announced, once. Told in order, so what stands before it was not wanted.
    pub(super) fn take(&mut self, completed: Completed) -> Option<Completion> {
        self.drop_before(completed.number);
        match self.posted.front() {
            Some((number, _)) if *number == completed.number => {}
            _ => return None,
        }
        self.posted.pop_front().map(|(_, completion)| completion)
    }

    /// What `id` has to give, though its source has not been told of it.
    pub(super) fn take_posted(&mut self, id: OperationId) -> Option<Completion> {
        let mut posted = self.posted.iter();
        let place = posted.position(|(_, completion)| completion.operation == id)?;
        self.posted.remove(place).map(|(_, completion)| completion)
    }

    /// Nobody wants `outcome`: the buffer goes back, an accepted client is closed by its handle.
    fn discard(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Received(filled) => self.pool.give(filled.into_buffer()),
            Outcome::Sent(passed) => self.recycle(passed.rest),
            Outcome::Failed(_, memory) | Outcome::Cancelled(memory) => match memory {
                Memory::Room(buffer) => self.pool.give(buffer),
                Memory::Payload(payload) => self.recycle(payload),
                Memory::None => {}
            },
            _ => {}
        }
    }

    pub(super) fn recycle(&mut self, payload: Payload) {
        if let Some(buffer) = payload.into_buffer() {
            self.pool.give(buffer);
        }
    }

    /// Somebody wishes that `id` ends. Whether it was under way, and not asked before.
    pub(super) fn cancel<S: 'static>(&mut self, id: OperationId, cx: &mut Context<'_, S>) -> bool {
        match self.table.cancel(id) {
            Cancel::Nothing => return false,
            Cancel::Finish => self.complete(id, Outcome::Cancelled(Memory::None), false, cx),
            Cancel::Ask(lane) => self.end(id, lane, cx),
        }
        true
    }

    pub(super) fn cancel_all<S: 'static>(
        &mut self,
        which: impl Fn(&Shared, Option<Lane>) -> bool,
        cx: &mut Context<'_, S>,
    ) {
        let all = self.table.all();
        let wanted = all.filter(|(_, lane)| which(self, *lane));
        let ids: Vec<OperationId> = wanted.map(|(id, _)| id).collect();
        for id in ids {
            self.cancel(id, cx);
        }
    }

    /// Closes the descriptors whose handles were dropped: at once, or when the kernel lets go.
    pub(super) fn release_dropped<S: 'static>(&mut self, cx: &mut Context<'_, S>) {
        let Some(home) = &self.home else {
            return;
        };
        for token in home.releases.take() {
            self.release(token, cx);
        }
    }

    /// The handle of `token` is gone.
    pub(super) fn release<S: 'static>(&mut self, token: Token, cx: &mut Context<'_, S>) {
        let (busy, freed) = self.table.release(token);
        for id in busy.into_iter().flatten() {
            self.cancel(id, cx);
        }
        if let Some(device) = freed {
            self.unwatch(&device, cx);
        }
    }

    /// Has the pump look after a deadline that is earlier than the one it waits for.
    pub(super) fn call_pump<S: 'static>(&self, cx: &mut Context<'_, S>) {
        if let Some(home) = &self.home {
            cx.resume(home.pump);
        }
    }

    /// Begins to connect the descriptor `token`, which has a handle once it is connected, and else goes.
    pub(super) fn start_connect<S: 'static>(
        &mut self,
        token: Token,
        request: Request,
        cx: &mut Context<'_, S>,
    ) -> Result<OperationId> {
        let admitted = self.admit(&request, cx);
        let begun = admitted.and_then(|()| Ok(self.table.start(cx.token(), Lane::Out(token))?));
        self.table.release(token);
        let id = begun?;
        self.metrics.started += 1;
        self.begin(id, Lane::Out(token), request, cx);
        Ok(id)
    }

    pub(super) fn counted(&self) -> ProactorMetrics {
        let (enters, overflows) = self.driver.counted();
        ProactorMetrics {
            enters,
            overflows,
            buffers_made: self.pool.made(),
            descriptors: self.table.descriptors(),
            ..self.metrics
        }
    }

    /// A connection stands: the handle to it, and what is known of the peer.
    pub(super) fn connected(&mut self, token: Token, peer: &Peer) -> Option<Socket> {
        let releases = Rc::clone(&self.home.as_ref()?.releases);
        self.table.device(token)?.station.short_read = peer.short_read();
        self.table.hold(token);
        Some(Socket(Handle::new(token, &releases)))
    }

    /// What a stream's operations hold on to.
    pub(super) fn stream(&mut self, handle: &Handle) -> Result<Rc<Stream>> {
        match &self.device(handle)?.resource {
            Resource::Stream(stream) => Ok(Rc::clone(stream)),
            _ => Err(wrong_kind()),
        }
    }

    /// What a file's operations hold on to.
    pub(super) fn file(&mut self, handle: &Handle) -> Result<Arc<std::fs::File>> {
        match &self.device(handle)?.resource {
            Resource::File(file) => Ok(Arc::clone(file)),
            _ => Err(wrong_kind()),
        }
    }
}

pub(super) fn wrong_kind() -> Error {
    Error::new(ErrorKind::Invalid, "start", "it on this kind of descriptor")
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        match refusal {
            Refusal::Full => {
                let what = "an operation: as many as may be are under way";
                Error::new(ErrorKind::Full, "start", what)
            }
            Refusal::Busy => {
                let what = "an operation: the stream has one that goes the same way";
                Error::new(ErrorKind::Busy, "start", what)
            }
            Refusal::NoDescriptor => {
                let what = "an operation on a descriptor that is gone";
                Error::new(ErrorKind::Invalid, "start", what)
            }
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proactor({} under way)", self.table.len())
    }
}

/// Puts `shared` on a loop, with the pump that serves it.
pub(super) fn settle<S: 'static>(shared: Shared, cx: &mut Context<'_, S>) -> Result<Local<Shared>> {
    let ring = shared.driver.descriptor()?;
    let local = cx.share(shared);
    let inserted = cx.insert(Pump::new(local, ring));
    let pump = match inserted {
        Ok(pump) => pump,
        Err(refused) => {
            cx.unshare(local);
            return Err(refused.into());
        }
    };
    let waker = cx.waker(pump);
    let releases = Releases::new(waker.clone());
    cx.with(local, |shared, _| {
        shared.home = Some(Home {
            local,
            pump,
            waker,
            releases,
            flush: Flush::Idle,
        });
    });
    Ok(local)
}
