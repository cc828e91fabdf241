//! Values that belong to a loop and are shared by its sources.
//!
//! The connections of a server share a service, its counters and its buffers. A [`Local`] is the
//! key to such a value; [`Context::with`](super::Context::with) lends it for the length of one call. Who
//! asks often holds it by a [`Held`] and need not look for it. Either way it is plain `&mut`, and no
//! borrow can panic: while one has the value, the others find nothing. Each loop of a program with several
//! has its own.
//!
//! Invariant: no two of four thousand million values in a row have the same number. So one comparison
//! tells a key of another loop, and one of a value whose place has another tenant now, from a key
//! that fits; the type of the value is checked besides.

use std::any::Any;
use std::cell::{RefCell, RefMut};
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
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
    /// A [`Shared`] of some type.
    value: Option<Rc<dyn Any>>,
}

/// A shared value, which knows its own key.
struct Shared<T> {
    key: Local<T>,
    value: RefCell<T>,
}

/// A shared value in the hands of a source that asks for it often.
pub(crate) struct Held<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Held<T> {
    /// The key to the same value.
    #[inline]
    pub(crate) fn key(&self) -> Local<T> {
        self.shared.key
    }

    /// The value. `None` when a caller further out is using it.
    #[inline(always)]
    pub(crate) fn lend(&self) -> Option<RefMut<'_, T>> {
        self.shared.value.try_borrow_mut().ok()
    }
}

impl<T> Clone for Held<T> {
    #[inline(always)]
    fn clone(&self) -> Held<T> {
        Held {
            shared: Rc::clone(&self.shared),
        }
    }
}

impl Locals {
    pub(super) fn insert<T: 'static>(&mut self, value: T) -> Local<T> {
        let number = next_number();
        let index = self.free.pop().unwrap_or(self.places.len() as u32);
        let key = Local {
            number,
            index,
            of: PhantomData,
        };
        let value = RefCell::new(value);
        let place = Place {
            number,
            value: Some(Rc::new(Shared { key, value })),
        };
        match self.places.get_mut(index as usize) {
            Some(free) => *free = place,
            None => self.places.push(place),
        }
        key
    }

    /// The value of a key, unless it is of another loop or was taken out for good.
    pub(super) fn hold<T: 'static>(&self, local: Local<T>) -> Option<Held<T>> {
        let place = self.places.get(local.index as usize)?;
        let value = place
            .value
            .as_ref()
            .filter(|_| place.number == local.number)?;
        let shared = Rc::clone(value).downcast().ok()?;
        Some(Held { shared })
    }

    /// Takes a value out for good; not one that is in use, or held.
    pub(super) fn remove<T: 'static>(&mut self, local: Local<T>) -> Option<T> {
        let held = self.hold(local)?;
        let place = self.places.get_mut(local.index as usize)?;
        place.value = None; // so that nobody else has it, if it is not held
        match Rc::try_unwrap(held.shared) {
            Ok(shared) => {
                place.number = NOBODY;
                self.free.push(local.index);
                Some(shared.value.into_inner())
            }
            Err(shared) => {
                place.value = Some(shared);
                None
            }
        }
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

impl<T> fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.key(), f)
    }
}
