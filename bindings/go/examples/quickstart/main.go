// SPDX-License-Identifier: GPL-3.0-or-later

// quickstart [URL [TOKEN]]: connect, join a channel, talk, ask, leave.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
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
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	// The params travel in the URL's query.
	client, err := pondsocket.New(url, &pondsocket.Options{Params: map[string]string{"token": token}})
	check(err)
	defer client.Close()
	check(client.Connect(ctx))

	channel, err := client.Channel("/chat/42", map[string]string{"username": "anna"})
	check(err)
	heard := make(chan struct{}, 1)
	_, err = channel.On("message", func(m *pondsocket.Message) {
		fmt.Printf("message: %s\n", m.Payload)
		heard <- struct{}{}
	})
	check(err)
	channel.OnPresence(func(p *pondsocket.Presence) {
		if p.Kind == pondsocket.PresenceJoin {
			fmt.Printf("joined:  %s, now here: %s\n", p.Changed, p.Users)
		}
	})
	check(channel.Join(ctx))

	check(channel.Send(ctx, "message", map[string]string{"text": "hello"}))
	reply, err := channel.Call(ctx, "ping", map[string]int{"n": 1})
	check(err)
	fmt.Printf("answer:  %s %s\n", reply.Event, reply.Payload)

	<-heard
	check(client.Disconnect(ctx))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
