//! A panic at every injection point in turn: the host is told, everything else goes on, nothing hangs, each destroy runs once.
// A test may panic, and calls the C face as a C program would.
#![allow(unsafe_code, clippy::undocumented_unsafe_blocks)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/server.rs"]
mod server;

use std::collections::HashMap;
use std::ffi::{CStr, c_void};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, mpsc};
use std::time::{Duration, Instant};

use pondsocket::ffi::types::*;
use pondsocket::ffi::{channel::*, channel_on::*, client::*, event::*, library::*, queue::*, subscribe::*};
use pondsocket::ffi::{options::*, types::pond_client};
use pondsocket::inject;
use pondsocket::session::status;

use server::Server;

const WAIT: u32 = 20_000;
const LIMIT: Duration = Duration::from_secs(20);
const LOG_ERROR: i32 = 1;
/// Enough for every point that one conversation passes.
const MOST: u32 = 80;

/// What the callbacks saw. Each registration has a number of its own.
static TOLD: AtomicU32 = AtomicU32::new(0);
static NEXT: AtomicU32 = AtomicU32::new(1);
static DESTROYED: Mutex<Option<HashMap<usize, u32>>> = Mutex::new(None);
static REPLIES: Mutex<Option<HashMap<usize, u32>>> = Mutex::new(None);
/// The library is one per process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn count(counts: &Mutex<Option<HashMap<usize, u32>>>, key: usize) {
    let mut counts = counts.lock().unwrap();
    *counts.get_or_insert_default().entry(key).or_default() += 1;
}

fn told(status: i32) -> i32 {
    if status == status::PANIC {
        TOLD.fetch_add(1, Ordering::SeqCst);
    }
    status
}

unsafe extern "C" fn on_event(event: *const pond_event, _: *mut c_void) {
    told(unsafe { pond_event_status(event) });
}

unsafe extern "C" fn on_reply(event: *const pond_event, user_data: *mut c_void) {
    told(unsafe { pond_event_status(event) });
    count(&REPLIES, user_data as usize);
}

unsafe extern "C" fn on_log(event: *const pond_event, _: *mut c_void) {
    let message = unsafe { CStr::from_ptr(pond_event_message(event, null_mut())) };
    if message.to_string_lossy().contains("contained") {
        TOLD.fetch_add(1, Ordering::SeqCst);
    }
}

unsafe extern "C" fn on_destroy(user_data: *mut c_void) {
    count(&DESTROYED, user_data as usize);
}

fn number() -> *mut c_void {
    std::ptr::without_provenance_mut(NEXT.fetch_add(1, Ordering::SeqCst) as usize)
}

/// A panic hits once: whatever failed by it is asked for again.
fn again(mut call: impl FnMut() -> i32) -> i32 {
    let first = told(call());
    if first == status::PANIC { told(call()) } else { first }
}

struct Conversation {
    client: *mut pond_client,
    channel: *mut pond_channel,
    queue: *mut pond_queue,
}

impl Conversation {
    fn open(url: &CStr, with_queue: bool) -> Self {
        let (mut client, mut channel, mut queue, mut options) = (null_mut(), null_mut(), null_mut(), null_mut());
        unsafe {
            assert_eq!(again(|| pond_options_new(&mut options)), 0);
            if with_queue {
                assert_eq!(again(|| pond_queue_new(&mut queue)), 0);
                assert_eq!(
                    again(|| pond_queue_set_wake(queue, Some(on_event), number(), Some(on_destroy))),
                    0
                );
                assert_eq!(again(|| pond_options_set_queue(options, queue)), 0);
            }
            let backoff = || pond_options_set_backoff_ms(options, 1, 20);
            assert_eq!(again(backoff), 0);
            assert_eq!(
                again(|| pond_client_new(url.as_ptr(), null(), options, &mut client, null_mut())),
                0
            );
            assert_eq!(again(|| pond_options_free(options)), 0);
            let name = c"/chat/room".as_ptr();
            let made = again(|| pond_client_channel(client, name, null(), &mut channel, null_mut()));
            // A panic behind the making of it: the second call finds it.
            assert!([0, 4].contains(&made), "{made}");
            let on: pond_destroy_fn = Some(on_destroy);
            assert_eq!(
                again(|| pond_client_on_state(client, Some(on_event), number(), on, null_mut())),
                0
            );
            assert_eq!(
                again(|| pond_client_on_error(client, Some(on_event), number(), on, null_mut())),
                0
            );
            assert_eq!(
                again(|| pond_channel_on_state(channel, Some(on_event), number(), on, null_mut())),
                0
            );
            assert_eq!(
                again(|| pond_channel_on_message(channel, Some(on_event), number(), on, null_mut())),
                0
            );
        }
        Self { client, channel, queue }
    }

    fn drain(&self) {
        if !self.queue.is_null() {
            while again(|| pond_queue_dispatch(self.queue, 0, 0)) > 0 {}
        }
    }

    /// Up to a joined channel, and a question that is answered. A lost session needs another connect and join.
    fn talk(&self) {
        for _ in 0..20 {
            if self.try_to_talk() {
                return;
            }
        }
        panic!("no conversation came about, though only one panic was injected");
    }

    fn try_to_talk(&self) -> bool {
        let Self { client, channel, .. } = *self;
        again(|| pond_client_connect(client));
        if told(unsafe { pond_client_wait_state(client, 3, WAIT, null_mut()) }) != 0 {
            return false;
        }
        again(|| pond_channel_join(channel));
        if !self.wait_joined() {
            return false;
        }
        let sent = again(|| unsafe { pond_channel_send(channel, c"said".as_ptr(), c"{\"a\":1}".as_ptr(), null_mut()) });
        let asked = number();
        let mut ticket = 0;
        let request = told(unsafe {
            let (event, payload) = (c"echo".as_ptr(), null());
            let (on, end) = (Some(on_reply as _), Some(on_destroy as _));
            pond_channel_request(channel, event, payload, WAIT, on, asked, end, &mut ticket, null_mut())
        });
        let mut reply = null_mut();
        let called =
            told(unsafe { pond_channel_call(channel, c"echo".as_ptr(), null(), WAIT, &mut reply, null_mut()) });
        unsafe { pond_event_free(reply) };
        self.drain();
        sent == 0 && request == 0 && called == 0
    }

    /// A panic that came between the connect and the join leaves the join waiting for another connect.
    fn wait_joined(&self) -> bool {
        let begun = Instant::now();
        loop {
            match told(unsafe { pond_channel_wait_state(self.channel, 13, 50, null_mut()) }) {
                status::TIMEOUT if pond_client_state(self.client) != 1 && begun.elapsed() < LIMIT => {}
                other => return other == 0,
            }
        }
    }

    fn close(self) {
        let mut subscription = null_mut();
        let (channel, end) = (self.channel, Some(on_destroy as _));
        let on = || unsafe { pond_channel_on_error(channel, Some(on_event), number(), end, &mut subscription) };
        assert_eq!(again(on), 0);
        let cancelled = again(|| pond_subscription_cancel(subscription));
        // The second call after a panic may find that the first one has done it.
        assert!([0, status::INVALID_HANDLE].contains(&cancelled), "{cancelled}");
        again(|| pond_channel_leave(self.channel));
        self.drain();
        again(|| pond_channel_free(self.channel));
        again(|| pond_client_disconnect(self.client));
        self.drain();
        again(|| pond_client_free(self.client));
        if !self.queue.is_null() {
            again(|| pond_queue_free(self.queue));
        }
    }
}

/// Everything once. Tells whether the panic came.
fn round(point: &'static str, n: u32, url: &CStr, with_queue: bool) -> bool {
    TOLD.store(0, Ordering::SeqCst);
    NEXT.store(1, Ordering::SeqCst);
    *DESTROYED.lock().unwrap() = None;
    *REPLIES.lock().unwrap() = None;
    let first_log = number();
    assert_eq!(
        unsafe { pond_log_set(LOG_ERROR, Some(on_log), first_log, Some(on_destroy)) },
        0
    );
    let bystander = Conversation::open(url, false);
    bystander.talk();

    inject::arm(point, n);
    let conversation = Conversation::open(url, with_queue);
    conversation.talk();
    bystander.talk();
    conversation.close();
    let fired = inject::disarm();

    bystander.talk();
    bystander.close();
    let later = Conversation::open(url, with_queue);
    later.talk();
    later.close();
    assert_eq!(again(|| pond_shutdown(WAIT)), 0, "{point} {n}");

    let registered = NEXT.load(Ordering::SeqCst) as usize;
    let destroyed = DESTROYED.lock().unwrap().take().unwrap();
    for key in 1..registered {
        assert_eq!(
            destroyed.get(&key),
            Some(&1),
            "{point} {n}: destroy of {key} of {registered}"
        );
    }
    let replies = REPLIES.lock().unwrap().take().unwrap_or_default();
    assert!(replies.values().all(|times| *times == 1), "{point} {n}: {replies:?}");
    if fired && point != "accessor" {
        assert!(TOLD.load(Ordering::SeqCst) > 0, "{point} {n}: nobody was told");
    }
    fired
}

/// Every n until the point is not passed so often.
fn walk(point: &'static str, at_least: u32) {
    let _one: MutexGuard<'_, ()> = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    std::panic::set_hook(Box::new(|info| {
        // The injected ones are told by their effects.
        if info
            .payload()
            .downcast_ref::<&str>()
            .is_none_or(|name| name.contains(' '))
        {
            eprintln!("{info}");
        }
    }));
    let server = Server::start();
    let url = std::ffi::CString::new(server.url()).unwrap();
    let (done, watch) = mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        if watch.recv_timeout(Duration::from_secs(600)) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("{point}: hangs");
            std::process::abort();
        }
    });
    for with_queue in [false, true] {
        let mut n = 1;
        while n <= MOST && round(point, n, &url, with_queue) {
            n += 1;
        }
        assert!(n > at_least, "{point}: only {n} were passed");
        eprintln!("{point}: {} panics, queue: {with_queue}", n - 1);
    }
    drop(done);
    watchdog.join().unwrap();
}

#[test]
fn a_panic_at_the_boundary_is_a_status() {
    walk("boundary", 20);
}

#[test]
fn a_panic_in_an_accessor_reads_as_absent() {
    walk("accessor", 3);
}

#[test]
fn a_panic_in_the_session_closes_it_and_connect_starts_again() {
    walk("session", 8);
}

#[test]
fn a_panic_in_the_driver_ends_the_link_and_connect_starts_again() {
    walk("driver", 5);
}

#[test]
fn a_panic_before_a_handler_costs_this_event_only() {
    walk("callback", 3);
}

#[test]
fn a_panic_in_delivery_costs_this_event_only() {
    walk("deliver", 3);
}

#[test]
fn a_panic_before_a_destroy_does_not_skip_it() {
    walk("destroy", 5);
}
