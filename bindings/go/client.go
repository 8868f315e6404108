// SPDX-License-Identifier: GPL-3.0-or-later

package pondsocket

import (
	"context"
	"runtime"
	"time"
)

// Client holds one connection to a server; channels live on it. Every method may be called from any goroutine, also
// inside handlers.
type Client struct {
	core *core
}

// New makes a client; it does not dial yet. The URL is of the kind ws, wss, http or https; nil options are the
// defaults. Close the client when it is no longer needed.
//
// Errors: ErrInvalidURL, ErrInvalidJSON (params), ErrInvalidArgument (an option), ErrTLS (an unusable certificate),
// ErrNoMemory.
func New(url string, options *Options) (*Client, error) {
	if options == nil {
		options = &Options{}
	}
	c, err := newCore(url, *options)
	if err != nil {
		return nil, err
	}
	client := &Client{core: c}
	// A safety net only. While there are handlers the client is kept, since they want to be called.
	runtime.AddCleanup(client, func(c *core) { c.close() }, c)
	return client, nil
}

// do runs an operation and keeps the client alive meanwhile.
func (c *Client) do(what int) error {
	defer runtime.KeepAlive(c)
	return asError(clientDo(c.core.handle, what))
}

// Connect dials and waits until the server said that the client is connected. If the context ends first, dialling goes
// on in the background; the error tells the trouble so far. When the client gave up: ErrConnect, ErrTLS, ErrHTTP,
// ErrRejected, ErrConnectionLost, ErrTimeout. Once connected the client reconnects by itself.
func (c *Client) Connect(ctx context.Context) error {
	defer runtime.KeepAlive(c)
	in := c.core
	seen := in.states()
	if err := c.Start(); err != nil {
		return err
	}
	var trouble error
	err := in.await(ctx, &in.changed, func() (bool, error) {
		state := ClientState(clientState(in.handle))
		if state == Connected {
			return true, nil
		}
		in.mu.Lock()
		defer in.mu.Unlock()
		if in.changes == seen || in.last.State != Disconnected {
			return false, nil
		}
		if in.last.Err != nil {
			trouble = in.last.Err
		}
		if state == Disconnected && !in.last.WillRetry {
			if in.last.Err == nil {
				return true, &Error{Status: ErrClosed, Message: "the client was disconnected"}
			}
			return true, in.last.Err
		}
		return false, nil
	})
	if failed, ok := err.(*Error); ok && failed.cause != nil {
		return contextError(ctx, trouble)
	}
	return err
}

func (c *core) states() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changes
}

// Start dials in the background and does not wait.
func (c *Client) Start() error { return c.do(doConnect) }

// Disconnect says goodbye: LEAVE for joined channels, what was sent before, Close; then it waits until the connection
// is gone, 2 s at most. Channels become Closed, requests end with ErrClosed. Connect works again afterwards.
func (c *Client) Disconnect(ctx context.Context) error {
	defer runtime.KeepAlive(c)
	if err := c.do(doDisconnect); err != nil {
		return err
	}
	return c.core.await(ctx, &c.core.changed, func() (bool, error) {
		return ClientState(clientState(c.core.handle)) == Disconnected, nil
	})
}

// Close ends the client at once and frees what it holds: waits and requests end with ErrClosed, streams are closed,
// undelivered messages are discarded, and no handler starts any more once it has returned (one that runs may still be
// running). The goodbye goes on in the background for 1 s at most; to be sure of it, Disconnect before. Closing twice
// is fine.
func (c *Client) Close() error {
	c.core.close()
	runtime.KeepAlive(c)
	return nil
}

// Suspend drops the connection and stops dialling, but keeps channels and what they have queued.
func (c *Client) Suspend() error { return c.do(doSuspend) }

// Resume dials at once after Suspend, and rejoins.
func (c *Client) Resume() error { return c.do(doResume) }

// ReconnectNow skips the backoff if a dial is waiting for it.
func (c *Client) ReconnectNow() error { return c.do(doReconnectNow) }

// State is the newest truth; it may be ahead of the handlers. A closed client is Disconnected.
func (c *Client) State() ClientState {
	defer runtime.KeepAlive(c)
	if state := clientState(c.core.handle); state > 0 {
		return ClientState(state)
	}
	return Disconnected
}

// ConnectionID is what the server calls this connection; "" = it told none.
func (c *Client) ConnectionID() string {
	defer runtime.KeepAlive(c)
	return clientConnectionID(c.core.handle)
}

// Flush waits until everything accepted so far is written or dropped. It occupies a thread while it waits.
func (c *Client) Flush(ctx context.Context) error {
	defer runtime.KeepAlive(c)
	for {
		// In slices, so that a context ends the wait soon.
		status := clientFlush(c.core.handle, milliseconds(remaining(ctx, 50*time.Millisecond)))
		if status != statusTimeout {
			return asError(status)
		}
		if ctx.Err() != nil {
			return contextError(ctx, nil)
		}
	}
}

// SetParams replaces all params of the URL's query, for the next dial.
func (c *Client) SetParams(params any) error {
	defer runtime.KeepAlive(c)
	return clientSetParams(c.core.handle, params)
}

// SetHeader sets a request header for the next dial.
func (c *Client) SetHeader(name, value string) error {
	defer runtime.KeepAlive(c)
	return clientSetHeader(c.core.handle, name, value, false)
}

// RemoveHeader removes a request header for the next dial.
func (c *Client) RemoveHeader(name string) error {
	defer runtime.KeepAlive(c)
	return clientSetHeader(c.core.handle, name, "", true)
}

// Stats are the client's counters.
func (c *Client) Stats() (Stats, error) {
	defer runtime.KeepAlive(c)
	stats, err := clientStats(c.core.handle)
	stats.Waiting = uint64(max(c.core.queued.Load(), 0))
	return stats, err
}

// Channel makes a channel, or gives another reference to the one of that name. The params of its join are anything that
// encoding/json makes one object of, nil for none; those of a channel that is joined already are not replaced.
//
// Errors: ErrInvalidArgument (an empty name), ErrInvalidJSON, ErrTooLarge, ErrClosed.
func (c *Client) Channel(name string, params any) (*Channel, error) {
	defer runtime.KeepAlive(c)
	in := c.core
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed() {
		return nil, closedError()
	}
	handle, err := clientChannel(in.handle, name, params)
	if err != nil {
		return nil, err
	}
	r := in.rooms[handle]
	if r == nil {
		r = &room{handle: handle, name: name}
		in.rooms[handle] = r
	}
	return &Channel{client: c, room: r}, nil
}

// OnState registers a handler for the states of the connection.
func (c *Client) OnState(fn func(StateChange)) *Subscription {
	return c.on(kindClientState, func(event any) { fn(event.(StateChange)) })
}

// OnError registers a handler for failures of the connection. Each comes before the state it causes.
func (c *Client) OnError(fn func(ClientError)) *Subscription {
	return c.on(kindClientError, func(event any) { fn(event.(ClientError)) })
}

// OnMessage registers a handler for messages of the endpoint itself, which belong to no channel.
func (c *Client) OnMessage(fn func(*Message)) *Subscription {
	return c.core.add(c, &c.core.subscriptions, &Subscription{kind: kindClientMessage, message: fn})
}

func (c *Client) on(kind int32, fn func(any)) *Subscription {
	return c.core.add(c, &c.core.subscriptions, &Subscription{kind: kind, other: fn})
}
