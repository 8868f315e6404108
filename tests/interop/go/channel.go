package main

import (
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	queueLength   = 128
	queueTimeout  = time.Second
	maxDeliveries = 32
)

var (
	errChannelClosed  = errors.New("the channel is closed")
	errAlreadyJoined  = errors.New("the user is in the channel already")
	errAlreadyTracked = errors.New("the user's presence is tracked already")
	errNotTracked     = errors.New("the user's presence is not tracked")
	errQueueFull      = errors.New("the channel's queue is full")
)

type member struct {
	connection *connection
	username   string
}

type delivery struct {
	frame      frame
	recipients []string
}

// channel is a room. What it sends goes through a queue that many goroutines empty: frames overtake each other.
type channel struct {
	name    string
	onEmpty func(*channel)
	queue   chan delivery
	done    chan struct{}
	once    sync.Once

	mu       sync.Mutex
	members  map[string]member
	presence map[string]any
}

func newChannel(name string, onEmpty func(*channel)) *channel {
	ch := &channel{
		name:     name,
		onEmpty:  onEmpty,
		queue:    make(chan delivery, queueLength),
		done:     make(chan struct{}),
		members:  map[string]member{},
		presence: map[string]any{},
	}
	go ch.deliverLoop()
	return ch
}

func (ch *channel) closed() bool {
	select {
	case <-ch.done:
		return true
	default:
		return false
	}
}

// add makes the user a member. A second join fails and takes the membership of the first away, as reading has it.
func (ch *channel) add(c *connection, username string) error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.closed() {
		return errChannelClosed
	}
	if _, exists := ch.members[c.id]; exists {
		delete(ch.members, c.id)
		return errAlreadyJoined
	}
	ch.members[c.id] = member{c, username}
	c.joined(ch)
	return nil
}

// remove takes the user out; the last one takes the channel along. Users who are no members are passed over in silence.
func (ch *channel) remove(id string) {
	ch.mu.Lock()
	_, exists := ch.members[id]
	if exists {
		delete(ch.members, id)
		delete(ch.presence, id)
	}
	empty := exists && len(ch.members) == 0
	ch.mu.Unlock()
	if empty {
		ch.once.Do(func() { close(ch.done) })
		ch.onEmpty(ch)
	}
}

// close drops the connections of all members. The endpoint keeps the dead channel, so nobody can join it again.
func (ch *channel) close() {
	ch.once.Do(func() { close(ch.done) })
	ch.mu.Lock()
	members := ch.members
	ch.members = map[string]member{}
	ch.mu.Unlock()
	for _, m := range members {
		m.connection.drop()
	}
}

func (ch *channel) member(id string) (member, bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	m, exists := ch.members[id]
	return m, exists
}

func (ch *channel) named(username string) []string {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	var ids []string
	for id, m := range ch.members {
		if m.username == username {
			ids = append(ids, id)
		}
	}
	return ids
}

// track notes presence. Only other nodes would be told of it.
func (ch *channel) track(id string, presence any) error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if _, exists := ch.presence[id]; exists {
		return errAlreadyTracked
	}
	ch.presence[id] = presence
	return nil
}

func (ch *channel) update(id string, presence any) error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if _, exists := ch.presence[id]; !exists {
		return errNotTracked
	}
	ch.presence[id] = presence
	return nil
}

func (ch *channel) broadcast(event string, payload any) error {
	return ch.broadcastExcept(event, payload, "")
}

func (ch *channel) broadcastExcept(event string, payload any, except string) error {
	f := frame{Action: actionBroadcast, ChannelName: ch.name, RequestID: newID(), Payload: payload, Event: event}
	return ch.sendToAll(f, except)
}

func (ch *channel) broadcastTo(event string, payload any, ids ...string) error {
	f := frame{Action: actionBroadcast, ChannelName: ch.name, RequestID: newID(), Payload: payload, Event: event}
	return ch.sendTo(f, ids...)
}

func (ch *channel) evict(id, reason string) error {
	payload := map[string]any{"reason": reason, "userId": id}
	notice := frame{Action: actionSystem, ChannelName: ch.name, RequestID: newID(), Payload: payload, Event: "evicted"}
	if err := ch.sendTo(notice, id); err != nil {
		return err
	}
	ch.remove(id)
	if ch.closed() {
		return nil
	}
	notice = frame{Action: actionSystem, ChannelName: ch.name, RequestID: newID(), Payload: payload, Event: "user_evicted"}
	return ch.sendToAll(notice, "")
}

// sendTo sends to the named users as far as they are members, and tells them whom it went to.
func (ch *channel) sendTo(f frame, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	f.Recipients = ids
	return ch.enqueue(f, ids)
}

func (ch *channel) sendToAll(f frame, except string) error {
	ch.mu.Lock()
	ids := make([]string, 0, len(ch.members))
	for id := range ch.members {
		ids = append(ids, id)
	}
	ch.mu.Unlock()
	return ch.enqueue(f, slices.DeleteFunc(ids, func(id string) bool { return id == except }))
}

func (ch *channel) enqueue(f frame, recipients []string) error {
	if ch.closed() {
		return errChannelClosed
	}
	select {
	case ch.queue <- delivery{f, recipients}:
		return nil
	case <-ch.done:
		return errChannelClosed
	case <-time.After(queueTimeout):
		return errQueueFull
	}
}

func (ch *channel) deliverLoop() {
	slots := make(chan struct{}, maxDeliveries)
	for {
		select {
		case d := <-ch.queue:
			select {
			case slots <- struct{}{}:
			case <-ch.done:
				return
			}
			go func() {
				defer func() { <-slots }()
				ch.deliver(d)
			}()
		case <-ch.done:
			return
		}
	}
}

// deliver sends to those who are members now, whoever was one when the frame was queued.
func (ch *channel) deliver(d delivery) {
	var pending sync.WaitGroup
	for _, id := range d.recipients {
		m, exists := ch.member(id)
		if !exists {
			continue
		}
		pending.Add(1)
		go func() {
			defer pending.Done()
			if _, still := ch.member(id); still && !ch.closed() {
				m.connection.tell(d.frame)
			}
		}()
	}
	pending.Wait()
}
