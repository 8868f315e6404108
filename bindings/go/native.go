// SPDX-License-Identifier: GPL-3.0-or-later

package pondsocket

/*
#cgo pkg-config: pondsocket
#cgo noescape go_pond_pull
#cgo nocallback go_pond_pull
#cgo noescape go_pond_send
#cgo nocallback go_pond_send
#cgo noescape go_pond_request
#cgo nocallback go_pond_request
#include <stdlib.h>
#include "shim.h"

*/
import "C"

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"time"
	"unsafe"
)

const (
	batchSize = C.GO_POND_BATCH
	forever   = uint32(math.MaxUint32)
)

// Kinds of events.
const (
	kindClientState   = C.POND_EVENT_CLIENT_STATE
	kindClientError   = C.POND_EVENT_CLIENT_ERROR
	kindClientMessage = C.POND_EVENT_CLIENT_MESSAGE
	kindDial          = C.POND_EVENT_DIAL
	kindChannelState  = C.POND_EVENT_CHANNEL_STATE
	kindMessage       = C.POND_EVENT_MESSAGE
	kindPresence      = C.POND_EVENT_PRESENCE
	kindChannelError  = C.POND_EVENT_CHANNEL_ERROR
	kindReply         = C.POND_EVENT_REPLY
	kindDropped       = C.POND_EVENT_DROPPED
	kindWritable      = C.POND_EVENT_WRITABLE
)

type (
	record = C.go_pond_record
	pulled = C.go_pond_pulled
	pump   = C.go_pond_pump
)

func statusName(s Status) string { return C.GoString(C.pond_status_name(C.int32_t(s))) }

// Version is the version of the library that runs, such as "0.1.0".
func Version() string { return C.GoString(C.pond_version()) }

// Shutdown closes every client of the process, says goodbye and ends the library's threads; it waits for the timeout
// at most and reports whether all has ended. A later New starts anew. Programs need it only before they measure leaks or
// unload: the end of the program is clean without.
func Shutdown(timeout time.Duration) bool {
	return C.pond_shutdown(C.uint32_t(milliseconds(timeout))) == statusOK
}

// milliseconds rounds up and clamps to what the library takes.
func milliseconds(d time.Duration) uint32 {
	ms := (d + time.Millisecond - 1) / time.Millisecond
	return uint32(min(max(ms, 0), math.MaxInt32))
}

// failure makes a Go error of a status and what the library says about it, which it frees.
func failure(status C.int32_t, e *C.pond_error) error {
	if e != nil {
		defer C.pond_error_free(e)
	}
	if status >= 0 {
		return nil
	}
	failed := &Error{Status: Status(status)}
	if status == statusInvalidHandle {
		return closedError()
	}
	if e != nil {
		failed.Code = C.GoString(C.pond_error_code(e, nil))
		failed.Message = C.GoString(C.pond_error_message(e, nil))
		failed.HTTPStatus = int(C.pond_error_http_status(e))
		failed.Details = jsonOrNil(C.GoString(C.pond_error_details(e, nil)))
	}
	return failed
}

// closedError is what calls on a closed client or channel get.
func closedError() error {
	return &Error{Status: ErrClosed, Message: "the client or the channel was closed"}
}

func jsonOrNil(text string) json.RawMessage {
	if text == "" || text == "null" {
		return nil
	}
	return json.RawMessage(text)
}

// cString copies text for a call; a NUL inside would cut it off unseen.
func cString(text string) (*C.char, error) {
	if strings.IndexByte(text, 0) >= 0 {
		return nil, &Error{Status: ErrInvalidArgument, Message: "a string has a NUL inside"}
	}
	return C.CString(text), nil
}

func freeString(text *C.char) { C.free(unsafe.Pointer(text)) }

// cJSON marshals a value for a call; NULL stands for {}.
func cJSON(value any) (*C.char, error) {
	text, err := marshal(value)
	if err != nil || text == nil {
		return nil, err
	}
	return cString(string(text))
}

// marshal takes raw JSON as it is; nil stands for {}.
func marshal(value any) ([]byte, error) {
	switch value := value.(type) {
	case nil:
		return nil, nil
	case json.RawMessage:
		return value, nil
	case []byte:
		return value, nil
	}
	text, err := json.Marshal(value)
	if bytes.Equal(text, []byte("null")) { // a nil map or pointer
		return nil, err
	}
	return text, err
}

// ---- pump ----

func newPump() (*pump, int, error) {
	var status, fd C.int32_t
	made := C.go_pond_pump_new(&status, &fd)
	return made, int(fd), failure(status, nil)
}

func freePump(p *pump)  { C.go_pond_pump_free(p) }
func interrupt(p *pump) { C.go_pond_interrupt(p) }

// pull takes a batch of events: their strings go to the buffer, the rest to records.
func pull(p *pump, timeout uint32, buffer []byte, records []record, out *pulled) Status {
	return Status(C.go_pond_pull(p, C.uint32_t(timeout), (*C.char)(unsafe.Pointer(unsafe.SliceData(buffer))),
		C.size_t(len(buffer)), unsafe.SliceData(records), out))
}

// ---- client ----

func clientNew(url string, params any, options uintptr) (uintptr, error) {
	address, err := cString(url)
	if err != nil {
		return 0, err
	}
	defer freeString(address)
	query, err := cJSON(params)
	if err != nil {
		return 0, err
	}
	defer freeString(query)
	var client C.uintptr_t
	var e *C.pond_error
	status := C.go_pond_client_new(address, query, C.uintptr_t(options), &client, &e)
	return uintptr(client), failure(status, e)
}

func clientDo(client uintptr, what int) Status {
	return Status(C.go_pond_client_do(C.uintptr_t(client), C.int(what)))
}

const (
	doConnect      = C.GO_CONNECT
	doDisconnect   = C.GO_DISCONNECT
	doSuspend      = C.GO_SUSPEND
	doResume       = C.GO_RESUME
	doReconnectNow = C.GO_RECONNECT_NOW
	doJoin         = C.GO_JOIN
	doLeave        = C.GO_LEAVE
	doChannelFree  = C.GO_CHANNEL_FREE
)

func clientFree(client uintptr) { clientDo(client, C.GO_FREE) }

func clientState(client uintptr) int32 { return int32(clientDo(client, C.GO_STATE)) }

func asError(status Status) error { return failure(C.int32_t(status), nil) }

func clientFlush(client uintptr, timeout uint32) Status {
	return Status(C.go_pond_flush(C.uintptr_t(client), C.uint32_t(timeout)))
}

func clientConnectionID(client uintptr) string {
	var text *C.char
	if C.go_pond_connection_id(C.uintptr_t(client), &text) != statusOK {
		return ""
	}
	defer C.pond_string_free(text)
	return C.GoString(text)
}

func clientSetParams(client uintptr, params any) error {
	text, err := cJSON(params)
	if err != nil {
		return err
	}
	defer freeString(text)
	var e *C.pond_error
	return failure(C.go_pond_set_params(C.uintptr_t(client), text, &e), e)
}

func clientSetHeader(client uintptr, name, value string, remove bool) error {
	key, err := cString(name)
	if err != nil {
		return err
	}
	defer freeString(key)
	var text *C.char
	if !remove {
		if text, err = cString(value); err != nil {
			return err
		}
		defer freeString(text)
	}
	return failure(C.go_pond_set_header(C.uintptr_t(client), key, text), nil)
}

// clientAnswerDial leaves URL and params as they are when they are empty and nil.
func clientAnswerDial(client uintptr, attempt uint32, url string, params any) error {
	var address *C.char
	if url != "" {
		var err error
		if address, err = cString(url); err != nil {
			return err
		}
		defer freeString(address)
	}
	query, err := cJSON(params)
	if err != nil {
		return err
	}
	defer freeString(query)
	var e *C.pond_error
	return failure(C.go_pond_answer_dial(C.uintptr_t(client), C.uint32_t(attempt), address, query, &e), e)
}

func clientStats(client uintptr) (Stats, error) {
	var s C.pond_stats
	status := C.go_pond_stats(C.uintptr_t(client), &s)
	return Stats{
		BytesIn: uint64(s.bytes_in), BytesOut: uint64(s.bytes_out),
		FramesIn: uint64(s.frames_in), FramesOut: uint64(s.frames_out),
		Dropped: uint64(s.dropped), Dials: uint64(s.dials), Connects: uint64(s.connects),
		InboundEvents: uint64(s.inbound_events), InboundBytes: uint64(s.inbound_bytes),
		OutboundMessages: uint64(s.outbound_messages), RoundTrip: time.Duration(s.rtt_us) * time.Microsecond,
	}, failure(status, nil)
}

func clientChannel(client uintptr, name string, params any) (uintptr, error) {
	text, err := cString(name)
	if err != nil {
		return 0, err
	}
	defer freeString(text)
	join, err := cJSON(params)
	if err != nil {
		return 0, err
	}
	defer freeString(join)
	var channel C.uintptr_t
	var e *C.pond_error
	status := C.go_pond_client_channel(C.uintptr_t(client), text, join, &channel, &e)
	return uintptr(channel), failure(status, e)
}

// ---- channel ----

func channelDo(channel uintptr, what int) Status {
	return Status(C.go_pond_channel_do(C.uintptr_t(channel), C.int(what)))
}

func channelState(channel uintptr) int32 { return int32(channelDo(channel, C.GO_CHANNEL_STATE)) }

func channelSetJoinParams(channel uintptr, params any) error {
	text, err := cJSON(params)
	if err != nil {
		return err
	}
	defer freeString(text)
	var e *C.pond_error
	return failure(C.go_pond_set_join_params(C.uintptr_t(channel), text, &e), e)
}

func channelPresence(channel uintptr) (json.RawMessage, error) {
	var text *C.char
	var size C.size_t
	if err := failure(C.go_pond_presence(C.uintptr_t(channel), &text, &size), nil); err != nil {
		return nil, err
	}
	defer C.pond_string_free(text)
	return json.RawMessage(C.GoStringN(text, C.int(size))), nil
}

func channelSend(channel uintptr, event string, payload []byte, volatile bool) (Status, error) {
	var e *C.pond_error
	var flag C.int32_t
	if volatile {
		flag = 1
	}
	status := C.go_pond_send(C.uintptr_t(channel), (*C.char)(unsafe.Pointer(unsafe.StringData(event))),
		C.size_t(len(event)), (*C.char)(unsafe.Pointer(unsafe.SliceData(payload))), C.size_t(len(payload)), flag, &e)
	if status == statusOK {
		return statusOK, nil
	}
	return Status(status), failure(status, e)
}

func channelRequest(channel uintptr, event string, payload []byte, timeout uint32, id uintptr) (uint64, error) {
	var e *C.pond_error
	var ticket C.uint64_t
	status := C.go_pond_request(C.uintptr_t(channel), (*C.char)(unsafe.Pointer(unsafe.StringData(event))),
		C.size_t(len(event)), (*C.char)(unsafe.Pointer(unsafe.SliceData(payload))), C.size_t(len(payload)),
		C.uint32_t(timeout), C.uintptr_t(id), &ticket, &e)
	return uint64(ticket), failure(status, e)
}

func channelCancel(channel uintptr, ticket uint64) Status {
	return Status(C.go_pond_cancel(C.uintptr_t(channel), C.uint64_t(ticket)))
}
