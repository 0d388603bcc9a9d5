//! Verdicts on changes, and what follows from them.
