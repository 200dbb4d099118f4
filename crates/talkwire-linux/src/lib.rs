//! The hands: tools of a real Linux machine.
