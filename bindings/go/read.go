// SPDX-License-Identifier: GPL-3.0-or-later

package pondsocket

// reader is the state of the reading goroutine.
type reader struct {
	*core
	batch []delivery
	size  int64
	event string // the last name: most messages bear the same
	room  *room  // and come on the same channel
}

// read takes events from the library until the client is closed.
func (c *core) read() {
	in := reader{core: c}
	for {
		status, got := c.source.pull()
		if status != statusOK || c.closed() {
			break
		}
		in.take(got.records[:got.out.count], got.text())
		scratches.Put(got)
		if !c.makeRoom() {
			break
		}
	}
	c.close()
	<-c.stopped
	c.source.free()
}

// take sorts a batch: what somebody waits for is done now, the rest is queued.
func (in *reader) take(records []record, text []byte) {
	in.room = nil // channels come and go between batches
	for i := range records {
		r := &records[i]
		f := fields{text[r.offset:]}
		to, known := in.find(uintptr(r.channel))
		if !known && r.kind != kindReply {
			continue // freed meanwhile
		}
		if r.kind == kindMessage || r.kind == kindClientMessage {
			in.push(to, r, in.message(to, r, &f), nil)
			continue
		}
		in.special(to, r, &f)
	}
	in.queueMu.Lock()
	in.queue = append(in.queue, in.batch...)
	in.queueMu.Unlock()
	in.queued.Add(int64(len(in.batch)))
	in.bytes.Add(in.size)
	if len(in.batch) > 0 {
		poke(in.work)
	}
	clear(in.batch)
	in.batch, in.size = in.batch[:0], 0
}

// find gives the channel of a handle; nil and true stand for the client itself.
func (in *reader) find(handle uintptr) (*room, bool) {
	if handle == 0 {
		return nil, true
	}
	if in.room == nil || in.room.handle != handle {
		in.mu.Lock()
		in.room = in.rooms[handle]
		in.mu.Unlock()
	}
	return in.room, in.room != nil
}

func (in *reader) push(to *room, r *record, message *Message, other any) {
	size := int64(r.payload_len)
	in.batch = append(in.batch, delivery{to, int32(r.kind), message, other, size})
	in.size += size
}

func (in *reader) message(to *room, r *record, f *fields) *Message {
	m := &Message{}
	if to != nil {
		m.Channel = to.name
	}
	if name := f.next(uint32(r.name_len)); string(name) != in.event {
		in.event = string(name)
	}
	m.Event = in.event
	m.Payload = f.next(uint32(r.payload_len))
	if r.request_id_len > 0 {
		m.RequestID = f.text(uint32(r.request_id_len))
	}
	return m
}

// special takes events that are no messages.
func (in *reader) special(to *room, r *record, f *fields) {
	message := in.message(to, r, f)
	changed, users := f.next(uint32(r.changed_len)), f.next(uint32(r.users_len))
	err := eventError(r, f)
	again, will := retry(uint32(r.retry_ms))
	switch r.kind {
	case kindClientState:
		change := StateChange{
			State: ClientState(r.state), Previous: ClientState(r.previous_state), Attempt: int(r.attempt),
			WillRetry: will, Retry: again, ConnectCount: int(r.connect_count), CloseCode: int(r.close_code),
			InDoubt: int(r.in_doubt), Err: err,
		}
		in.mu.Lock()
		in.last = change
		in.changes++
		in.mu.Unlock()
		in.changed.notify()
		in.push(nil, r, nil, change)
	case kindClientError:
		in.push(nil, r, nil, ClientError{Err: err, Attempt: int(r.attempt), WillRetry: will, Retry: again})
	case kindDial:
		go in.answer(uint32(r.attempt))
	case kindReply:
		if request := in.takeRequest(uintptr(r.id)); request != nil {
			if err != nil {
				message = nil
			}
			request.complete(message, err)
		}
	case kindChannelState:
		change := ChannelStateChange{ChannelState(r.state), ChannelState(r.previous_state), err}
		to.mu.Lock()
		to.last = change
		to.changes++
		to.mu.Unlock()
		to.changed.notify()
		in.push(to, r, nil, change)
	case kindChannelError:
		if err == nil {
			err = &Error{Status: ErrServer, Message: "the server told no reason"}
		}
		in.push(to, r, nil, err)
	case kindPresence:
		in.push(to, r, nil, &Presence{PresenceKind(r.presence_kind), changed, users})
	case kindDropped:
		in.push(to, r, nil, &Dropped{message.Event, message.Payload, int(r.count), err})
	case kindWritable:
		to.changed.notify()
		in.push(to, r, nil, nil)
	}
}

// eventError reads the error fields, which are the last of a record.
func eventError(r *record, f *fields) error {
	message, code := f.text(uint32(r.message_len)), f.text(uint32(r.error_code_len))
	details := f.text(uint32(r.details_len))
	if r.status >= 0 {
		return nil
	}
	return &Error{
		Status: Status(r.status), Code: code, Message: message, HTTPStatus: int(r.http_status),
		Details: jsonOrNil(details),
	}
}

// answer asks the program where to dial, and with what.
func (c *core) answer(attempt uint32) {
	dial := Dial{Attempt: int(attempt)}
	if err := c.options.Dial(c.ctx, &dial); err == nil {
		// A dial that is no longer wanted has nobody to be told.
		_ = clientAnswerDial(c.handle, attempt, dial.URL, dial.Params)
	}
}

// makeRoom waits while too much is undelivered, unless somebody waits for an event; false when the client is closed.
func (c *core) makeRoom() bool {
	for c.queued.Load() >= softEvents || c.bytes.Load() >= softBytes {
		if c.waiting.Load() > 0 {
			events, bytes := c.options.hardLimits()
			if c.queued.Load() < events && c.bytes.Load() < bytes {
				return true
			}
			c.overrun.Add(1)
			c.failRequests(overrunError())
			c.notifyAll()
		}
		select {
		case <-c.space:
		case <-c.demand:
		case <-c.done:
			return false
		}
	}
	return true
}

// hardLimits is twice what may wait in the library: its own rule for blocking calls.
func (o *Options) hardLimits() (int64, int64) {
	events, bytes := int64(o.InboundEvents), o.InboundBytes
	if events == 0 {
		events = defaultEvents
	}
	if bytes == 0 {
		bytes = defaultBytes
	}
	return 2 * events, 2 * bytes
}

func (c *core) notifyAll() {
	c.changed.notify()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.rooms {
		r.changed.notify()
	}
}

// deliver runs handlers, one after the other, until the client is closed.
func (c *core) deliver() {
	var batch []delivery
	for {
		select {
		case <-c.work:
		case <-c.done:
			return
		}
		c.queueMu.Lock()
		batch, c.queue = c.queue, batch[:0]
		c.queueMu.Unlock()
		// Room is told in steps, not for each message.
		for start := 0; start < len(batch); start += step {
			part := batch[start:min(start+step, len(batch))]
			var size int64
			for i := range part {
				if c.closed() {
					return
				}
				size += part[i].bytes
				c.run(&part[i])
			}
			c.queued.Add(-int64(len(part)))
			c.bytes.Add(-size)
			poke(c.space)
		}
		clear(batch)
		if cap(batch) > 4*softEvents {
			batch = nil
		}
	}
}

const step = 64

func (c *core) run(d *delivery) {
	if d.to == nil {
		c.subscriptions.run(d, c.done)
	} else if !d.to.gone.Load() {
		d.to.subscriptions.run(d, c.done)
	}
}
