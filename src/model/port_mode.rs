//! Who chooses the local port of a connection.

/// Who chooses the local port of an outgoing connection, and when (`--port-mode`).
#[apply(kebab_case)]
#[derive(Default, strum::EnumString)]
pub enum PortMode {
    /// no bind: the kernel picks at connect(2)
    #[default]
    Auto,
    /// bind(ip, 0): the kernel picks at bind(2)
    Bind,
    /// bind(ip, 0) with IP_BIND_ADDRESS_NO_PORT: the kernel picks at connect(2)
    NoPort,
    /// bind(ip, port) from sockbench's ring over the port range
    Ring,
    /// IP_LOCAL_PORT_RANGE on the socket: the kernel picks at connect(2) within it
    Range,
}

/// `errors[].port_choice`: who chose the port, as needed to tell bind 98 from bind 98.
#[apply(kebab_case)]
pub enum PortChoice {
    /// the kernel, in connect(2)
    KernelAtConnect,
    /// the kernel, in bind(2) to port 0
    KernelAtBind,
    /// this program
    Explicit,
}

words!(PortMode);

impl PortMode {
    /// Who chooses under this mode.
    pub const fn choice(self) -> PortChoice {
        match self {
            Self::Auto | Self::NoPort | Self::Range => PortChoice::KernelAtConnect,
            Self::Bind => PortChoice::KernelAtBind,
            Self::Ring => PortChoice::Explicit,
        }
    }
}
