// SPDX-License-Identifier: GPL-3.0-or-later

package pondsocket

import (
	"encoding/json"
	"strconv"
	"time"
)

// ClientState is the state of a connection.
type ClientState int32

const (
	Disconnected ClientState = 1 // initial, between dials, suspended, after Disconnect or giving up
	Connecting   ClientState = 2 // a dial is under way
	Connected    ClientState = 3 // the server's CONNECTION came
)

// String is the state's name, such as "CONNECTED".
func (s ClientState) String() string {
	switch s {
	case Disconnected:
		return "DISCONNECTED"
	case Connecting:
		return "CONNECTING"
	case Connected:
		return "CONNECTED"
	}
	return "ClientState(" + strconv.Itoa(int(s)) + ")"
}

// ChannelState is the state of a channel.
type ChannelState int32

const (
	Idle     ChannelState = 11 // never joined
	Joining  ChannelState = 12 // a join is wanted or under way
	Joined   ChannelState = 13 // the server acknowledged the join
	Stalled  ChannelState = 14 // the link was lost while joined; rejoins by itself
	Closed   ChannelState = 15 // left, disconnected or evicted; only an explicit join reopens
	Declined ChannelState = 16 // refused; only an explicit join tries again
)

// String is the state's name, such as "JOINED".
func (s ChannelState) String() string {
	switch s {
	case Idle:
		return "IDLE"
	case Joining:
		return "JOINING"
	case Joined:
		return "JOINED"
	case Stalled:
		return "STALLED"
	case Closed:
		return "CLOSED"
	case Declined:
		return "DECLINED"
	}
	return "ChannelState(" + strconv.Itoa(int(s)) + ")"
}

// Message is what somebody sent, or an answer. It is the receiver's for good.
type Message struct {
	Channel   string          // the channel's name; "" for messages of the endpoint itself
	Event     string          // the event's name as the server sent it
	Payload   json.RawMessage // as the sender wrote it, byte for byte; "{}" when there is none
	RequestID string          // the id on the wire; "" = none

	route *route
}

// Decode unmarshals the payload.
func (m *Message) Decode(value any) error { return json.Unmarshal(m.Payload, value) }

// Param is what the ":name" of the handler's pattern took, decoded; "*" is the name of the wildcard. "" = no such.
func (m *Message) Param(name string) string {
	if m.route == nil {
		return ""
	}
	return m.route.params[name]
}

// Query is a value of the query behind the event's name ("move?x=1"), decoded. "" = no such.
func (m *Message) Query(name string) string {
	if m.route == nil {
		return ""
	}
	return m.route.query[name]
}

// StateChange tells what became of the connection.
type StateChange struct {
	State, Previous ClientState
	Attempt         int           // the number of the dial: 1 = the first since connected
	WillRetry       bool          // another dial will come
	Retry           time.Duration // in this time
	ConnectCount    int           // Connected: how often by now; 1 = the first time
	CloseCode       int           // of the WebSocket; 0 = none came
	InDoubt         int           // messages sent since the last proof of life: they may or may not have arrived
	Err             error         // why; nil if nothing failed
}

// ClientError is a failure of the connection; it comes before the state that it causes.
type ClientError struct {
	Err       error
	Attempt   int           // the number of the dial
	WillRetry bool          // another dial will come
	Retry     time.Duration // in this time
}

// ChannelStateChange tells what became of a channel.
type ChannelStateChange struct {
	State, Previous ChannelState
	Err             error // why; nil if nothing failed
}

// PresenceKind is what a presence event tells.
type PresenceKind int32

const (
	PresenceList   PresenceKind = 0 // only the list changed, as after a rejoin
	PresenceJoin   PresenceKind = 1 // somebody came
	PresenceUpdate PresenceKind = 2 // somebody's presence changed
	PresenceLeave  PresenceKind = 3 // somebody went
)

// Presence tells who came, changed or went, and who is there.
type Presence struct {
	Kind    PresenceKind
	Changed json.RawMessage // who; "{}" = not told. On an update JavaScript servers tell what it was before
	Users   json.RawMessage // everybody present, an array; "[]" = not told
}

// DecodeChanged unmarshals the one that changed.
func (p *Presence) DecodeChanged(value any) error { return json.Unmarshal(p.Changed, value) }

// DecodeUsers unmarshals the list of everybody.
func (p *Presence) DecodeUsers(value any) error { return json.Unmarshal(p.Users, value) }

// Dropped reports messages that were accepted and will never be sent.
type Dropped struct {
	Event   string          // of the newest
	Payload json.RawMessage // of the newest
	Count   int             // how many
	Err     error           // why
}

// Stats are counters since New, and levels of now.
type Stats struct {
	BytesIn, BytesOut   uint64        // read and written by the WebSocket layer
	FramesIn, FramesOut uint64        // text and binary frames
	Dropped             uint64        // outgoing messages that will never be sent
	Dials, Connects     uint64        // dials begun; times connected
	InboundEvents       uint64        // events that wait in the library
	InboundBytes        uint64        // bytes of their frames
	OutboundMessages    uint64        // accepted and not yet written
	Waiting             uint64        // events taken from the library whose handlers have not run yet
	RoundTrip           time.Duration // of the last ping; 0 = none yet
}

// fields cuts the strings of a record out of the buffer, one behind the other.
type fields struct {
	rest []byte
}

func (f *fields) next(size uint32) []byte {
	piece := f.rest[:size:size]
	f.rest = f.rest[size:]
	return piece
}

func (f *fields) text(size uint32) string { return string(f.next(size)) }

// retry turns the library's number into a time, false when no dial will come.
func retry(ms uint32) (time.Duration, bool) {
	if ms == forever {
		return 0, false
	}
	return time.Duration(ms) * time.Millisecond, true
}
