//! The `sockbench` program: everything is in the library.

fn main() -> std::process::ExitCode {
    sockbench::main()
}
