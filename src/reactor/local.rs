//! Values that belong to a loop and are shared by its sources.
//!
//! The connections of a server share a service, its counters and its buffers. A [`Local`] is the
//! key to such a value; [`Context::with`](super::Context::with) takes it out of the loop for the
//! length of one call and puts it back, as the loop does with sources. So it is plain `&mut`, no
//! borrow can panic, and each loop of a program with several has its own.

use std::fmt;
use std::marker::PhantomData;

/// The key to a value of type `T` in the loop it was made in.
pub struct Local<T> {
    /// Which loop it is of; no two loops of a process have the same number.
    pub(super) of_loop: u32,
    pub(super) index: u32,
    pub(super) of: PhantomData<fn() -> T>,
}

impl<T> Clone for Local<T> {
    fn clone(&self) -> Local<T> {
        *self
    }
}

impl<T> Copy for Local<T> {}

impl<T> fmt::Debug for Local<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Local<{}>({})", std::any::type_name::<T>(), self.index)
    }
}
