//! Bare repositories, smart HTTP by the git binary, reading and writing trees and commits.
