// SPDX-License-Identifier: GPL-3.0-or-later

// request [URL [TOKEN]]: several requests in flight at once. Each ends exactly once: with an answer, the server's
// error, a timeout or a cancel.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	"pondsocket"
)

func main() {
	url, token := "ws://127.0.0.1:8080/api/socket", "secret"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	if len(os.Args) > 2 {
		token = os.Args[2]
	}
	client, err := pondsocket.New(url, &pondsocket.Options{Params: map[string]string{"token": token}})
	check(err)
	defer client.Close()
	channel, err := client.Channel("/chat/42", map[string]string{"username": "asker"})
	check(err)
	check(client.Start())
	check(channel.StartJoin())

	// The channel is not even joined yet: requests wait in its queue, but their clocks run.
	var all sync.WaitGroup
	ask := func(label, event string, payload any, timeout time.Duration) {
		all.Add(1)
		go func() {
			defer all.Done()
			ctx, cancel := context.WithTimeout(context.Background(), timeout)
			defer cancel()
			reply, err := channel.Call(ctx, event, payload)
			show(label, reply, err)
		}()
	}
	ask("slow", "slow", map[string]int{"ms": 400}, 5*time.Second)
	ask("quick", "ping", map[string]int{"n": 1}, 5*time.Second)
	ask("quicker", "echo", map[string]int{"n": 2}, 5*time.Second)
	ask("unknown", "no-such-event", nil, 5*time.Second)
	ask("silent", "silent", nil, 600*time.Millisecond)

	// The same without a goroutine, and cancelled.
	request, err := channel.Request("slow", map[string]int{"ms": 30_000}, -1)
	check(err)
	request.Cancel()
	reply, err := request.Wait(context.Background())
	show("cancelled", reply, err)
	all.Wait()

	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	check(client.Disconnect(ctx))
}

func show(label string, reply *pondsocket.Message, err error) {
	var failed *pondsocket.Error
	switch {
	case err == nil:
		fmt.Printf("%-9s %s %s\n", label, reply.Event, reply.Payload)
	case errors.Is(err, pondsocket.ErrTimeout):
		fmt.Printf("%-9s no answer in time\n", label)
	case errors.As(err, &failed): // the server's own word and number come along, if it said some
		fmt.Printf("%-9s %v: %s (%d)\n", label, failed.Status, failed.Code, failed.HTTPStatus)
	default:
		fmt.Printf("%-9s %v\n", label, err)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
