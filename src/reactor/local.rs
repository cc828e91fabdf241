//! Values that belong to a loop and are shared by its sources.
//!
//! The connections of a server share a service, its counters and its buffers. A [`Local`] is the
//! key to such a value; [`Context::with`](super::Context::with) takes it out of the loop for the
//! length of one call and puts it back, as the loop does with sources. So it is plain `&mut`, no
//! borrow can panic, and each loop of a program with several has its own.
//!
//! Invariant: no two of four thousand million values in a row have the same number. So one comparison
//! tells a key of another loop, and one of a value whose place has another tenant now, from a key
//! that fits; the type of the value is checked besides.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};

/// Numbers the shared values of this process, from 1. In 32 bits, as each connection has a key.
static NUMBERS: AtomicU32 = AtomicU32::new(1);

/// The number of an empty place.
const NOBODY: u32 = 0;

fn next_number() -> u32 {
    match NUMBERS.fetch_add(1, Ordering::Relaxed) {
        NOBODY => next_number(), // it has wrapped
        number => number,
    }
}

/// The key to a value of type `T` in the loop it was made in.
pub struct Local<T> {
    number: u32,
    index: u32,
    of: PhantomData<fn() -> T>,
}

/// The shared values of a loop.
#[derive(Default)]
pub(super) struct Locals {
    places: Vec<Place>,
    /// Places without a tenant.
    free: Vec<u32>,
}

struct Place {
    /// The tenant's, or [`NOBODY`].
    number: u32,
    /// `None` while the value is in use.
    value: Option<Box<dyn Any>>,
}

impl Locals {
    pub(super) fn insert<T: 'static>(&mut self, value: T) -> Local<T> {
        let place = Place {
            number: next_number(),
            value: Some(Box::new(value)),
        };
        let number = place.number;
        let index = self.free.pop().unwrap_or(self.places.len() as u32);
        match self.places.get_mut(index as usize) {
            Some(free) => *free = place,
            None => self.places.push(place),
        }
        Local {
            number,
            index,
            of: PhantomData,
        }
    }

    /// Takes a value out for the length of a call. Whoever takes it gives it back: while it is out,
    /// nobody else has its place.
    #[inline]
    pub(super) fn take<T>(&mut self, local: Local<T>) -> Option<Box<dyn Any>> {
        let place = self.places.get_mut(local.index as usize)?;
        match place.number == local.number {
            true => place.value.take(),
            false => None,
        }
    }

    #[inline]
    pub(super) fn give<T>(&mut self, local: Local<T>, value: Box<dyn Any>) {
        self.places[local.index as usize].value = Some(value);
    }

    /// Takes a value out for good; not one that is in use.
    pub(super) fn remove<T: 'static>(&mut self, local: Local<T>) -> Option<T> {
        let value = self.take(local)?.downcast().ok()?;
        self.places[local.index as usize].number = NOBODY;
        self.free.push(local.index);
        Some(*value)
    }

    /// How many values there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

impl<T> Clone for Local<T> {
    fn clone(&self) -> Local<T> {
        *self
    }
}

impl<T> Copy for Local<T> {}

/// Whether both are keys to the same value.
impl<T> PartialEq for Local<T> {
    fn eq(&self, other: &Local<T>) -> bool {
        self.number == other.number && self.index == other.index
    }
}

impl<T> Eq for Local<T> {}

impl<T> fmt::Debug for Local<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Local<{}>({})", std::any::type_name::<T>(), self.index)
    }
}
