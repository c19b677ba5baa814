//! The program: everything is in the library.

/// Requests allocate much and briefly (ADR 7).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    footplate::cli::main()
}
