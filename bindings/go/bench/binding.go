// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"encoding/json"

	"pondsocket"
)

type binding struct {
	client   *pondsocket.Client
	channels []*pondsocket.Channel
}

func openBinding(url string, names []string) (contestant, error) {
	ctx := context.Background()
	client, err := pondsocket.New(url, nil)
	if err != nil {
		return nil, err
	}
	b := &binding{client: client}
	if err := client.Start(); err != nil {
		return nil, err
	}
	for _, name := range names {
		channel, err := client.Channel(name, nil)
		if err != nil {
			return nil, err
		}
		if err := channel.StartJoin(); err != nil {
			return nil, err
		}
		b.channels = append(b.channels, channel)
	}
	for _, channel := range b.channels {
		if err := channel.Join(ctx); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *binding) listen(fn func(string, json.RawMessage)) {
	for _, channel := range b.channels {
		channel.OnMessage(func(m *pondsocket.Message) { fn(m.Event, m.Payload) })
		channel.OnPresence(func(p *pondsocket.Presence) { fn("presence", p.Changed) })
	}
}

func (b *binding) send(event string, payload any) error {
	return b.channels[0].Send(context.Background(), event, payload)
}

func (b *binding) ask(event string, payload any) (json.RawMessage, error) {
	reply, err := b.channels[0].Call(context.Background(), event, payload)
	if err != nil {
		return nil, err
	}
	return reply.Payload, nil
}
