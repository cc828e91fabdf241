//! The page `/metrics`: written by the loop once a second, shown by any thread.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use trine::reactor::Context;
use trine::server::Exposition;
use trine::{EventLoop, Response, Sources};

use super::server_flags::Count;

/// What the server and its loop count, as Prometheus reads it.
#[derive(Clone, Default)]
pub struct MetricsPage {
    latest: Arc<Mutex<Exposition>>,
}

impl MetricsPage {
    /// Has the loop write the page, now and once a second.
    pub fn follow<W: 'static>(
        &self,
        count: Count<W>,
        event_loop: &mut EventLoop<W>,
    ) -> trine::Result<()> {
        let write = {
            let latest = Arc::clone(&self.latest);
            move |cx: &mut Context<'_, W>| {
                let mut page = Exposition::new();
                if let Some(server) = count(cx) {
                    page.servers(&[("", &server)]);
                }
                page.event_loop(cx.metrics());
                *latest.lock().unwrap_or_else(PoisonError::into_inner) = page;
            }
        };
        write(&mut event_loop.context());
        event_loop.every(Duration::from_secs(1), move |_, _, cx| write(cx))?;
        Ok(())
    }

    /// The page, with what `more` has to add.
    pub fn response(&self, more: impl FnOnce(&mut Exposition)) -> Response {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let mut page = latest.clone();
        drop(latest);
        more(&mut page);
        page.response()
    }
}
