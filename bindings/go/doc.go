// SPDX-License-Identifier: GPL-3.0-or-later

// Package pondsocket is a client for PondSocket servers: it joins channels, sends, asks and gets answers, knows who is
// there, and survives bad networks. It is a thin layer over the C library libpondsocket, which cgo finds through
// pkg-config.
//
// # Beginning
//
// [New] makes a [Client], [Client.Connect] connects it, [Client.Channel] gives a [Channel], [Channel.Join] joins it. From
// then on the client reconnects and rejoins by itself. [Channel.Send] sends, [Channel.Call] asks and waits for the
// answer, [Channel.On] registers a handler for messages, [Channel.Subscribe] and [Channel.Messages] give them through a
// Go channel or an iterator. [Client.Disconnect] says goodbye, [Client.Close] frees.
//
// # Payloads
//
// What is sent is anything that encoding/json makes one object of; json.RawMessage and []byte are taken as JSON as they
// are, nil is {}. What comes is a json.RawMessage with the sender's own bytes, copied once into Go memory and yours for
// good; [Message.Decode] unmarshals it. Small payloads share blocks of 16 KiB: who keeps few of many for long should
// clone those.
//
// # Contexts and times
//
// A context bounds a wait. [Channel.Call] and [Request.Wait] also cancel the request in the library when their context
// ends; Connect and Join only stop waiting. Times are of type time.Duration and rounded up to milliseconds.
//
// # Errors
//
// Failures are of type [*Error], with the server's code, message, number and JSON details where it told some.
// errors.Is(err, pondsocket.ErrTimeout) and the like test for the kind, which is a [Status]. When a context ended a wait,
// the error is ErrCancelled or ErrTimeout and wraps the context's.
//
// # Order, goroutines, back pressure
//
// Two goroutines serve a client, and no thread. One takes events from the library in batches and completes requests and
// waits; the other runs the client's handlers, one at a time, in the order in which things happened. So a handler may
// call everything, also Call. While one blocks, the client soon stops reading, and TCP holds the server back: nothing is
// lost, and memory stays bounded. While somebody waits for an answer, reading goes on up to twice Options.InboundEvents
// and InboundBytes; beyond that the waits end with ErrQueueFull.
//
// No code of Go ever runs on a thread of the library, and C keeps no pointer into Go's memory.
//
// # Ending
//
// [Client.Close] ends a client at once. A program may end without it. A client that is unreachable and has no handlers
// closes itself some time later: a safety net, not a plan.
package pondsocket
