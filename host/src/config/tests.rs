//! Behaviour of the loader.
