//! Renderers: a run result in, bytes out. Pure.
