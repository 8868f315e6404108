// SPDX-License-Identifier: GPL-3.0-or-later

package pondsocket

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// How much may lie between the two goroutines of a client; what is beyond waits in the library, and then in TCP.
const (
	softEvents = 1024
	softBytes  = 1 << 20
)

// core is what a client's goroutines share. It does not refer to the Client unless there are handlers, so that a
// forgotten one can be collected.
//
// Two goroutines serve a client. One reads: it takes events from the library in batches, completes requests and waits at
// once, and queues the rest. The other delivers: it runs handlers one after the other. So a handler may itself wait
// for an answer. Neither blocks in C: the first waits for the queue's descriptor in Go's poller.
type core struct {
	handle  uintptr
	source  source
	options Options
	ctx     context.Context // ends with the client
	cancel  context.CancelFunc

	mu       sync.Mutex
	rooms    map[uintptr]*room
	requests map[uintptr]*Request
	lastID   uintptr
	keep     *Client // set while there are handlers: they want to be called
	last     StateChange
	changes  uint64 // how many states have been seen

	changed signal
	waiting atomic.Int64  // requests and waits under way: reading goes on for them
	overrun atomic.Uint64 // how often they were ended because too much lies unread
	demand  chan struct{} // one began to wait
	space   chan struct{} // deliveries were made

	queueMu sync.Mutex
	queue   []delivery
	work    chan struct{}
	queued  atomic.Int64
	bytes   atomic.Int64

	subscriptions subscriptions
	closing       sync.Once
	done          chan struct{} // closed first
	stopped       chan struct{} // closed when nothing needs the source any more
}

// room is a channel as the goroutines see it.
type room struct {
	handle  uintptr
	name    string
	changed signal // a state, room to write, or the end

	mu      sync.Mutex
	last    ChannelStateChange
	changes uint64

	subscriptions subscriptions
	gone          atomic.Bool
}

// delivery is one event on its way to the handlers.
type delivery struct {
	to      *room // nil: the client's own
	kind    int32
	message *Message
	other   any
	bytes   int64
}

// signal wakes everybody who waits for a change.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) notify() {
	s.mu.Lock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
	s.mu.Unlock()
}

// poke leaves a note in a channel of capacity 1.
func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func newCore(url string, options Options) (*core, error) {
	c := &core{
		options: options, rooms: map[uintptr]*room{}, requests: map[uintptr]*Request{},
		demand: make(chan struct{}, 1), space: make(chan struct{}, 1), work: make(chan struct{}, 1),
		done: make(chan struct{}), stopped: make(chan struct{}),
	}
	if err := c.source.open(options.blockingPull); err != nil {
		return nil, err
	}
	native, err := options.build(c.source.pump)
	if err == nil {
		c.handle, err = clientNew(url, options.Params, native)
		freeOptions(native)
	}
	if err != nil {
		c.source.stop()
		c.source.free()
		return nil, err
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	go c.read()
	go c.deliver()
	return c, nil
}

// close ends everything, from any goroutine and as often as one likes.
func (c *core) close() {
	c.closing.Do(func() {
		close(c.done)
		c.cancel()
		clientFree(c.handle)
		c.source.stop()
		close(c.stopped)
		c.failRequests(closedError())
		c.mu.Lock()
		rooms := c.rooms
		c.rooms, c.keep = map[uintptr]*room{}, nil
		c.mu.Unlock()
		for _, r := range rooms {
			r.end()
		}
		c.subscriptions.end()
		c.changed.notify()
	})
}

func (c *core) closed() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// ---- waits ----

// begin announces somebody who waits for an event, so that reading goes on however many messages lie undelivered.
func (c *core) begin() {
	c.waiting.Add(1)
	poke(c.demand)
}

func (c *core) end() { c.waiting.Add(-1) }

// await looks again after each change until `look` is done.
func (c *core) await(ctx context.Context, changed *signal, look func() (bool, error)) error {
	c.begin()
	defer c.end()
	overrun := c.overrun.Load()
	for {
		change := changed.wait()
		if c.closed() {
			return closedError()
		}
		if done, err := look(); done {
			return err
		}
		if c.overrun.Load() != overrun {
			return overrunError()
		}
		select {
		case <-change:
		case <-c.done:
		case <-ctx.Done():
			return contextError(ctx, nil)
		}
	}
}

func overrunError() error {
	return &Error{Status: ErrQueueFull, Message: "too many messages wait for their handlers"}
}

// contextError tells that a context ended a wait, and what was the trouble until then.
func contextError(ctx context.Context, trouble error) error {
	failed := &Error{Status: ErrCancelled, cause: ctx.Err(), Message: "the context ended the wait"}
	if ctx.Err() == context.DeadlineExceeded {
		failed.Status = ErrTimeout
	}
	if trouble != nil {
		failed.Message += ", last trouble: " + trouble.Error()
	}
	return failed
}

// remaining is the time until a context's deadline, capped.
func remaining(ctx context.Context, limit time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return max(min(time.Until(deadline), limit), 0)
	}
	return limit
}

// ---- source ----

// source is the library's queue and a way to wait for it.
type source struct {
	pump *pump
	file *os.File // nil: waits in C
	raw  syscall.RawConn
}

func (s *source) open(blocking bool) error {
	made, fd, err := newPump()
	if err != nil {
		return err
	}
	s.pump = made
	if fd < 0 || blocking {
		return nil
	}
	if s.file, err = duplicate(fd); err == nil {
		s.raw, err = s.file.SyscallConn()
	}
	if err != nil {
		s.stop()
		s.free()
		return &Error{Status: ErrNoMemory, Message: err.Error()}
	}
	return nil
}

// scratch is what one batch needs. Clients share them, so that an idle one holds none.
type scratch struct {
	records [batchSize]record
	out     pulled
	block   []byte // payloads are cut from here; what is left serves the next batch
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// Small payloads need no allocation of their own: they are cut from blocks of this size.
const (
	blockSize = 16 << 10
	blockLow  = 1 << 10
)

func (in *scratch) pull(p *pump, timeout uint32) Status {
	if len(in.block) < blockLow {
		in.block = make([]byte, blockSize)
	}
	status := pull(p, timeout, in.block, in.records[:], &in.out)
	if status == statusOK && in.out.count == 0 {
		in.block = make([]byte, in.out.need)
		status = pull(p, timeout, in.block, in.records[:], &in.out)
	}
	return status
}

// text is the block of this batch; the next gets the rest.
func (in *scratch) text() []byte {
	used := in.block[:in.out.used:in.out.used]
	in.block = in.block[in.out.used:]
	return used
}

// pull waits for events and takes a batch; the scratch is to be given back.
func (s *source) pull() (Status, *scratch) {
	if s.raw == nil {
		in := scratches.Get().(*scratch)
		return in.pull(s.pump, forever), in
	}
	status := Status(statusInterrupted)
	var in *scratch
	err := s.raw.Read(func(uintptr) bool {
		in = scratches.Get().(*scratch)
		status = in.pull(s.pump, 0)
		if status == statusEmpty {
			scratches.Put(in)
			return false
		}
		return true
	})
	if err != nil {
		return statusInterrupted, nil
	}
	return status, in
}

// stop ends a pull, now or to come. Once.
func (s *source) stop() {
	if s.file != nil {
		s.file.Close()
	} else {
		interrupt(s.pump)
	}
}

// free comes after stop and the last pull.
func (s *source) free() { freePump(s.pump) }
