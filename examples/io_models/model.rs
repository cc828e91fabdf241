//! The models, by name.

use std::io;

use crate::calls::Place;
use crate::{epoll, io_uring, poll, polling, select, signal, threads};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Model {
    Threads,
    Polling,
    Select,
    Poll,
    Epoll,
    Signal,
    IoUring,
}

impl Model {
    /// In the order of the textbook.
    pub const ALL: [Model; 7] = [
        Model::Threads,
        Model::Polling,
        Model::Select,
        Model::Poll,
        Model::Epoll,
        Model::Signal,
        Model::IoUring,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Model::Threads => "threads",
            Model::Polling => "polling",
            Model::Select => "select",
            Model::Poll => "poll",
            Model::Epoll => "epoll",
            Model::Signal => "signal",
            Model::IoUring => "io_uring",
        }
    }

    pub fn named(name: &str) -> Result<Model, String> {
        let found = Model::ALL.into_iter().find(|model| model.name() == name);
        found.ok_or_else(|| format!("--serve {name}: there is no such model"))
    }

    /// Serves until the process is ended.
    pub fn serve(self, place: Place) -> io::Result<()> {
        match self {
            Model::Threads => threads::serve(place),
            Model::Polling => polling::serve(place),
            Model::Select => select::serve(place),
            Model::Poll => poll::serve(place),
            Model::Epoll => epoll::serve(place),
            Model::Signal => signal::serve(place),
            Model::IoUring => io_uring::serve(place),
        }
    }
}
