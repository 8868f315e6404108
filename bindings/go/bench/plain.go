// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"fmt"
	"log"
	"sync"

	"github.com/gorilla/websocket"
)

type envelope struct {
	Action      string          `json:"action"`
	Event       string          `json:"event"`
	ChannelName string          `json:"channelName"`
	RequestID   string          `json:"requestId"`
	Payload     json.RawMessage `json:"payload"`
}

type plain struct {
	ws      *websocket.Conn
	channel string

	writing sync.Mutex
	mu      sync.Mutex
	last    int
	waiting map[string]chan json.RawMessage
	fn      func(string, json.RawMessage)
}

func openPlain(url string, names []string) (contestant, error) {
	ws, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		return nil, err
	}
	p := &plain{ws: ws, channel: names[0], waiting: map[string]chan json.RawMessage{}}
	for _, name := range names {
		if err := p.write("JOIN_CHANNEL", "join", name, "join"+name, struct{}{}); err != nil {
			return nil, err
		}
	}
	for joined := 0; joined < len(names); {
		e, err := p.read()
		if err != nil {
			return nil, err
		}
		if e.Event == "ACKNOWLEDGE" {
			joined++
		}
	}
	return p, nil
}

func (p *plain) read() (envelope, error) {
	var e envelope
	_, text, err := p.ws.ReadMessage()
	if err == nil {
		err = json.Unmarshal(text, &e)
	}
	return e, err
}

func (p *plain) write(action, event, channel, id string, payload any) error {
	raw, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	text, err := json.Marshal(envelope{action, event, channel, id, raw})
	if err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	return p.ws.WriteMessage(websocket.TextMessage, text)
}

func (p *plain) listen(fn func(string, json.RawMessage)) {
	p.fn = fn
	go func() {
		for {
			e, err := p.read()
			if err != nil {
				log.Fatal(err)
			}
			p.mu.Lock()
			waiter := p.waiting[e.RequestID]
			delete(p.waiting, e.RequestID)
			p.mu.Unlock()
			switch {
			case waiter != nil:
				waiter <- e.Payload
			case e.Action == "PRESENCE":
				var presence struct{ Changed json.RawMessage }
				if err := json.Unmarshal(e.Payload, &presence); err != nil {
					log.Fatal(err)
				}
				fn("presence", presence.Changed)
			default:
				fn(e.Event, e.Payload)
			}
		}
	}()
}

// id is counted under the lock.
func (p *plain) id() string {
	p.last++
	return fmt.Sprintf("id-%d", p.last)
}

func (p *plain) send(event string, payload any) error {
	p.mu.Lock()
	id := p.id()
	p.mu.Unlock()
	return p.write("BROADCAST", event, p.channel, id, payload)
}

func (p *plain) ask(event string, payload any) (json.RawMessage, error) {
	answer := make(chan json.RawMessage, 1)
	p.mu.Lock()
	id := p.id()
	p.waiting[id] = answer
	p.mu.Unlock()
	if err := p.write("BROADCAST", event, p.channel, id, payload); err != nil {
		return nil, err
	}
	return <-answer, nil
}
