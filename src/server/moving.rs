//! Connections that move, alive, from a server on one loop to the same server on another.
//!
//! ```text
//!   loop a: take_connection ──> MovingConnection ── inbox, any thread ──> loop b: insert_connection
//! ```
//!
//! What goes along: the socket, the bytes received and how far the parser is, the deadline as it runs, the
//! requests that are left, what is noted for [`on_served`](super::Server::on_served) and by the flight
//! recorder. What has come meanwhile is found by the other loop when it registers the socket.

use std::fmt;

use super::driver::{Counted, Luggage, OnLoop, OnProactor};
use super::host::ServerHandle;
use super::observer::Noted;
use super::recorder::Life;
use crate::connection::CloseReason;
use crate::reactor::{Context, Error, ErrorKind, Result};
use crate::service::Service;
use crate::slab::Token;

/// A connection between two loops; see [`ServerHandle::take_connection`]. Dropped, it is closed, and no
/// server counts its end.
pub struct MovingConnection {
    parts: Box<Parts>,
}

/// All that goes along.
struct Parts {
    luggage: Luggage,
    noted: Option<Noted>,
    life: Option<Box<Life>>,
}

impl fmt::Debug for MovingConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "MovingConnection({})",
            self.parts.luggage.connection.state_name()
        )
    }
}

fn refuse(what: &str, token: Token, why: &str) -> Error {
    Error::new(
        ErrorKind::Invalid,
        "move",
        format!("{what} {token:?}: {why}"),
    )
}

impl<S: 'static, V: Service<S>> ServerHandle<S, V> {
    /// The connections of the server, served or being refused, in no order; of one on a
    /// [team](super::Server::attach_team) only those being refused, as the others are not on the loop.
    /// O(slots of the loop).
    pub fn connections(&self, cx: &mut Context<'_, S>) -> Vec<Token> {
        let tokens = (0..cx.index_bound()).filter_map(|slot| cx.token_at(slot));
        let tokens: Vec<Token> = tokens.collect();
        let mut is_own = |token: Token| match cx.source_mut::<OnLoop<S, V>>(token) {
            Some(driver) => driver.is_of(self.host),
            None => self.is_by_operations(cx, token),
        };
        tokens.into_iter().filter(|it| is_own(*it)).collect()
    }

    /// Whether it is a connection of the server that moves its bytes by operations.
    fn is_by_operations(&self, cx: &mut Context<'_, S>, token: Token) -> bool {
        let driver = cx.source_mut::<OnProactor<S, V>>(token);
        driver.is_some_and(|driver| driver.is_of(self.host))
    }

    /// Takes a connection out of this server, to be [inserted](ServerHandle::insert_connection) into one
    /// on another loop: one between two requests, or inside the head of one or a body that is collected.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], and the connection stays: when it waits for its service, which holds an
    /// exchange of it, or its client is taking an answer; when the server is one [by
    /// operations](super::Server::proactor), which are under way here; when the loop drains; when it is
    /// the running one, is gone, or of another server; and inside the server's own service.
    pub fn take_connection(
        &self,
        cx: &mut Context<'_, S>,
        connection: Token,
    ) -> Result<MovingConnection> {
        let refuse = |why| Err(refuse("connection", connection, why));
        if cx.is_draining() {
            return refuse("its loop drains");
        }
        let driver = cx.source_mut::<OnLoop<S, V>>(connection);
        let own = driver.filter(|driver| driver.is_of(self.host));
        match own.map(|driver| driver.is_movable()) {
            Some(true) => {}
            Some(false) => {
                return refuse("an exchange is under way, whose service or client is here");
            }
            None if self.is_by_operations(cx, connection) => {
                return refuse("operations of it are under way, which belong to its loop");
            }
            None => return refuse("this server has no such connection that does not run"),
        }
        let taken = cx.with(self.host, |host, cx| {
            let driver = cx.take::<OnLoop<S, V>>(connection)?;
            let observer = host.observer.as_mut();
            let recorder = host.recorder.as_mut();
            let parts = Box::new(Parts {
                luggage: driver.pack(),
                noted: observer.and_then(|observer| observer.take(connection)),
                life: recorder.and_then(|it| it.add(|recorder| recorder.take(connection))),
            });
            host.metrics.given_away += 1;
            Some((MovingConnection { parts }, host.leave(Counted::Served)))
        });
        let Some((moving, listener)) = taken.flatten() else {
            return refuse("its server is in use");
        };
        if let Some(listener) = listener {
            cx.resume(listener);
        }
        Ok(moving)
    }

    /// Goes on with a connection that was [taken](ServerHandle::take_connection) out of the same server on
    /// another loop. O(1).
    ///
    /// # Errors
    ///
    /// Gives it back when this server has as many connections as it may, the table of sources is full, the
    /// socket cannot be registered, inside the server's own service, and when a
    /// [team](super::Server::attach_team) has the service: connections do not move there.
    pub fn insert_connection(
        &self,
        cx: &mut Context<'_, S>,
        moving: MovingConnection,
    ) -> std::result::Result<Token, MovingConnection> {
        let mut refused = Some(moving);
        let home = cx.hold(self.host);
        let inserted = cx.with(self.host, |host, cx| {
            let is_closed = host.is_full() || host.afar.is_some();
            let home = home?;
            let moving = refused.take_if(|_| !is_closed)?;
            let Parts {
                mut luggage,
                noted,
                life,
            } = *moving.parts;
            host.enter();
            luggage.connection.move_to(&host.pools);
            match cx.insert(OnLoop::unpack(luggage, home)) {
                Ok(token) => {
                    host.metrics.taken_over += 1;
                    if let Some(noted) = noted {
                        host.observe(token, noted);
                    }
                    if let (Some(recorder), Some(life)) = (&mut host.recorder, life) {
                        recorder.add(|recorder| recorder.adopt(token, life));
                    }
                    if host.is_near_a_limit() {
                        host.judge_in(self.host, cx);
                    }
                    Some((Some(token), None))
                }
                Err(error) => {
                    let parts = Box::new(Parts {
                        luggage: error.source.pack(),
                        noted,
                        life,
                    });
                    refused = Some(MovingConnection { parts });
                    Some((None, host.leave(Counted::Served)))
                }
            }
        });
        let (token, listener) = inserted.flatten().unwrap_or_default();
        if let Some(listener) = listener {
            cx.resume(listener);
        }
        token.ok_or_else(|| refused.expect("what was not inserted is still here"))
    }

    /// Closes a connection that has nowhere to go, and counts its end as this server's.
    pub(super) fn end_connection(
        &self,
        cx: &mut Context<'_, S>,
        moving: MovingConnection,
        reason: CloseReason,
    ) {
        cx.with(self.host, |host, _| {
            host.metrics.taken_over += 1;
            host.metrics.count_close(reason);
        });
        drop(moving);
    }
}
