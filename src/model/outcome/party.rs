//! Who is responsible for a failure: the one table of it.

use super::{Call, Cause, Failure, FailureSide, Phase};
use crate::model::errno::{
    EADDRINUSE, EADDRNOTAVAIL, EAGAIN, ECONNABORTED, ECONNREFUSED, ECONNRESET, EHOSTUNREACH, EMFILE, ENETDOWN, ENETUNREACH,
    ENFILE, ENOBUFS, ENOMEM, EPIPE, ETIMEDOUT,
};

/// Who is responsible for a failure, as far as the call and the errno say (`errors[].party`). Exactly one, or
/// undecided where they cannot say.
#[apply(kebab_case)]
#[derive(Default)]
pub enum Party {
    /// this machine's sockets: no free port, a port in use
    Sockets,
    /// this machine's limits or policy: descriptors, memory, firewall, no route
    Limits,
    /// the network between the two machines
    Path,
    /// the target's machine: it answered that nothing listens there
    TargetMachine,
    /// the target's program: resets, malformed answers, statuses, no answer
    TargetProgram,
    /// a limit of sockbench's own
    Sockbench,
    /// the errno fits several (ETIMEDOUT at connect: path, machine or backlog)
    #[default]
    Undecided,
}

impl Party {
    /// Our own machine's or the target's: sockbench's own limit is met after the target has answered.
    pub const fn side(self) -> FailureSide {
        match self {
            Self::Sockets | Self::Limits => FailureSide::Local,
            Self::Path | Self::TargetMachine | Self::TargetProgram | Self::Sockbench | Self::Undecided => FailureSide::Target,
        }
    }
}

impl Failure {
    /// Who is responsible, as far as the call and the errno say.
    pub const fn party(self) -> Party {
        match self.cause {
            Cause::Errno(n) => self.party_of_errno(n),
            Cause::NoAddress => Party::Limits,
            Cause::SelfConnect => Party::TargetMachine,
            Cause::TimedOut(Phase::Connecting) => Party::Undecided,
            Cause::Malformed(fault) if fault.own_limit().is_some() => Party::Sockbench,
            Cause::TimedOut(_) | Cause::Malformed(_) | Cause::Eof | Cause::Status(_) => Party::TargetProgram,
        }
    }

    /// By call and errno: connect(2), socket(7), tcp(7), icmp_err_convert (net/ipv4/icmp.c).
    #[expect(clippy::match_same_arms, reason = "the order of the rows is the table: one reason a row")]
    const fn party_of_errno(self, errno: i32) -> Party {
        match (self.call, errno) {
            // A shortage of this machine, at whichever call it shows.
            (_, EMFILE | ENFILE | ENOMEM | ENOBUFS | EAGAIN) => Party::Limits,
            (Call::Bind, EADDRINUSE | EADDRNOTAVAIL) => Party::Sockets,
            // Sockets of that kind are off, or not allowed.
            (Call::Socket | Call::Bind, _) => Party::Limits,
            // The target's kernel answered the SYN with an RST, or dropped the connection from its backlog.
            (Call::Connect, ECONNREFUSED | ECONNRESET) => Party::TargetMachine,
            (Call::Connect, ETIMEDOUT) => Party::Undecided,
            // Sent back by a router or by the target's firewall (ICMP), or nobody answered to ARP.
            (Call::Connect, _) if self.so_error => Party::Path,
            (Call::Connect, EADDRNOTAVAIL | EADDRINUSE) => Party::Sockets,
            // Refused before a packet left: no route, a prohibiting route, a policy of the kernel.
            (Call::Connect, _) => Party::Limits,
            (_, ECONNRESET | EPIPE | ECONNABORTED) => Party::TargetProgram,
            (_, ENETUNREACH | EHOSTUNREACH | ENETDOWN) => Party::Path,
            // On an established connection ETIMEDOUT (no acknowledgement) and EPERM or EACCES (a firewall here or there) fit
            // several, and so does any other errno.
            (_, _) => Party::Undecided,
        }
    }

    /// Our machine's or the target's.
    pub const fn side(self) -> FailureSide {
        self.party().side()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::errno::{EACCES, EAFNOSUPPORT, EINVAL, EPERM};

    const ENOPROTOOPT: i32 = 92;
    use crate::model::outcome::ProtocolFault;

    fn returned(call: Call, errno: i32) -> Party {
        Failure::new(call, Cause::Errno(errno)).party()
    }

    fn later(errno: i32) -> Party {
        Failure { so_error: true, ..Failure::new(Call::Connect, Cause::Errno(errno)) }.party()
    }

    #[test]
    fn every_errno_of_connect_by_whether_connect_returned_it() {
        for (errno, at_once, through_so_error) in [
            (EADDRNOTAVAIL, Party::Sockets, Party::Path),
            (EADDRINUSE, Party::Sockets, Party::Path),
            (ENETUNREACH, Party::Limits, Party::Path),
            (EHOSTUNREACH, Party::Limits, Party::Path),
            (ENETDOWN, Party::Limits, Party::Path),
            (EACCES, Party::Limits, Party::Path),
            (EPERM, Party::Limits, Party::Path),
            (EINVAL, Party::Limits, Party::Path),
            (ENOPROTOOPT, Party::Limits, Party::Path),
            (EMFILE, Party::Limits, Party::Limits),
            (ENFILE, Party::Limits, Party::Limits),
            (ENOMEM, Party::Limits, Party::Limits),
            (ENOBUFS, Party::Limits, Party::Limits),
            (EAGAIN, Party::Limits, Party::Limits),
            (ECONNREFUSED, Party::TargetMachine, Party::TargetMachine),
            (ECONNRESET, Party::TargetMachine, Party::TargetMachine),
            (ETIMEDOUT, Party::Undecided, Party::Undecided),
        ] {
            assert_eq!((returned(Call::Connect, errno), later(errno)), (at_once, through_so_error), "errno {errno}");
        }
    }

    #[test]
    fn every_errno_of_the_other_calls() {
        for (call, errno, party) in [
            (Call::Socket, EMFILE, Party::Limits),
            (Call::Socket, EAFNOSUPPORT, Party::Limits),
            (Call::Socket, EACCES, Party::Limits),
            (Call::Bind, EADDRINUSE, Party::Sockets),
            (Call::Bind, EADDRNOTAVAIL, Party::Sockets),
            (Call::Bind, EACCES, Party::Limits),
            (Call::Write, EPIPE, Party::TargetProgram),
            (Call::Write, ECONNRESET, Party::TargetProgram),
            (Call::Write, ENOBUFS, Party::Limits),
            (Call::Read, ECONNRESET, Party::TargetProgram),
            (Call::Read, ECONNABORTED, Party::TargetProgram),
            (Call::Read, ETIMEDOUT, Party::Undecided),
            (Call::Read, EPERM, Party::Undecided),
            (Call::Read, EHOSTUNREACH, Party::Path),
            (Call::Read, ENETUNREACH, Party::Path),
        ] {
            assert_eq!(returned(call, errno), party, "{} errno {errno}", call.word());
        }
    }

    #[test]
    fn causes_without_an_errno_by_phase() {
        let party = |call, cause| Failure::new(call, cause).party();
        for (phase, expected) in [
            (Phase::Connecting, Party::Undecided),
            (Phase::Sending, Party::TargetProgram),
            (Phase::Waiting, Party::TargetProgram),
            (Phase::Receiving, Party::TargetProgram),
        ] {
            assert_eq!(party(Call::Timeout, Cause::TimedOut(phase)), expected, "{phase:?}");
        }
        assert_eq!(party(Call::Read, Cause::Eof), Party::TargetProgram);
        assert_eq!(party(Call::Http, Cause::Status(503)), Party::TargetProgram);
        assert_eq!(party(Call::Connect, Cause::SelfConnect), Party::TargetMachine);
        assert_eq!(party(Call::Connect, Cause::NoAddress), Party::Limits);
        assert_eq!(party(Call::Protocol, Cause::Malformed(ProtocolFault::NoColon)), Party::TargetProgram);
        for own in [
            ProtocolFault::HeadTooLarge,
            ProtocolFault::TooManyFields,
            ProtocolFault::TrailersTooLarge,
            ProtocolFault::BodyTooLarge,
        ] {
            assert_eq!(party(Call::Protocol, Cause::Malformed(own)), Party::Sockbench, "{own:?}");
        }
    }

    #[test]
    fn own_machine_failures_are_local_and_all_others_are_the_targets() {
        let side = |failure: Failure| failure.side();
        assert_eq!(side(Failure::new(Call::Socket, Cause::Errno(EMFILE))), FailureSide::Local);
        assert_eq!(side(Failure::new(Call::Connect, Cause::Errno(ENETUNREACH))), FailureSide::Local);
        let path = Failure { so_error: true, ..Failure::new(Call::Connect, Cause::Errno(ENETUNREACH)) };
        assert_eq!(side(path), FailureSide::Target);
        assert_eq!(side(Failure::new(Call::Connect, Cause::SelfConnect)), FailureSide::Target);
        assert_eq!(side(Failure::new(Call::Protocol, Cause::Malformed(ProtocolFault::HeadTooLarge))), FailureSide::Target);
    }
}
