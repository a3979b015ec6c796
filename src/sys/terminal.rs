//! The size of a terminal.

/// Columns of the terminal that stdout is; none where it is none.
pub fn columns_of_stdout() -> Option<usize> {
    columns(std::io::stdout())
}

/// Columns of the terminal that stderr is; none where it is none.
pub fn columns_of_stderr() -> Option<usize> {
    columns(std::io::stderr())
}

fn columns(of: impl std::os::fd::AsFd) -> Option<usize> {
    terminal_size::terminal_size_of(of).map(|(width, _)| usize::from(width.0)).filter(|columns| *columns > 0)
}

/// Whether this process has a controlling terminal, whose end comes as a SIGHUP (tty(4)).
pub fn is_controlled() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}
