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
        if let Object::Subscription(subscription) = object
            && let Some(registration) = subscription
                .client
                .handlers()
                .remove(subscription.target, subscription.id)
        {
            registration.cancel(Patience::Forever);
        }
        Ok(status::OK)
    })
}
