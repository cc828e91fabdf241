//! The stores in files pass the suite for all stores.

#![cfg(all(feature = "durable", feature = "fjall", feature = "testing"))]

mod disk;

use std::sync::Arc;

use disk::Folder;
use trine::storage::Store;
use trine::storage::conformance::{Harness, ManualClock, Time};
use trine::storage::durable::{Durable, Options, Recovery};
use trine::storage::fjall::{self, Fjall};

struct OnDisk {
    folder: Folder,
    options: Options,
    clock: Arc<ManualClock>,
}

impl OnDisk {
    fn new(options: Options) -> OnDisk {
        let clock = ManualClock::new();
        OnDisk {
            folder: Folder::new(),
            options: Options {
                clock: clock.clone(),
                ..options
            },
            clock,
        }
    }
}

impl Harness for OnDisk {
    fn open(&mut self) -> Box<dyn Store> {
        self.folder = Folder::new();
        self.reopen().expect("a store in a new folder")
    }

    fn reopen(&mut self) -> Option<Box<dyn Store>> {
        let store = Durable::open(self.folder.store(), self.options.clone());
        Some(Box::new(store.unwrap()))
    }

    fn time(&self) -> Time {
        Time::Manual(self.clock.clone())
    }
}

trine::store_conformance!(durable, OnDisk::new(Options::default()));

trine::store_conformance!(
    durable_with_all_options,
    OnDisk::new(Options {
        cache_bytes: 32 * 1024,
        recovery: Recovery::Fast,
        check_on_open: true,
        ..Options::default()
    })
);

struct InFolder {
    folder: Folder,
    clock: Arc<ManualClock>,
}

impl InFolder {
    fn new() -> InFolder {
        InFolder {
            folder: Folder::new(),
            clock: ManualClock::new(),
        }
    }
}

impl Harness for InFolder {
    fn open(&mut self) -> Box<dyn Store> {
        self.folder = Folder::new();
        self.reopen().expect("a store in a new folder")
    }

    fn reopen(&mut self) -> Option<Box<dyn Store>> {
        let options = fjall::Options {
            clock: self.clock.clone(),
            ..fjall::Options::default()
        };
        let store = Fjall::open(self.folder.store(), options);
        Some(Box::new(store.unwrap()))
    }

    fn time(&self) -> Time {
        Time::Manual(self.clock.clone())
    }
}

trine::store_conformance!(write_heavy, InFolder::new());
