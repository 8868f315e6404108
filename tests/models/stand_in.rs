//! What the modelled sources take for the standard library's locks, threads and clock.

pub mod sync {
    use real_std::ops::{Deref, DerefMut};
    pub use real_std::sync::{Arc, LockResult, OnceLock, PoisonError, Weak};
    use real_std::time::Duration;

    pub use real_tokio::sync::Notify;
    use shuttle::rand::{Rng, thread_rng};
    pub use shuttle::sync::atomic;

    /// One wait in so many ends without a notification, or by its timeout.
    const EARLY: u32 = 6;

    #[derive(Default)]
    pub struct Mutex<T> {
        lock: shuttle::sync::Mutex<T>,
        /// A look at it lets others run first: a lock that is free, alone, does not.
        turn: shuttle::sync::atomic::AtomicBool,
    }

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Self {
                lock: shuttle::sync::Mutex::new(value),
                turn: false.into(),
            }
        }

        pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
            self.turn.load(real_std::sync::atomic::Ordering::SeqCst);
            self.held(self.lock.lock())
        }

        fn held<'a>(&'a self, locked: LockResult<shuttle::sync::MutexGuard<'a, T>>) -> LockResult<MutexGuard<'a, T>> {
            let guard = |guard| MutexGuard { mutex: self, guard };
            locked
                .map(guard)
                .map_err(|poisoned| PoisonError::new(guard(poisoned.into_inner())))
        }
    }

    pub struct MutexGuard<'a, T> {
        mutex: &'a Mutex<T>,
        guard: shuttle::sync::MutexGuard<'a, T>,
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            &self.guard
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.guard
        }
    }

    /// shuttle's own wakes nobody without a notification and knows no timeouts.
    #[derive(Default)]
    pub struct Condvar(shuttle::sync::Condvar);

    impl Condvar {
        pub fn new() -> Self {
            Self::default()
        }

        pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
            let MutexGuard { mutex, guard } = guard;
            if thread_rng().gen_ratio(1, EARLY) {
                return without(mutex, guard);
            }
            mutex.held(self.0.wait(guard))
        }

        /// The second of the answer is what nobody modelled here reads: whether the time was over. The clock tells.
        pub fn wait_timeout<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            limit: Duration,
        ) -> LockResult<(MutexGuard<'a, T>, ())> {
            let MutexGuard { mutex, guard } = guard;
            let waited = if thread_rng().gen_ratio(1, EARLY) {
                let until = super::time::Instant::now() + limit;
                let waited = without(mutex, guard);
                super::time::pass_to(until);
                waited
            } else {
                mutex.held(self.0.wait(guard))
            };
            waited
                .map(|guard| (guard, ()))
                .map_err(|poisoned| PoisonError::new((poisoned.into_inner(), ())))
        }

        pub fn notify_one(&self) {
            self.0.notify_one();
        }

        pub fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    /// Not waiting any more, but without the lock yet: a notification of this moment may reach nobody.
    fn without<'a, T>(mutex: &'a Mutex<T>, guard: shuttle::sync::MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        drop(guard);
        shuttle::thread::yield_now();
        mutex.lock()
    }
}

/// Descriptors that hold a number: what is written is added, a read takes it all and fails when there is none.
pub mod fs {
    use real_std::cell::RefCell;
    use real_std::collections::HashMap;
    use real_std::io::{self, Read, Write};
    use real_std::os::fd::{AsRawFd, OwnedFd, RawFd};
    use real_std::sync::Arc;
    use real_std::sync::atomic::Ordering::SeqCst;

    use shuttle::sync::atomic::AtomicU64;

    real_std::thread_local! {
        static NUMBERS: RefCell<HashMap<RawFd, Arc<AtomicU64>>> = RefCell::default();
    }

    pub struct File {
        fd: OwnedFd,
        number: Arc<AtomicU64>,
    }

    impl From<OwnedFd> for File {
        fn from(fd: OwnedFd) -> Self {
            let number = Arc::new(AtomicU64::new(0));
            NUMBERS.with(|all| all.borrow_mut().insert(fd.as_raw_fd(), Arc::clone(&number)));
            Self { fd, number }
        }
    }

    impl AsRawFd for File {
        fn as_raw_fd(&self) -> RawFd {
            self.fd.as_raw_fd()
        }
    }

    impl Write for &File {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let more = u64::from_ne_bytes(bytes.try_into().map_err(|_| io::ErrorKind::InvalidInput)?);
            self.number.fetch_add(more, SeqCst);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Read for &File {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            match self.number.swap(0, SeqCst) {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                number => (&number.to_ne_bytes()[..]).read(bytes),
            }
        }
    }

    /// As poll would say it.
    pub fn is_readable(fd: RawFd) -> bool {
        let number = NUMBERS.with(|all| all.borrow().get(&fd).cloned());
        number.is_some_and(|number| number.load(SeqCst) > 0)
    }

    /// What is behind it does not matter.
    pub fn descriptor() -> io::Result<OwnedFd> {
        real_std::fs::File::open("/dev/null").map(OwnedFd::from)
    }
}

pub mod task {
    pub use real_std::task::*;
    pub use shuttle::future::yield_now;

    pub async fn spawn_blocking<T>(body: impl FnOnce() -> T) -> Result<T, ()> {
        Ok(body())
    }
}

pub mod thread {
    use real_std::io;
    use real_std::sync::Arc;
    use real_std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    pub use shuttle::thread::{ThreadId, current, yield_now};

    /// shuttle's own cannot tell whether its thread is over.
    pub struct JoinHandle<T> {
        handle: shuttle::thread::JoinHandle<T>,
        over: Arc<AtomicBool>,
    }

    impl<T> JoinHandle<T> {
        pub fn is_finished(&self) -> bool {
            self.over.load(SeqCst)
        }

        pub fn join(self) -> shuttle::thread::Result<T> {
            self.handle.join()
        }
    }

    pub struct Builder(shuttle::thread::Builder);

    impl Builder {
        pub fn new() -> Self {
            Self(shuttle::thread::Builder::new())
        }

        pub fn name(self, name: String) -> Self {
            Self(self.0.name(name))
        }

        pub fn spawn<T: Send + 'static>(self, body: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
            let over = Arc::new(AtomicBool::new(false));
            let done = Arc::clone(&over);
            let handle = self.0.spawn(move || {
                let result = body();
                done.store(true, SeqCst);
                result
            })?;
            Ok(JoinHandle { handle, over })
        }
    }
}

pub mod time {
    use real_std::cell::Cell;
    use real_std::ops::Add;
    use real_std::pin::Pin;
    use real_std::task::{Context, Poll};
    pub use real_std::time::Duration;

    // All scheduled threads of a model share one real thread, and so this clock. It moves when a wait ends by its timeout.
    real_std::thread_local! {
        static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Instant(Duration);

    impl Instant {
        pub fn now() -> Self {
            Self(NOW.get())
        }

        pub fn elapsed(&self) -> Duration {
            Self::now().saturating_duration_since(*self)
        }

        pub fn saturating_duration_since(&self, earlier: Self) -> Duration {
            self.0.saturating_sub(earlier.0)
        }
    }

    impl Add<Duration> for Instant {
        type Output = Self;
        fn add(self, more: Duration) -> Self {
            Self(self.0 + more)
        }
    }

    /// Never rings: whoever is not woken otherwise sleeps for good, and that is what models look for.
    pub struct Sleep;

    pub fn sleep_until(_: Instant) -> Sleep {
        Sleep
    }

    impl Sleep {
        pub fn reset(self: Pin<&mut Self>, _: Instant) {}
    }

    impl Future for Sleep {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }
    }

    pub fn pass_to(moment: Instant) {
        NOW.set(NOW.get().max(moment.0));
    }

    /// Every schedule starts at the same moment.
    pub fn reset() {
        NOW.set(Duration::ZERO);
    }
}
