//! What a status of 400 or above says, and what is to be done about it: one table by class of status. Data only.

/// Statuses that mean the same to somebody who tests a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// 404, 410: nothing is there
    Address,
    /// 401: who asks is not known
    Credentials,
    /// 403: who asks may not
    Forbidden,
    /// 407: a proxy wants to know who asks
    ProxyCredentials,
    /// 405, 501: not by this method
    Method,
    /// 429: a limit of requests in a time
    RateLimit,
    /// 408: the request was not there in time
    Late,
    /// 502, 504, and 520 to 524 of one maker of proxies: a proxy has no answer from the server behind it
    Upstream,
    /// 503: no room, or what it needs is away
    Unavailable,
    /// other statuses from 500 on: the program failed
    Program,
    /// other statuses from 400 on: the request is not as it should be
    Request,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// the same request by curl
    ByHand,
    /// whether the target has anything at `/`; what the run's own server has
    Root,
    /// the site by its name
    Host,
    /// a field with credentials
    Credentials,
    /// the methods that are allowed
    Methods,
    /// the log of the target, from the first failure on
    Log,
    /// the log of the proxy, from the first failure on
    ProxyLog,
    /// the server behind the proxy, without it
    Behind,
    /// longer queues, more workers, less load
    Room,
    /// the rate that was accepted
    Accepted,
    /// one user
    Alone,
}

impl Class {
    /// The class of a status; below 400 there is none.
    pub(super) const fn of(status: u16) -> Option<Self> {
        Some(match status {
            ..=399 => return None,
            404 | 410 => Self::Address,
            401 => Self::Credentials,
            403 => Self::Forbidden,
            407 => Self::ProxyCredentials,
            405 | 501 => Self::Method,
            429 => Self::RateLimit,
            408 => Self::Late,
            502 | 504 | 520..=524 => Self::Upstream,
            503 => Self::Unavailable,
            500.. => Self::Program,
            _ => Self::Request,
        })
    }

    /// What it says; `whole` where every answer of the endpoint has it.
    pub(super) const fn meaning(self, whole: bool) -> &'static str {
        match self {
            Self::Address if whole => {
                "Nothing is at this path under this name: the path or the Host is wrong. It is the address that was asked for, not \
                 the load."
            }
            Self::Address => "At times nothing was at this path: servers behind a balancer differ, or something goes and comes.",
            Self::Credentials if whole => {
                "The target wants credentials, or does not accept those of this run: it is the request, not the load."
            }
            Self::Credentials => {
                "At times the target did not accept the credentials, or wanted some: they ran out, a limit was reached, or servers \
                 behind a balancer differ."
            }
            Self::Forbidden if whole => {
                "The target does not let this request in: it lacks credentials or rights, or a filter by address, Host or User-Agent \
                 forbids it. It is the request, not the load."
            }
            Self::Forbidden => {
                "The target let the same request in at other times: a filter or a limit of requests took these, or servers behind \
                 a balancer differ."
            }
            Self::ProxyCredentials if whole => {
                "A proxy wants credentials before it passes the request on: it is the request, not the load."
            }
            Self::ProxyCredentials => {
                "At times a proxy wanted credentials, and at other times it did not: a limit was reached, or proxies behind a \
                 balancer differ."
            }
            Self::Method if whole => "The target does not accept this method here: it is the request, not the load.",
            Self::Method => {
                "At times the target did not accept this method, and at other times it did: servers behind a balancer differ, or a \
                 filter took these."
            }
            Self::RateLimit => "The target takes only so many requests in a time: it works, and refuses those above its limit.",
            Self::Upstream => "A proxy answered: the server behind it gave no valid answer in time.",
            Self::Late => {
                "The target did not get the whole request in time: it read late, or this program or the network was slow. Some servers \
                 also send it on a connection that was idle for long, as they close it."
            }
            Self::Unavailable if whole => {
                "It served nothing here: it is not ready, it is in maintenance, or what it needs is away."
            }
            Self::Unavailable => "It takes no more: a queue or limit of its program is full, or what it needs is away.",
            Self::Program => "The target's program failed: its log says why.",
            Self::Request => "The target answered that it does not accept the request as it is: path, method, header or body.",
        }
    }

    /// What to do, best first; `whole` where every answer of the endpoint has it.
    pub(super) const fn steps(self, whole: bool) -> &'static [Step] {
        match (self, whole) {
            // One user asks for the same, and is answered the same.
            (Self::Address, true) => &[Step::ByHand, Step::Root, Step::Host],
            (Self::Credentials | Self::Forbidden | Self::ProxyCredentials, true) => &[Step::Credentials, Step::ByHand],
            (Self::Method, true) => &[Step::Methods, Step::ByHand],
            (Self::ProxyCredentials, false) => &[Step::ProxyLog, Step::ByHand, Step::Alone],
            // Where the same request is let in at other times, the target's log says what took the others.
            (Self::Address | Self::Credentials | Self::Forbidden | Self::Method, false) | (Self::Program | Self::Late, _) => {
                &[Step::Log, Step::ByHand, Step::Alone]
            }
            // One user asks as fast as he is answered: the limit refuses him too.
            (Self::RateLimit, _) => &[Step::Accepted, Step::ByHand],
            (Self::Upstream, _) => &[Step::ProxyLog, Step::Behind, Step::Alone],
            (Self::Unavailable, true) => &[Step::ByHand, Step::Log, Step::Alone],
            (Self::Unavailable, false) => &[Step::Room, Step::Log, Step::ByHand, Step::Alone],
            (Self::Request, _) => &[Step::ByHand, Step::Alone],
        }
    }

    /// More load can bring this status where less does not: at once, or as something runs full under a load that stays the
    /// same. A request that is let in at other times can have met a limit; `whole` where none was.
    pub(super) const fn can_be_of_the_load(self, whole: bool) -> bool {
        match self {
            Self::Upstream | Self::Unavailable | Self::Program | Self::Late => true,
            Self::Credentials | Self::Forbidden | Self::ProxyCredentials => !whole,
            Self::Address | Self::Method | Self::RateLimit | Self::Request => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_from_400_on_has_a_class_a_meaning_and_steps() {
        for status in 0..=u16::MAX {
            let class = Class::of(status);
            assert_eq!(class.is_some(), status >= 400, "{status}");
            for (class, whole) in class.into_iter().flat_map(|class| [(class, true), (class, false)]) {
                assert!(class.meaning(whole).ends_with('.') && !class.steps(whole).is_empty(), "{status}");
            }
        }
    }

    #[test]
    fn what_is_of_the_request_sends_nobody_to_the_load() {
        let of_the_request = [401, 403, 404, 405, 407, 410, 501].map(|status| Class::of(status).expect("a class"));
        for class in of_the_request {
            let steps = class.steps(true);
            assert!(!class.can_be_of_the_load(true) && class.meaning(true).contains("not the load"), "{class:?}");
            assert!(![Step::Alone, Step::Room, Step::Accepted].iter().any(|step| steps.contains(step)), "{class:?}: {steps:?}");
            // Where other answers to the same request were good, the request is not what is wrong.
            let steps = class.steps(false);
            assert!(!class.meaning(false).contains("not the load"), "{class:?}: {}", class.meaning(false));
            assert!(
                ![Step::Credentials, Step::Methods, Step::Root, Step::Host].iter().any(|step| steps.contains(step)),
                "{class:?}"
            );
            assert!(steps.contains(&Step::Alone), "{class:?}: {steps:?}");
        }
        for status in [408, 500, 502, 503, 504, 520, 599] {
            let class = Class::of(status).expect("a class");
            assert!(class.can_be_of_the_load(true) && class.can_be_of_the_load(false), "{status}");
        }
        for (status, can) in [(401, true), (403, true), (407, true), (404, false), (405, false), (429, false)] {
            assert_eq!(Class::of(status).expect("a class").can_be_of_the_load(false), can, "{status}");
        }
    }

    #[test]
    fn a_status_of_its_own_kind_has_a_class_of_its_own() {
        for (status, class) in [(408, Class::Late), (520, Class::Upstream), (524, Class::Upstream), (525, Class::Program)] {
            assert_eq!(Class::of(status), Some(class), "{status}");
        }
        let (whole, part) = (Class::Unavailable.meaning(true), Class::Unavailable.meaning(false));
        assert!(!whole.contains("full") && part.contains("full"), "{whole} {part}");
    }

    #[test]
    fn a_failure_of_the_program_sends_to_its_log_first() {
        for (status, first) in [(500, Step::Log), (599, Step::Log), (502, Step::ProxyLog), (504, Step::ProxyLog)] {
            let class = Class::of(status).expect("a class");
            assert_eq!([class.steps(true)[0], class.steps(false)[0]], [first, first], "{status}");
        }
    }
}
