// SPDX-License-Identifier: GPL-3.0-or-later

package pondsocket

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"context"
	"math"
	"time"
)

// Overflow is what happens to a message for the full queue of a channel that is not joined.
type Overflow int

const (
	DropOldest Overflow = 1 // the oldest queued message makes room and is reported dropped; the default
	DropNewest Overflow = 2 // the new message is reported dropped
	Refuse     Overflow = 3 // sends wait, or answer ErrQueueFull
)

// Dial is one attempt to connect that asks for an address.
type Dial struct {
	Attempt int    // 1 = the first since the client was connected
	URL     string // set it to dial another URL from now on
	Params  any    // set it to replace the params of the URL's query: one JSON object when marshalled
}

// Options say how a client behaves. The zero value of each field is its default. Times are rounded up to
// milliseconds.
type Options struct {
	// Params are merged into the URL's query: anything that encoding/json makes one object of. Strings stay as they
	// are, null leaves a key out.
	Params any
	// Header are request headers of each dial, such as Authorization.
	Header map[string]string

	ConnectTimeout  time.Duration // for a dial, up to the server's CONNECTION; 10 s
	JoinTimeout     time.Duration // for the server's answer to a join; 10 s
	ResponseTimeout time.Duration // for requests whose context has no deadline; 10 s

	BackoffBase   time.Duration // the backoff starts here and doubles, with full jitter; 1 s
	BackoffMax    time.Duration // and never exceeds this; 30 s
	MaxReconnects int           // dials after a failed one or a lost connection; 0 = no limit, negative = none
	RetryRefused  bool          // retry even if the first dial was refused with HTTP 401 or 403

	PingInterval time.Duration // how often the server is pinged; 25 s, negative = never
	PongTimeout  time.Duration // how long a pong may take; 10 s
	LegacyGrace  time.Duration // silence that counts as connected to the older JavaScript server; 2 s, negative = none

	QueueLimit    int      // messages that a channel keeps while it is not joined; 100
	Overflow      Overflow // what the full queue does; DropOldest
	OutboundLimit int64    // bytes accepted on joined channels and not yet written; 4 MiB
	InboundEvents int      // events that may wait unread in the library before it stops reading; 10000
	InboundBytes  int64    // and bytes of them; 16 MiB
	MaxMessageIn  int64    // the largest incoming message in bytes; 16 MiB
	MaxMessageOut int64    // the largest outgoing one; 512 KiB

	CAFiles            []string // PEM files with CA certificates, trusted beside the platform's
	CAPEM              []string // the same as text
	ClientCert         string   // certificate chain, PEM text
	ClientKey          string   // its private key, PEM text
	InsecureSkipVerify bool     // do not verify the server's certificate: for experiments only

	// Dial, if set, is asked before each dial, on a goroutine of its own, so that it may fetch a fresh token. With an
	// error the dial is not made and counts as failed once ConnectTimeout has passed; Client.Disconnect gives up. The
	// context ends with the client.
	Dial func(ctx context.Context, dial *Dial) error

	blockingPull bool // wait for events in C instead of on the descriptor: for the tests
}

// setter collects options in the library's form and keeps the first error.
type setter struct {
	options C.uintptr_t
	err     error
}

func (s *setter) check(name string, status C.int32_t) {
	if status != statusOK && s.err == nil {
		s.err = &Error{Status: Status(status), Message: "the option " + name + " is not valid"}
	}
}

func (s *setter) number(name string, what C.int, value int64, other int64) {
	s.check(name, C.go_pond_options_set(s.options, what, C.int64_t(value), C.int64_t(other)))
}

// count sets what must be positive and fit into 32 bits.
func (s *setter) count(name string, what C.int, value int) {
	if value == 0 {
		return
	}
	if value < 0 || int64(value) > math.MaxUint32 {
		s.check(name, C.POND_ERROR_INVALID_ARGUMENT)
		return
	}
	s.number(name, what, int64(value), 0)
}

// time sets a time; negative ones are only for options that can be off.
func (s *setter) time(name string, what C.int, value time.Duration, canBeOff bool) {
	switch {
	case value > 0:
		s.number(name, what, int64(milliseconds(value)), 0)
	case value < 0 && canBeOff:
		s.number(name, what, 0, 0)
	case value < 0:
		s.check(name, C.POND_ERROR_INVALID_ARGUMENT)
	}
}

func (s *setter) flag(name string, what C.int, on bool) {
	if on {
		s.number(name, what, 1, 0)
	}
}

func (s *setter) text(name string, what C.int, a, b string) {
	first, err := cString(a)
	if err == nil {
		defer freeString(first)
		var second *C.char
		if second, err = cString(b); err == nil {
			defer freeString(second)
			s.check(name, C.go_pond_options_text(s.options, what, first, second))
		}
	}
	if err != nil && s.err == nil {
		s.err = err
	}
}

// pair sets two numbers of which each may be left at its default.
func (s *setter) pair(name string, what C.int, a, b, defaultA, defaultB int64) {
	if a == 0 && b == 0 {
		return
	}
	if a < 0 || b < 0 {
		s.check(name, C.POND_ERROR_INVALID_ARGUMENT)
		return
	}
	if a == 0 {
		a = defaultA
	}
	if b == 0 {
		b = defaultB
	}
	s.number(name, what, a, b)
}

// build makes the library's options; freeOptions them.
func (o *Options) build(p *pump) (uintptr, error) {
	s := setter{}
	if err := failure(C.go_pond_options_new(&s.options), nil); err != nil {
		return 0, err
	}
	s.check("queue", C.go_pond_options_set_queue(s.options, p))
	for name, value := range o.Header {
		s.text("Header "+name, C.GO_HEADER, name, value)
	}
	s.time("ConnectTimeout", C.GO_CONNECT_TIMEOUT, o.ConnectTimeout, false)
	s.time("JoinTimeout", C.GO_JOIN_TIMEOUT, o.JoinTimeout, false)
	s.time("ResponseTimeout", C.GO_RESPONSE_TIMEOUT, o.ResponseTimeout, false)
	base, limit := int64(milliseconds(o.BackoffBase)), int64(milliseconds(o.BackoffMax))
	if o.BackoffBase < 0 || o.BackoffMax < 0 {
		base = -1
	}
	s.pair("BackoffBase or BackoffMax", C.GO_BACKOFF, base, limit, min(1000, max(limit, 1)), max(30_000, base))
	switch {
	case o.MaxReconnects < 0:
		s.number("MaxReconnects", C.GO_MAX_RECONNECTS, 0, 0)
	case o.MaxReconnects > 0:
		s.number("MaxReconnects", C.GO_MAX_RECONNECTS, int64(min(o.MaxReconnects, math.MaxInt32)), 0)
	}
	s.flag("RetryRefused", C.GO_RETRY_REFUSED, o.RetryRefused)
	s.time("PingInterval", C.GO_PING_INTERVAL, o.PingInterval, true)
	s.time("PongTimeout", C.GO_PONG_TIMEOUT, o.PongTimeout, false)
	s.time("LegacyGrace", C.GO_LEGACY_GRACE, o.LegacyGrace, true)
	s.count("QueueLimit", C.GO_QUEUE_LIMIT, o.QueueLimit)
	s.count("Overflow", C.GO_OVERFLOW, int(o.Overflow))
	s.pair("OutboundLimit", C.GO_OUTBOUND_LIMIT, o.OutboundLimit, 0, 0, 0)
	s.pair("InboundEvents or InboundBytes", C.GO_INBOUND, int64(o.InboundEvents), o.InboundBytes, defaultEvents, defaultBytes)
	s.pair("MaxMessageIn or MaxMessageOut", C.GO_MESSAGE_BYTES, o.MaxMessageIn, o.MaxMessageOut, 16<<20, 512<<10)
	for _, path := range o.CAFiles {
		s.text("CAFiles", C.GO_CA_FILE, path, "")
	}
	for _, pem := range o.CAPEM {
		s.text("CAPEM", C.GO_CA_PEM, pem, "")
	}
	if o.ClientCert != "" || o.ClientKey != "" {
		s.text("ClientCert and ClientKey", C.GO_CLIENT_CERT, o.ClientCert, o.ClientKey)
	}
	s.flag("InsecureSkipVerify", C.GO_SKIP_VERIFY, o.InsecureSkipVerify)
	s.flag("Dial", C.GO_ASK, o.Dial != nil)
	if s.err != nil {
		freeOptions(uintptr(s.options))
		return 0, s.err
	}
	return uintptr(s.options), nil
}

func freeOptions(options uintptr) { C.go_pond_options_free(C.uintptr_t(options)) }

const (
	defaultEvents = 10_000
	defaultBytes  = 16 << 20
)
