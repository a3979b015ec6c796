//! Fixed pools of threads behind bounded queues, and the way back: one completion channel and one waker per reactor.
//!
//! A job that finds its queue full is refused at once. One that panics is reported as such; its thread goes on.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use mio::Waker;

use super::conn::{Job, JobResult};
use super::places::Living;
use crate::evloop::SlotToken;
use crate::http1::encode::{JobBody, Timing};
use crate::model::order::Order as _;
use crate::model::time::Stamp;
use crate::sys::clock::Clock;
use crate::sys::thread;

/// A job on its way to a worker; the token names connection and generation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    pub(crate) job: Job,
    pub(crate) token: SlotToken,
    pub(crate) reactor: usize,
    pub(crate) queued: Stamp,
}

/// A job's result on its way back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Completion {
    pub(crate) token: SlotToken,
    pub(crate) result: JobResult,
}

/// Where the workers put results for one reactor, how they wake it (once per burst), and who still waits there.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(super) living: Living,
    to_reactor: Sender<Completion>,
    pending: AtomicBool,
    woken: AtomicU64,
    waker: Waker,
}

impl Mailbox {
    /// A mailbox for `capacity` results and `conns` connections, and the reactor's end of it.
    pub(crate) fn new(waker: Waker, capacity: usize, conns: usize) -> (Self, Receiver<Completion>) {
        let (to_reactor, results) = bounded(capacity);
        (
            Self { living: Living::new(conns), to_reactor, pending: AtomicBool::new(false), woken: AtomicU64::new(0), waker },
            results,
        )
    }

    fn put(&self, completion: Completion) {
        // An error means that the reactor has ended: nobody waits for the result.
        if self.to_reactor.send(completion).is_ok() {
            self.wake();
        }
    }

    /// Wakes the reactor, unless a wake is under way.
    pub(crate) fn wake(&self) {
        if !self.pending.swap(true, Ordering::SeqCst) {
            let _ = self.waker.wake();
        }
    }

    /// The reactor is awake and is about to look: to be called before it looks, or a wake could be lost.
    pub(crate) fn woken(&self) {
        self.pending.swap(false, Ordering::SeqCst);
        self.woken.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has woken up.
    pub(crate) fn times_woken(&self) -> u64 {
        self.woken.load(Ordering::Relaxed)
    }
}

/// What a worker does for a job.
pub(crate) type Work = Arc<dyn Fn(&Task) -> JobBody + Send + Sync>;

/// Which core a worker got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// number of the worker
    pub worker: usize,
    /// the core it asked for
    pub core: usize,
    /// whether the machine granted it
    pub granted: bool,
}

/// What a pool shows of itself.
#[derive(Debug)]
pub struct Gauge {
    /// `io` or `cpu`
    pub name: &'static str,
    /// its threads
    pub workers: usize,
    /// jobs that may wait in its queue
    pub capacity: usize,
    busy: AtomicU64,
    queue: Receiver<Task>,
}

impl Gauge {
    /// Jobs that wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Threads at work.
    pub fn busy(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
    }
}

/// A pool. Its threads end when the last clone is gone and the queue is empty.
#[derive(Debug, Clone)]
pub(crate) struct WorkerPool {
    queue: Sender<Task>,
    pub(crate) gauge: Arc<Gauge>,
}

/// What a pool is made of.
pub(crate) struct PoolSpec {
    pub(crate) name: &'static str,
    pub(crate) workers: usize,
    pub(crate) queue: usize,
    /// each worker pins itself to a core
    pub(crate) pin: bool,
    pub(crate) work: Work,
}

impl WorkerPool {
    /// Starts the threads; with the cores that they got.
    ///
    /// Errors: a thread could not be started.
    pub(crate) fn start(spec: &PoolSpec, clock: Clock, mailboxes: &Arc<[Mailbox]>) -> io::Result<(Self, Vec<Pin>)> {
        let (queue, tasks) = bounded::<Task>(spec.queue);
        let gauge = Arc::new(Gauge {
            name: spec.name,
            workers: spec.workers,
            capacity: spec.queue,
            busy: AtomicU64::new(0),
            queue: tasks.clone(),
        });
        let cores = if spec.pin { thread::cores() } else { Vec::new() };
        let (to_us, pins) = bounded(spec.workers);
        for worker in 0..spec.workers {
            let core = (!cores.is_empty()).then(|| cores[worker % cores.len()]);
            let (tasks, gauge, mailboxes, work, to_us) =
                (tasks.clone(), Arc::clone(&gauge), Arc::clone(mailboxes), Arc::clone(&spec.work), to_us.clone());
            let serve = move || {
                let _ = to_us.send(core.map(|core| Pin { worker, core, granted: thread::pin(core) }));
                drop(to_us);
                serve(&tasks, clock, &gauge, &mailboxes, &work);
            };
            thread::start(&format!("{}-{worker}", spec.name), Box::new(serve))?;
        }
        drop(to_us);
        let mut pins: Vec<Pin> = pins.iter().flatten().collect();
        pins.order_by_key(|p| p.worker);
        Ok((Self { queue, gauge }, pins))
    }

    /// Hands a job over. False: the queue is full.
    pub(crate) fn submit(&self, task: Task) -> bool {
        match self.queue.try_send(task) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

fn serve(tasks: &Receiver<Task>, clock: Clock, gauge: &Gauge, mailboxes: &[Mailbox], work: &Work) {
    for task in tasks {
        let mailbox = &mailboxes[task.reactor];
        // Its client has gone while it was queued.
        if !mailbox.living.has(task.token) {
            continue;
        }
        let begun = clock.now();
        gauge.busy.fetch_add(1, Ordering::Relaxed);
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&task)));
        gauge.busy.fetch_sub(1, Ordering::Relaxed);
        let timing = Timing { queue_us: begun.micros_since(task.queued), work_us: clock.now().micros_since(begun) };
        let result = outcome.map_or(JobResult::Panicked, |body| JobResult::Done(body, timing));
        mailbox.put(Completion { token: task.token, result });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sys::clock::sleep;

    struct Bench {
        pool: WorkerPool,
        results: Receiver<Completion>,
        _poll: mio::Poll,
        pins: Vec<Pin>,
    }

    fn bench(workers: usize, queue: usize, pin: bool, work: impl Fn(&Task) -> JobBody + Send + Sync + 'static) -> Bench {
        let poll = mio::Poll::new().unwrap();
        let (mailbox, results) = Mailbox::new(Waker::new(poll.registry(), mio::Token(0)).unwrap(), 16, 8);
        (0..8).for_each(|slot| mailbox.living.begin(token(slot)));
        let spec = PoolSpec { name: "test", workers, queue, pin, work: Arc::new(work) };
        let (pool, pins) = WorkerPool::start(&spec, Clock::start(), &Arc::from([mailbox])).unwrap();
        Bench { pool, results, _poll: poll, pins }
    }

    fn token(slot: u32) -> SlotToken {
        SlotToken { slot, generation: crate::evloop::Generation::default() }
    }

    fn task(n: u32) -> Task {
        Task { job: Job::Cpu, token: token(n), reactor: 0, queued: Stamp::ZERO }
    }

    #[test]
    fn a_panic_is_reported_and_the_pool_keeps_its_size() {
        let b = bench(1, 8, false, |t| if t.token.slot == 0 { panic!("as asked") } else { JobBody::Cpu(7) });
        assert!(b.pool.submit(task(0)) && b.pool.submit(task(1)));
        let next = || b.results.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(next().result, JobResult::Panicked);
        let second = next();
        assert_eq!(second.token, token(1));
        assert!(matches!(second.result, JobResult::Done(JobBody::Cpu(7), _)));
    }

    #[test]
    fn a_full_queue_refuses_at_once() {
        let (hold, held) = bounded::<()>(0);
        let b = bench(1, 2, false, move |_| {
            let _ = held.recv();
            JobBody::Io
        });
        assert!(b.pool.submit(task(0)));
        while b.pool.gauge.busy() == 0 {
            sleep(Duration::from_millis(1));
        }
        assert!(b.pool.submit(task(1)) && b.pool.submit(task(2)));
        assert_eq!(b.pool.gauge.waiting(), 2);
        assert!(!b.pool.submit(task(3)));
        drop(hold);
        assert_eq!(b.results.iter().take(3).map(|c| c.token.slot).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!((b.pool.gauge.busy(), b.pool.gauge.waiting()), (0, 0));
    }

    #[test]
    fn a_job_says_how_long_it_waited_and_worked() {
        let b = bench(1, 8, false, |_| {
            sleep(Duration::from_millis(2));
            JobBody::Io
        });
        // Both are queued when the clock starts; the second waits for the first.
        assert!(b.pool.submit(task(0)) && b.pool.submit(task(1)));
        let times = b.results.iter().take(2).map(|c| if let JobResult::Done(_, timing) = c.result { timing } else { panic!() });
        let [first, second] = times.collect::<Vec<_>>()[..] else { panic!("two results") };
        assert!(first.work_us >= 2000 && second.queue_us >= first.queue_us + 2000, "{first:?} {second:?}");
    }

    #[test]
    fn a_queued_job_of_a_connection_that_is_gone_is_left_out() {
        let b = bench(1, 8, false, |_| JobBody::Io);
        let gone = Task { token: token(9), ..task(9) };
        assert!(b.pool.submit(gone) && b.pool.submit(task(1)));
        assert_eq!(b.results.recv_timeout(Duration::from_secs(5)).unwrap().token, token(1));
        assert!(b.results.try_recv().is_err());
    }

    #[test]
    fn workers_say_which_core_they_got() {
        let b = bench(3, 1, true, |_| JobBody::Io);
        assert_eq!(b.pins.iter().map(|p| p.worker).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(b.pins.iter().all(|p| p.granted));
    }
}
