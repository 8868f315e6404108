// SPDX-License-Identifier: GPL-3.0-or-later

// chat [NAME [ROOM [URL [TOKEN]]]]: a terminal chat. /who, /ask TEXT, /quit. It survives a server that dies and comes
// back: what is typed meanwhile is kept.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"pondsocket"
)

type line struct {
	From string `json:"from,omitempty"`
	Text string `json:"text"`
	ID   string `json:"id"`
}

type user struct{ ID string }

func note(format string, args ...any) { fmt.Printf("* "+format+"\n", args...) }

func argument(i int, otherwise string) string {
	if len(os.Args) > i {
		return os.Args[i]
	}
	return otherwise
}

func who(users []user) {
	names := make([]string, len(users))
	for i, u := range users {
		names[i] = u.ID
	}
	note("here: %s", strings.Join(names, " "))
}

func main() {
	name, room := argument(1, "anna"), argument(2, "42")
	client, err := pondsocket.New(argument(3, "ws://127.0.0.1:8080/api/socket"), &pondsocket.Options{
		Params:     map[string]string{"token": argument(4, "secret"), "name": name},
		BackoffMax: 5 * time.Second,
	})
	check(err)
	defer client.Close()
	channel, err := client.Channel("/chat/"+room, map[string]any{"username": name, "history": true})
	check(err)

	gaveUp := make(chan struct{})
	client.OnState(func(change pondsocket.StateChange) {
		switch {
		case change.State == pondsocket.Disconnected && change.WillRetry:
			note("connection lost (%v), reconnecting in %v", change.Err, change.Retry)
		case change.State == pondsocket.Disconnected && change.Err != nil:
			note("gave up: %v", change.Err)
			close(gaveUp)
		}
	})
	channel.OnState(func(change pondsocket.ChannelStateChange) {
		switch change.State {
		case pondsocket.Joined:
			if change.Previous == pondsocket.Stalled {
				note("back in %s", room)
			} else {
				note("joined %s", room)
			}
		case pondsocket.Declined:
			note("not let in: %v", change.Err)
		}
	})

	// Lines have ids, so that those of the history that were shown already are not shown again.
	seen := map[string]bool{}
	var unseen atomic.Int32
	show := func(l line) {
		if seen[l.ID] {
			return
		}
		seen[l.ID] = true
		fmt.Printf("%s: %s\n", l.From, l.Text)
		if l.From == name {
			unseen.Add(-1)
		}
	}
	on := func(event string, fn func(*pondsocket.Message)) {
		_, err := channel.On(event, fn)
		check(err)
	}
	on("message", func(m *pondsocket.Message) {
		var l line
		if m.Decode(&l) == nil {
			show(l)
		}
	})
	on("history", func(m *pondsocket.Message) {
		var history struct{ Messages []line }
		if m.Decode(&history) == nil {
			for _, l := range history.Messages {
				show(l)
			}
		}
	})
	channel.OnPresence(func(p *pondsocket.Presence) {
		var u user
		var users []user
		if p.DecodeChanged(&u) != nil || p.DecodeUsers(&users) != nil {
			return
		}
		switch {
		case p.Kind == pondsocket.PresenceJoin && u.ID == name:
			who(users)
		case p.Kind == pondsocket.PresenceJoin:
			note("%s joined", u.ID)
		case p.Kind == pondsocket.PresenceLeave:
			note("%s left", u.ID)
		}
	})
	channel.OnDropped(func(d *pondsocket.Dropped) {
		unseen.Add(-int32(d.Count))
		note("%d message(s) could not be sent: %v", d.Count, d.Err)
	})
	check(client.Start())
	check(channel.StartJoin())

	typed := make(chan string)
	go func() {
		defer close(typed)
		for input := bufio.NewScanner(os.Stdin); input.Scan(); {
			typed <- strings.TrimSuffix(input.Text(), "\r")
		}
	}()
	sent := 0
	ctx := context.Background()
chat:
	for {
		select {
		case <-gaveUp:
			break chat
		case text, more := <-typed:
			switch {
			case !more || text == "/quit":
				break chat
			case text == "":
			case text == "/who":
				var users []user
				if channel.Users(&users) == nil {
					who(users)
				}
			case strings.HasPrefix(text, "/ask "):
				reply, err := channel.Call(ctx, "ping", line{Text: text[5:]})
				var l line
				if err != nil {
					note("no answer: %v", err)
				} else if reply.Decode(&l) == nil {
					note("answer: %s %s", reply.Event, l.Text)
				}
			case text[0] == '/':
				note("commands: /who, /ask TEXT, /quit")
			default:
				sent++
				err := channel.Send(ctx, "message", line{Text: text, ID: fmt.Sprintf("%d-%d-%d", os.Getpid(), time.Now().UnixNano(), sent)})
				if err != nil {
					note("not sent: %v", err)
					continue
				}
				unseen.Add(1)
				if channel.State() != pondsocket.Joined {
					note("kept until %s is joined", room)
				}
			}
		}
	}
	// Lines of a pipe may still be on their way.
	for deadline := time.Now().Add(5 * time.Second); unseen.Load() > 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	ending, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	check(client.Disconnect(ending))
	note("bye")
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
