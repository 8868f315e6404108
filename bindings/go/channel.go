// SPDX-License-Identifier: GPL-3.0-or-later

package pondsocket

import (
	"context"
	"encoding/json"
	"iter"
	"runtime"
)

// Channel is a named room of the server, on a client. Every method may be called from any goroutine, also inside
// handlers.
type Channel struct {
	client *Client
	room   *room
}

// Name is the channel's name.
func (ch *Channel) Name() string { return ch.room.name }

// Client is the client that the channel lives on.
func (ch *Channel) Client() *Client { return ch.client }

// State is the newest truth; it may be ahead of the handlers.
func (ch *Channel) State() ChannelState {
	defer runtime.KeepAlive(ch)
	if state := channelState(ch.room.handle); state > 0 {
		return ChannelState(state)
	}
	return Closed
}

// Join joins and waits for the server's answer: ErrDeclined if it refused, ErrEvicted or ErrClosed if the join ended
// otherwise. If the context ends first, the join goes on in the background. Without a connection it waits for one, so
// Connect first, or at least Start. After a lost connection the client rejoins by itself.
func (ch *Channel) Join(ctx context.Context) error {
	defer runtime.KeepAlive(ch)
	r := ch.room
	r.mu.Lock()
	seen := r.changes
	r.mu.Unlock()
	if err := ch.StartJoin(); err != nil {
		return err
	}
	return ch.client.core.await(ctx, &r.changed, func() (bool, error) {
		state := channelState(r.handle)
		switch ChannelState(state) {
		case Joined, Stalled:
			return true, nil
		case Joining:
			return false, nil
		}
		if state < 0 || r.gone.Load() {
			return true, closedError()
		}
		// It has ended: the event that tells why may still be on its way.
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.changes == seen || (r.last.State != Closed && r.last.State != Declined) {
			return false, nil
		}
		if r.last.Err == nil {
			return true, &Error{Status: ErrClosed, Message: "the channel was left"}
		}
		return true, r.last.Err
	})
}

// StartJoin joins in the background and does not wait.
func (ch *Channel) StartJoin() error {
	defer runtime.KeepAlive(ch)
	return asError(channelDo(ch.room.handle, doJoin))
}

// Leave leaves: what was queued comes back as dropped, requests end with ErrClosed, the state is Closed at once. Join
// works again afterwards, with the handlers kept.
func (ch *Channel) Leave() error {
	defer runtime.KeepAlive(ch)
	return asError(channelDo(ch.room.handle, doLeave))
}

// Close leaves and frees the channel, for all references to it; its handlers are not called any more and its streams
// are closed. Closing twice is fine.
func (ch *Channel) Close() error {
	defer runtime.KeepAlive(ch)
	if ch.room.gone.Swap(true) {
		return nil
	}
	in := ch.client.core
	in.mu.Lock()
	delete(in.rooms, ch.room.handle)
	in.mu.Unlock()
	status := channelDo(ch.room.handle, doChannelFree)
	ch.room.end()
	if status == statusInvalidHandle {
		return nil // its client was closed before
	}
	return asError(status)
}

// end tells everybody that nothing comes any more.
func (r *room) end() {
	r.gone.Store(true)
	r.subscriptions.end()
	r.changed.notify()
}

// SetJoinParams replaces the params of the next join, rejoins included.
func (ch *Channel) SetJoinParams(params any) error {
	defer runtime.KeepAlive(ch)
	return channelSetJoinParams(ch.room.handle, params)
}

// Presence is who is there: the JSON array of the last presence message, "[]" before any.
func (ch *Channel) Presence() (json.RawMessage, error) {
	defer runtime.KeepAlive(ch)
	return channelPresence(ch.room.handle)
}

// Users unmarshals who is there into a slice that `users` points to.
func (ch *Channel) Users(users any) error {
	list, err := ch.Presence()
	if err != nil {
		return err
	}
	return json.Unmarshal(list, users)
}

// Send sends a message. The payload is anything that encoding/json makes one object of; []byte and json.RawMessage are
// taken as JSON, nil is {}. While the channel is not joined the message is queued. A message that was accepted is
// written in order, or it comes back through OnDropped, or it is counted in StateChange.InDoubt.
//
// When there is no room, Send waits for it until the context ends. Errors: ErrClosed and ErrDeclined (the channel has
// ended), ErrTooLarge, ErrInvalidJSON, ErrInvalidUTF8, ErrInvalidArgument (no name), ErrCancelled and ErrTimeout (the
// context ended while there was no room; nothing was taken).
func (ch *Channel) Send(ctx context.Context, event string, payload any) error {
	text, err := marshal(payload)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return contextError(ctx, nil)
	}
	defer runtime.KeepAlive(ch)
	status, err := channelSend(ch.room.handle, event, text, false)
	if status != ErrQueueFull {
		return err
	}
	return ch.client.core.await(ctx, &ch.room.changed, func() (bool, error) {
		status, err := channelSend(ch.room.handle, event, text, false)
		return status != ErrQueueFull, err
	})
}

// TrySend is Send that never waits: ErrQueueFull when there is no room. OnWritable tells when there is some again.
func (ch *Channel) TrySend(event string, payload any) error {
	defer runtime.KeepAlive(ch)
	text, err := marshal(payload)
	if err != nil {
		return err
	}
	_, err = channelSend(ch.room.handle, event, text, false)
	return err
}

// SendVolatile is for news that age at once, such as positions: written now if the channel is joined and nothing waits
// before it, else forgotten. It reports whether it was taken.
func (ch *Channel) SendVolatile(event string, payload any) (bool, error) {
	defer runtime.KeepAlive(ch)
	text, err := marshal(payload)
	if err != nil {
		return false, err
	}
	status, err := channelSend(ch.room.handle, event, text, true)
	return status == statusOK, err
}

// On registers a handler for the messages whose name matches a pattern: "message", "user/:id", "files/*", "*".
// Handlers of a client run one at a time, on one goroutine, in the order in which the messages came and the handlers
// were registered; while one runs or waits, the client stops reading once enough lies undelivered. A handler may call
// everything, also Call. The error is ErrInvalidArgument or ErrInvalidUTF8, for a pattern that can never match.
func (ch *Channel) On(event string, fn func(*Message)) (*Subscription, error) {
	p, err := parsePattern(event)
	if err != nil {
		return nil, err
	}
	return ch.add(&Subscription{kind: kindMessage, pattern: p, message: fn}), nil
}

// OnMessage registers a handler for every message.
func (ch *Channel) OnMessage(fn func(*Message)) *Subscription {
	return ch.add(&Subscription{kind: kindMessage, message: fn})
}

// Subscribe gives the messages whose name matches a pattern through Subscription.C, which holds `buffer` of them. When
// it is full, delivery to all handlers of the client waits. Cancel it when nobody reads it any more.
func (ch *Channel) Subscribe(event string, buffer int) (*Subscription, error) {
	p, err := parsePattern(event)
	if err != nil {
		return nil, err
	}
	return ch.add(newStream(p, buffer)), nil
}

// Messages iterates over the messages whose name matches a pattern, from the call on, until the context ends or the
// channel or its client is closed. For a pattern that can never match there are none.
func (ch *Channel) Messages(ctx context.Context, event string) iter.Seq[*Message] {
	sub, err := ch.Subscribe(event, 64)
	if err != nil {
		return func(func(*Message) bool) {}
	}
	stop := context.AfterFunc(ctx, sub.Cancel)
	return func(yield func(*Message) bool) {
		defer stop()
		defer sub.Cancel()
		for m := range sub.C {
			if ctx.Err() != nil || !yield(m) {
				return
			}
		}
	}
}

// OnState registers a handler for the states of the channel.
func (ch *Channel) OnState(fn func(ChannelStateChange)) *Subscription {
	return ch.on(kindChannelState, func(event any) { fn(event.(ChannelStateChange)) })
}

// OnPresence registers a handler for who comes, changes and goes, and for new lists.
func (ch *Channel) OnPresence(fn func(*Presence)) *Subscription {
	return ch.on(kindPresence, func(event any) { fn(event.(*Presence)) })
}

// OnError registers a handler for errors of the channel: an *Error each. Each comes before the state it causes.
func (ch *Channel) OnError(fn func(error)) *Subscription {
	return ch.on(kindChannelError, func(event any) { fn(event.(error)) })
}

// OnDropped registers a handler for messages that were accepted and will never be sent.
func (ch *Channel) OnDropped(fn func(*Dropped)) *Subscription {
	return ch.on(kindDropped, func(event any) { fn(event.(*Dropped)) })
}

// OnWritable registers a handler for room after ErrQueueFull.
func (ch *Channel) OnWritable(fn func()) *Subscription {
	return ch.on(kindWritable, func(any) { fn() })
}

func (ch *Channel) on(kind int32, fn func(any)) *Subscription {
	return ch.add(&Subscription{kind: kind, other: fn})
}

func (ch *Channel) add(s *Subscription) *Subscription {
	defer runtime.KeepAlive(ch)
	return ch.client.core.add(ch.client, &ch.room.subscriptions, s)
}
