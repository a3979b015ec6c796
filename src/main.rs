//! The `sockbench` programme: everything is in the library.

fn main() -> std::process::ExitCode {
    sockbench::main()
}
