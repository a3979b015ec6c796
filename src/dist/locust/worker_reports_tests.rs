//! Reports that did not arrive, or may not have.

use super::*;

#[test]
fn a_report_that_was_cut_on_its_way_goes_with_the_next_one() {
    let three = Duration::from_secs(3);
    let mut t = Talk::running(2);
    t.counts(10);
    t.tick(three);
    assert_eq!(t.reported(), [10]);
    // The answer to the heartbeat behind it says that it arrived.
    t.hears(FromMaster::Heartbeat);
    t.counts(5);
    t.tick(three);
    assert_eq!(t.reported(), [5]);
    // Here it does not come before the connection ends.
    t.worker.on_closed(t.now);
    t.counts(7);
    t.tick(three);
    assert_eq!(t.reported(), [0; 0], "nothing can be sent");
    t.open();
    t.tick(Duration::ZERO);
    assert_eq!(t.reported(), [12]);
    // An answer to an earlier heartbeat says nothing of it.
    let mut t = Talk::running(2);
    t.tick(Duration::from_secs(1));
    t.counts(3);
    t.tick(three);
    t.hears(FromMaster::Heartbeat);
    t.worker.on_closed(t.now);
    t.open();
    t.reported();
    t.tick(three);
    assert_eq!(t.reported(), [3]);
    t.hears(FromMaster::Heartbeat);
    t.hears(FromMaster::Stop);
    t.worker.on_over(t.now);
    assert_eq!(t.reported(), [0], "it has arrived");
}

/// What a run ends without an answer to is said with its number, whatever the reason of the end.
#[test]
fn requests_that_the_master_may_not_have_are_said_where_it_is_silent() {
    let may_lack = |what: &str| format!("the master does not answer: it may lack {what}, which this worker's own result has");
    let silent = |seconds: u64| {
        let mut t = Talk::running(2);
        for _ in 0..seconds {
            t.counts(10);
            t.wait(1000, false);
        }
        t.counts(4);
        t.told();
        t
    };
    let mut t = silent(11);
    t.worker.on_over(t.now);
    assert_eq!(t.told()[0], may_lack("114 requests"), "reports that were sent, and the last");
    // A signal comes before the silence is long enough to end the test.
    let mut t = silent(5);
    t.worker.on_signal(t.now);
    t.worker.on_over(t.now);
    assert_eq!(t.told(), [may_lack("54 requests")]);
    // A master that says something has what was sent before.
    for message in [FromMaster::Stop, FromMaster::Quit] {
        let mut t = silent(5);
        t.hears(message);
        t.worker.on_over(t.now);
        assert_eq!(t.told(), [""; 0]);
    }
    // What a heartbeat's answer covers has arrived; what came after is not known.
    let mut t = Talk::running(2);
    t.counts(10);
    t.wait(4000, true);
    t.counts(1);
    t.wait(11_000, false);
    t.told();
    t.worker.on_over(t.now);
    assert_eq!(t.told()[0], may_lack("1 request"));
    // Nothing was counted: nothing is missing.
    let mut t = Talk::running(2);
    t.wait(11_000, false);
    t.told();
    t.worker.on_over(t.now);
    assert_eq!(t.told(), [""; 0]);
}
