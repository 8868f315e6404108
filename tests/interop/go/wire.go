package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
)

const (
	actionConnect   = "CONNECT"
	actionSystem    = "SYSTEM"
	actionBroadcast = "BROADCAST"
	actionJoin      = "JOIN_CHANNEL"
	actionLeave     = "LEAVE_CHANNEL"

	eventConnection      = "CONNECTION"
	eventAcknowledge     = "ACKNOWLEDGE"
	eventExitAcknowledge = "EXIT_ACKNOWLEDGE"
	eventUnauthorized    = "UNAUTHORIZED"
	eventNotFound        = "NOT_FOUND"
	eventInternalError   = "INTERNAL_ERROR"

	gateway = "GATEWAY"
)

// frame is one message in either direction. Keys are written in this order.
type frame struct {
	Action      string   `json:"action"`
	ChannelName string   `json:"channelName"`
	RequestID   string   `json:"requestId"`
	Payload     any      `json:"payload"`
	Event       string   `json:"event"`
	Recipients  []string `json:"recipients,omitempty"`
}

// complete says whether a client's frame has all its strings. Its payload may be anything.
func (f *frame) complete() bool {
	return f.Action != "" && f.ChannelName != "" && f.RequestID != "" && f.Event != ""
}

// failure is the payload of refusals that belong to a request.
type failure struct {
	ChannelName string `json:"channelName,omitempty"`
	Message     string `json:"message"`
	Code        int    `json:"code"`
	Temporary   bool   `json:"temporary"`
	Details     any    `json:"details,omitempty"`
}

// answer is a system frame to the request that the client made.
func answer(request *frame, event string, payload any) frame {
	return frame{
		Action:      actionSystem,
		ChannelName: request.ChannelName,
		RequestID:   request.RequestID,
		Payload:     payload,
		Event:       event,
	}
}

// refusal is an answer that tells of a failure.
func refusal(request *frame, event string, code int, message string, details any) frame {
	return answer(request, event, failure{
		ChannelName: request.ChannelName,
		Message:     message,
		Code:        code,
		Details:     details,
	})
}

// complaint is what a frame gets that could not be taken for a request. Its payload has another shape than a failure.
func complaint(channelName, requestID string, code int, message string) frame {
	return frame{
		Action:      actionSystem,
		ChannelName: channelName,
		RequestID:   requestID,
		Payload:     map[string]any{"code": code, "details": nil, "temporary": false, "message": message},
		Event:       eventInternalError,
	}
}

func encode(f frame) ([]byte, error) {
	return json.Marshal(f)
}

// newID makes a random UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // It never fails.
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
