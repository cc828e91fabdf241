//! Clients that want too much at once.
