//! Registering handlers, and the end of a registration.

use std::sync::Arc;

use crate::client::sync::Patience;
use crate::client::{Client, Selector};
use crate::session::{Failure, status};

use super::callback::Incoming;
use super::global::{self, Channel, Object, Subscription, global};
use super::guard::{Answer, guard_free};
use super::input::invalid;
use super::types::{pond_channel, pond_client, pond_subscription};

/// Registers a handler of a client.
///
/// # Safety
/// `out` is NULL or writable.
pub unsafe fn on_client(
    client: *mut pond_client,
    selector: Selector,
    incoming: Incoming,
    out: *mut *mut pond_subscription,
) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { zero(out) };
    let key = client as u64;
    let client = global::client(key)?;
    // SAFETY: the caller's promise.
    unsafe { register(&client, key, 0, selector, incoming, out) }
}

/// Registers a handler of a channel.
///
/// # Safety
/// `out` is NULL or writable.
pub unsafe fn on_channel(
    channel: *mut pond_channel,
    selector: impl FnOnce() -> Result<Selector, Failure>,
    incoming: Incoming,
    out: *mut *mut pond_subscription,
) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { zero(out) };
    let channel: Arc<Channel> = global::channel(channel as u64)?;
    let owner = channel.client.key();
    // SAFETY: the caller's promise.
    unsafe { register(&channel.client, owner, channel.key, selector()?, incoming, out) }
}

unsafe fn zero(out: *mut *mut pond_subscription) {
    if !out.is_null() {
        // SAFETY: the caller promises that a non-NULL `out` is writable.
        unsafe { out.write(std::ptr::null_mut()) };
    }
}

unsafe fn register(
    client: &Arc<Client>,
    owner: u64,
    target: u64,
    selector: Selector,
    incoming: Incoming,
    out: *mut *mut pond_subscription,
) -> Answer {
    if !incoming.has_function() {
        return Err(invalid("fn is NULL"));
    }
    let Some(registration) = incoming.arm(selector) else {
        return Err(invalid("fn is NULL"));
    };
    let id = global::number();
    if !client.handlers().add(target, id, &registration) {
        return Err(Failure::new(status::CLOSED, "freed meanwhile"));
    }
    if out.is_null() {
        // A channel that is freed at this moment may have taken its handlers out before this one came.
        if target == 0 || global().registry().get(target).is_some() {
            return Ok(status::OK);
        }
        client.handlers().remove(target, id);
        registration.cancel(Patience::Forever);
        return Err(Failure::new(status::CLOSED, "freed meanwhile"));
    }
    let subscription = Arc::new(Subscription {
        client: Arc::clone(client),
        target,
        id,
        registration: Arc::clone(&registration),
    });
    let inserted = global()
        .registry_mut()
        .insert([owner, target], |_| Object::Subscription(subscription));
    match inserted {
        Ok(key) => {
            // SAFETY: not NULL, and the caller promises that it is writable.
            unsafe { out.write(key as *mut pond_subscription) };
            Ok(status::OK)
        }
        Err(failure) => {
            client.handlers().remove(target, id);
            registration.cancel(Patience::Forever);
            Err(failure)
        }
    }
}

/// Ends a registration: after this returns (or, inside that very handler, after that returns) fn is not called again and destroy
/// has run. Inside any other handler it does not wait, and destroy announces the end.
/// POND_OK, POND_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn pond_subscription_cancel(subscription: *mut pond_subscription) -> i32 {
    guard_free(|| {
        let object = global::remove(subscription as u64, "subscription", |object| {
            matches!(object, Object::Subscription(_))
        })?;
        if let Object::Subscription(subscription) = object {
            // Cancelled while it is listed: a free of its owner on another thread waits for its end as well. It is not listed
            // any more if that free came first: the promise holds all the same.
            subscription.registration.cancel(Patience::Forever);
            subscription
                .client
                .handlers()
                .remove(subscription.target, subscription.id);
        }
        Ok(status::OK)
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::c_void;
    use std::ptr::null_mut;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::ffi::client::{pond_client_free, pond_client_new, pond_client_on_state};
    use crate::ffi::types::pond_event;

    static DESTROYED: AtomicU32 = AtomicU32::new(0);

    unsafe extern "C" fn handler(_: *const pond_event, _: *mut c_void) {}

    unsafe extern "C" fn destroy(_: *mut c_void) {
        DESTROYED.fetch_add(1, Ordering::SeqCst);
    }

    #[test]
    fn a_cancel_keeps_its_promise_while_another_thread_frees_the_owner() {
        let (mut client, mut subscription) = (null_mut(), null_mut());
        let url = c"ws://127.0.0.1:1/";
        // SAFETY: the strings end in NUL, the outputs are writable, the functions have these types.
        unsafe {
            let made = pond_client_new(url.as_ptr(), std::ptr::null(), null_mut(), &mut client, null_mut());
            assert_eq!(made, status::OK);
            let on = pond_client_on_state(client, Some(handler), null_mut(), Some(destroy), &mut subscription);
            assert_eq!(on, status::OK);
        }
        // The other thread has come so far: the handlers are out of the list, none is cancelled yet.
        let object = global::client(client as u64).unwrap();
        let taken = object.handlers().remove_target(0);
        assert_eq!(pond_subscription_cancel(subscription), status::OK);
        assert_eq!(
            DESTROYED.load(Ordering::SeqCst),
            1,
            "when cancel returns destroy has run"
        );
        for (_, registration) in taken.iter() {
            registration.cancel(Patience::Forever);
        }
        assert_eq!(pond_client_free(client), status::OK);
        assert_eq!(DESTROYED.load(Ordering::SeqCst), 1);
    }
}
