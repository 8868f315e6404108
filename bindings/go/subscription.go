// SPDX-License-Identifier: GPL-3.0-or-later

package pondsocket

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Subscription is a registered handler or stream.
type Subscription struct {
	// C is the stream of Channel.Subscribe; nil for handlers. It is closed when the subscription, the channel or the
	// client ends.
	C <-chan *Message

	kind    int32
	pattern *pattern // nil: every message
	message func(*Message)
	other   func(any)

	list  *subscriptions
	core  *core
	ended atomic.Bool
	quit  chan struct{} // of streams: closed first
	mu    sync.Mutex    // of streams: held while sending to them
	out   chan *Message
}

func newStream(p *pattern, buffer int) *Subscription {
	out := make(chan *Message, max(buffer, 0))
	return &Subscription{C: out, out: out, kind: kindMessage, pattern: p, quit: make(chan struct{})}
}

// Cancel ends the subscription: its handler is not called any more (one that runs goes on), its stream is closed.
// Cancelling twice, or inside the handler, is fine.
func (s *Subscription) Cancel() {
	if s.stop() {
		s.list.remove(s)
		s.core.release()
	}
}

// stop ends it and reports whether it was the first to do so.
func (s *Subscription) stop() bool {
	if s.ended.Swap(true) {
		return false
	}
	if s.out != nil {
		close(s.quit)
		s.mu.Lock() // a send that waits has given up
		close(s.out)
		s.mu.Unlock()
	}
	return true
}

// take hands over one event that is of the subscription's kind.
func (s *Subscription) take(d *delivery, done <-chan struct{}) {
	if d.message == nil {
		if !s.ended.Load() {
			s.other(d.other)
		}
		return
	}
	m := d.message
	if s.pattern != nil {
		found, ok := s.pattern.match(m.Event)
		if !ok {
			return
		}
		if found != nil {
			own := *m
			own.route = found
			m = &own
		}
	}
	if s.out == nil {
		if !s.ended.Load() {
			s.message(m)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended.Load() {
		return
	}
	select {
	case s.out <- m:
	default:
		select {
		case s.out <- m:
		case <-s.quit:
		case <-done:
		}
	}
}

// subscriptions are read for each event and seldom changed: a list is replaced, never written.
type subscriptions struct {
	list  atomic.Pointer[[]*Subscription]
	mu    sync.Mutex
	ended bool
}

func (l *subscriptions) run(d *delivery, done <-chan struct{}) {
	list := l.list.Load()
	if list == nil {
		return
	}
	for _, s := range *list {
		if s.kind == d.kind {
			s.take(d, done)
		}
	}
}

func (l *subscriptions) load() []*Subscription {
	if list := l.list.Load(); list != nil {
		return *list
	}
	return nil
}

// remove takes one out.
func (l *subscriptions) remove(s *Subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(l.load()), func(other *Subscription) bool { return other == s })
	l.list.Store(&list)
}

// end stops all, and those that are added later.
func (l *subscriptions) end() {
	l.mu.Lock()
	list := l.load()
	l.ended = true
	l.list.Store(nil)
	l.mu.Unlock()
	for _, s := range list {
		s.stop()
	}
}

// add registers; on what is closed already the subscription ends at once.
func (c *core) add(client *Client, l *subscriptions, s *Subscription) *Subscription {
	s.list, s.core = l, c
	l.mu.Lock()
	ended := l.ended
	if !ended {
		list := append(slices.Clone(l.load()), s)
		l.list.Store(&list)
	}
	l.mu.Unlock()
	if ended {
		s.stop()
		return s
	}
	c.mu.Lock()
	if !c.closed() {
		c.keep = client
	}
	c.mu.Unlock()
	return s
}

// release lets a client without handlers be collected again.
func (c *core) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.subscriptions.load()) > 0 {
		return
	}
	for _, r := range c.rooms {
		if len(r.subscriptions.load()) > 0 {
			return
		}
	}
	c.keep = nil
}
