//! Test servers, scripted runners, builders, a mock clock (dev-dependency only).
