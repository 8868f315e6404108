// SPDX-License-Identifier: GPL-3.0-or-later

// Bench measures how many messages of a flood a client delivers for each second of its own CPU time:
//
//	bench [-client binding|plain] [-count N] [-size BYTES] [-parse] PORT
//
// PORT is that of a pond-test-server, whose /script endpoint sends the flood. "binding" is the package beside it, "plain"
// the usual thing to write by hand: gorilla/websocket, and encoding/json for the envelope, without reconnects,
// requests, presence or bounds. Both hand each message to a function on one goroutine.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"strings"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
	"pondsocket"
)

// receiver takes payloads until `want` of them came.
type receiver struct {
	parse       bool
	want, count int
	bytes       int
	begin       usage
	done        chan usage
}

type flooded struct {
	I   int
	Pad string
}

type usage struct {
	cpu  time.Duration
	wall time.Time
}

func now() usage {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		log.Fatal(err)
	}
	cpu := time.Duration(r.Utime.Nano()+r.Stime.Nano()) * time.Nanosecond
	return usage{cpu, time.Now()}
}

func (r *receiver) take(payload json.RawMessage) {
	if r.count == 0 {
		r.begin = now()
	}
	if r.parse {
		var f flooded
		if err := json.Unmarshal(payload, &f); err != nil || f.I != r.count {
			log.Fatalf("message %d is %s: %v", r.count, payload, err)
		}
	}
	r.bytes += len(payload)
	if r.count++; r.count == r.want {
		r.done <- now()
	}
}

// request is what makes the server flood.
func request(count, size int) any {
	frame := `{"action":"BROADCAST","event":"flood","channelName":"$CHANNEL","requestId":"","payload":{"i":$I,"pad":"` +
		strings.Repeat("x", size) + `"}}`
	return map[string]any{"frames": []string{frame}, "count": count}
}

func binding(url string, flood any, r *receiver) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := pondsocket.New(url, nil)
	if err != nil {
		return err
	}
	if err := client.Connect(ctx); err != nil {
		return err
	}
	channel, err := client.Channel("/flood", nil)
	if err != nil {
		return err
	}
	if _, err := channel.On("flood", func(m *pondsocket.Message) { r.take(m.Payload) }); err != nil {
		return err
	}
	if err := channel.Join(ctx); err != nil {
		return err
	}
	return channel.Send(ctx, "raw", flood)
}

type envelope struct {
	Action      string          `json:"action"`
	Event       string          `json:"event"`
	ChannelName string          `json:"channelName"`
	RequestID   string          `json:"requestId"`
	Payload     json.RawMessage `json:"payload"`
}

func plain(url string, flood any, r *receiver) error {
	ws, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		return err
	}
	payload, err := json.Marshal(flood)
	if err != nil {
		return err
	}
	send := func(action, event string, payload []byte) error {
		return ws.WriteJSON(envelope{action, event, "/flood", event + "-1", payload})
	}
	read := func() (envelope, error) {
		var e envelope
		_, text, err := ws.ReadMessage()
		if err == nil {
			err = json.Unmarshal(text, &e)
		}
		return e, err
	}
	if err := send("JOIN_CHANNEL", "join", []byte("{}")); err != nil {
		return err
	}
	for {
		e, err := read()
		if err != nil {
			return err
		}
		if e.Event == "ACKNOWLEDGE" {
			break
		}
	}
	handlers := map[string]func(json.RawMessage){"flood": r.take}
	go func() {
		for {
			e, err := read()
			if err != nil {
				log.Fatal(err)
			}
			if handler := handlers[e.Event]; e.ChannelName == "/flood" && handler != nil {
				handler(e.Payload)
			}
		}
	}()
	return send("BROADCAST", "raw", payload)
}

func main() {
	client := flag.String("client", "binding", "binding or plain")
	count := flag.Int("count", 100_000, "messages")
	size := flag.Int("size", 100, "bytes of padding in each payload; with 100 a frame has 200 bytes")
	parse := flag.Bool("parse", false, "unmarshal each payload")
	flag.Parse()
	url := fmt.Sprintf("ws://127.0.0.1:%s/script", flag.Arg(0))
	r := &receiver{parse: *parse, want: *count, done: make(chan usage, 1)}
	run, ok := map[string]func(string, any, *receiver) error{"binding": binding, "plain": plain}[*client]
	if !ok || flag.NArg() != 1 {
		log.Fatal("bench [-client binding|plain] [-count N] [-size BYTES] [-parse] PORT")
	}
	if err := run(url, request(*count, *size), r); err != nil {
		log.Fatal(err)
	}
	select {
	case end := <-r.done:
		cpu, wall := end.cpu-r.begin.cpu, end.wall.Sub(r.begin.wall)
		fmt.Printf("go-%s parse=%v: %d messages, %.2f s CPU, %.2f s wall, %.0f messages per CPU second\n",
			*client, *parse, r.count, cpu.Seconds(), wall.Seconds(), float64(r.count)/cpu.Seconds())
	case <-time.After(60 * time.Second):
		log.Fatal("the flood did not come in 60 s")
	}
}
