//! The page `/metrics`: written by one loop once a second, shown by any thread.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use trine::server::{Exposition, ServerMeter};
use trine::{EventLoop, Response, Sources};

/// What the server and its loops count, as Prometheus reads it.
#[derive(Clone, Default)]
pub struct MetricsPage {
    latest: Arc<Mutex<Exposition>>,
}

impl MetricsPage {
    /// Has the loop write the page, now and once a second.
    pub fn follow<W: 'static>(
        &self,
        meter: &ServerMeter,
        event_loop: &mut EventLoop<W>,
    ) -> trine::Result<()> {
        let write = {
            let (latest, meter) = (Arc::clone(&self.latest), meter.clone());
            move || {
                let mut page = Exposition::new();
                page.serving(&meter);
                *latest.lock().unwrap_or_else(PoisonError::into_inner) = page;
            }
        };
        write();
        event_loop.every(Duration::from_secs(1), move |_, _, _| write())?;
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
