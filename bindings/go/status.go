// SPDX-License-Identifier: GPL-3.0-or-later

package pondsocket

import (
	"encoding/json"
	"fmt"
)

// Status says how something ended. It is an error by itself, so that a failure can be tested with
//
//	errors.Is(err, pondsocket.ErrTimeout)
//
// The numbers are those of the C interface and never change.
type Status int32

// What can go wrong.
const (
	ErrInvalidArgument Status = -1  // an argument is missing, out of range or malformed
	ErrInvalidUTF8     Status = -3  // a string is not UTF-8
	ErrInvalidJSON     Status = -4  // a payload or params are not one JSON object; the message has line and column
	ErrInvalidURL      Status = -5  // not a URL that can be dialled
	ErrInvalidState    Status = -6  // not possible now
	ErrTooLarge        Status = -7  // the message is over the limit, or nested too deep
	ErrUnsupported     Status = -10 // not on this platform, or not in this build
	ErrNoMemory        Status = -11 // memory, threads or descriptors ran out
	ErrPanic           Status = -13 // a bug of the library, contained

	ErrClosed    Status = -20 // left, disconnected, evicted earlier, or closed meanwhile
	ErrCancelled Status = -21 // the request was cancelled
	ErrQueueFull Status = -22 // no room: nothing was taken
	ErrTimeout   Status = -23 // the other side did not answer in time

	ErrConnect        Status = -30 // name lookup or TCP failed
	ErrTLS            Status = -31 // certificate or handshake, or an unusable CA file
	ErrHTTP           Status = -32 // the upgrade was refused, see Error.HTTPStatus
	ErrRejected       Status = -33 // closed before the server's CONNECTION
	ErrConnectionLost Status = -34 // the link died, or no pong came in time
	ErrProtocol       Status = -35 // an undecodable frame; the connection goes on

	ErrDeclined Status = -40 // the join was refused
	ErrEvicted  Status = -41 // the server put this client out of the channel
	ErrServer   Status = -42 // the server answered with an error
)

// Answers of the library that are no errors.
const (
	statusOK          = 0
	statusTimeout     = 1
	statusInterrupted = 2
	statusEmpty       = 3
	statusSkipped     = 5

	statusInvalidHandle = -2 // seen by programs as ErrClosed
)

// Error is the library's name of the status, such as "POND_ERROR_CLOSED".
func (s Status) Error() string { return statusName(s) }

// Error is what a failed call, dial, join or request has to say. Each error of this package is one of these or
// wraps one, but for errors of encoding/json about values that cannot be marshalled.
type Error struct {
	Status     Status          // what kind of failure
	Code       string          // the server's word for it, or the name of the status
	Message    string          // what happened, for people
	HTTPStatus int             // HTTP status of a refused upgrade, or the server's numeric code; 0 = none
	Details    json.RawMessage // the server's JSON about it; nil = none

	cause error // the context's, when a context ended the wait
}

// Error tells the message and, if the server said one, its code.
func (e *Error) Error() string {
	message := e.Message
	if message == "" {
		message = e.Status.Error()
	}
	if e.Code != "" && e.Code != e.Status.Error() {
		message = fmt.Sprintf("%s (%s)", message, e.Code)
	}
	if e.cause != nil {
		message = fmt.Sprintf("%s: %v", message, e.cause)
	}
	return "pondsocket: " + message
}

// Is makes errors.Is(err, ErrTimeout) and the like work.
func (e *Error) Is(target error) bool {
	status, ok := target.(Status)
	return ok && status == e.Status
}

// Unwrap gives the context's error if a context ended the wait, so that errors.Is(err, context.Canceled) works.
func (e *Error) Unwrap() error { return e.cause }

// Timeout reports whether time ran out.
func (e *Error) Timeout() bool { return e.Status == ErrTimeout }
