// SPDX-License-Identifier: GPL-3.0-or-later

package pondsocket

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// Request is a question under way. It ends exactly once.
type Request struct {
	channel *Channel
	id      uintptr
	mu      sync.Mutex
	ticket  uint64
	done    chan struct{}
	reply   *Message
	err     error
}

// Call asks and waits for the answer. The payload is as of Send; the context's deadline is the timeout, without one it
// is Options.ResponseTimeout. When the context ends, the request is cancelled in the library, too; an answer that comes
// later is an ordinary message.
//
// Errors: ErrServer (with the server's code, message and details), ErrTimeout, ErrCancelled, ErrConnectionLost,
// ErrClosed, ErrDeclined, ErrEvicted, ErrQueueFull (no room, or too many undelivered messages before the answer), and those of
// Send.
func (ch *Channel) Call(ctx context.Context, event string, payload any) (*Message, error) {
	if ctx.Err() != nil {
		return nil, contextError(ctx, nil)
	}
	timeout := uint32(0)
	if _, ok := ctx.Deadline(); ok {
		timeout = forever
	}
	r, err := ch.request(event, payload, timeout)
	if err != nil {
		return nil, err
	}
	return r.Wait(ctx)
}

// Request asks and does not wait: see Request.Wait. A timeout of 0 is Options.ResponseTimeout, a negative one none.
func (ch *Channel) Request(event string, payload any, timeout time.Duration) (*Request, error) {
	switch {
	case timeout < 0:
		return ch.request(event, payload, forever)
	default:
		return ch.request(event, payload, milliseconds(timeout))
	}
}

func (ch *Channel) request(event string, payload any, timeout uint32) (*Request, error) {
	defer runtime.KeepAlive(ch)
	text, err := marshal(payload)
	if err != nil {
		return nil, err
	}
	in := ch.client.core
	r := &Request{channel: ch, done: make(chan struct{})}
	in.mu.Lock()
	in.lastID++
	r.id = in.lastID
	in.requests[r.id] = r
	in.mu.Unlock()
	in.begin()

	ticket, err := channelRequest(ch.room.handle, event, text, timeout, r.id)
	if err != nil {
		in.takeRequest(r.id)
		return nil, err
	}
	r.mu.Lock()
	r.ticket = ticket
	r.mu.Unlock()
	if in.closed() {
		// Closed between: nobody would end it.
		if in.takeRequest(r.id) != nil {
			r.complete(nil, closedError())
		}
	}
	return r, nil
}

// Done is closed when the request has ended.
func (r *Request) Done() <-chan struct{} { return r.done }

// Wait waits for the answer. When the context ends first, the request is cancelled.
func (r *Request) Wait(ctx context.Context) (*Message, error) {
	select {
	case <-r.done:
	case <-ctx.Done():
		r.abandon(contextError(ctx, nil))
		<-r.done
	}
	return r.reply, r.err
}

// Cancel ends the request with ErrCancelled, unless it has ended already.
func (r *Request) Cancel() {
	r.abandon(&Error{Status: ErrCancelled, Message: "the request was cancelled"})
}

func (r *Request) abandon(err error) {
	if r.channel.client.core.takeRequest(r.id) == nil {
		return // it has ended, or is about to
	}
	r.mu.Lock()
	ticket := r.ticket
	r.mu.Unlock()
	// Its answer may be on the way already; nobody is left to take it.
	channelCancel(r.channel.room.handle, ticket)
	runtime.KeepAlive(r.channel)
	r.complete(nil, err)
}

// complete is for whoever took the request out of the list.
func (r *Request) complete(reply *Message, err error) {
	r.reply, r.err = reply, err
	close(r.done)
}

// takeRequest takes a request out of the list; nil when another was faster.
func (c *core) takeRequest(id uintptr) *Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.requests[id]
	if r != nil {
		delete(c.requests, id)
		c.end()
	}
	return r
}

// failRequests ends all requests.
func (c *core) failRequests(err error) {
	c.mu.Lock()
	all := c.requests
	c.requests = map[uintptr]*Request{}
	c.mu.Unlock()
	for _, r := range all {
		c.end()
		r.mu.Lock()
		ticket := r.ticket
		r.mu.Unlock()
		channelCancel(r.channel.room.handle, ticket)
		r.complete(nil, err)
	}
}
