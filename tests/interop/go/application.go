package main

import (
	"errors"
	"log"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	rooms        = "/chat/:room"
	keptMessages = 20
)

var errHandler = errors.New("the handler failed")

type object = map[string]any

// history keeps each room's last messages.
type history struct {
	mu       sync.Mutex
	messages map[string][]any
}

func (h *history) add(room string, message any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := append(h.messages[room], message)
	h.messages[room] = kept[max(0, len(kept)-keptMessages):]
}

func (h *history) of(room string) []any {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]any{}, h.messages[room]...)
}

func text(payload object, key, fallback string) string {
	if value, ok := payload[key].(string); ok {
		return value
	}
	return fallback
}

func number(payload object, key string, fallback int) int {
	if value, ok := payload[key].(float64); ok {
		return int(value)
	}
	return fallback
}

func milliseconds(payload object, key string) time.Duration {
	return time.Duration(number(payload, key, 0)) * time.Millisecond
}

func first(query url.Values) map[string]string {
	values := map[string]string{}
	for key := range query {
		values[key] = query.Get(key)
	}
	return values
}

// payload is the event's payload; one that is no object counts as empty.
func (ctx *eventContext) payload() object {
	payload, _ := ctx.request.Payload.(object)
	return payload
}

// with is the payload with one more value.
func (ctx *eventContext) with(key string, value any) object {
	payload := object{}
	maps.Copy(payload, ctx.payload())
	payload[key] = value
	return payload
}

func (ctx *eventContext) signed() object {
	return ctx.with("from", ctx.sender.username)
}

func (ctx *eventContext) room() string {
	params, _, _ := match(rooms, ctx.channel.name)
	return params["room"]
}

func newApplication() http.Handler {
	kept := &history{messages: map[string][]any{}}
	e := newEndpoint(rooms, joinWith(kept), routes(kept))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Equal(segments(r.URL.Path), segments(endpointPath)) {
			http.Error(w, "Not Found", http.StatusNotFound)
			return
		}
		connect(e, w, r)
	})
}

func connect(e *endpoint, w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	mode := query.Get("mode")
	switch {
	case mode == "silent":
		return
	case mode == "throw":
		http.Error(w, "Internal Server Error", http.StatusInternalServerError)
		return
	case mode == "decline" || query.Get("token") != "secret":
		code, err := strconv.Atoi(query.Get("code"))
		if err != nil {
			code = http.StatusUnauthorized
		}
		message := query.Get("message")
		if message == "" {
			message = "Invalid token"
		}
		http.Error(w, message, code)
		return
	}
	name := query.Get("name")
	if name == "" {
		name = "guest"
	}
	c, err := e.accept(w, r, name)
	if err != nil {
		log.Print(err)
		return
	}
	if query.Get("greet") == "1" {
		var header any
		if values := r.Header.Values("X-Test"); len(values) > 0 {
			header = values[0]
		}
		c.tell(frame{
			Action:      actionSystem,
			ChannelName: gateway,
			RequestID:   newID(),
			Payload:     object{"name": name, "header": header, "query": first(query)},
			Event:       "welcome",
		})
	}
}

func joinWith(kept *history) joinHandler {
	return func(ctx *joinContext) error {
		params, _ := ctx.request.Payload.(object)
		switch text(params, "mode", "accept") {
		case "silent":
			return nil
		case "throw":
			return errHandler
		case "decline":
			return ctx.decline(number(params, "code", 403), text(params, "message", "No entry"))
		case "slow":
			time.Sleep(milliseconds(params, "delayMs"))
		}
		username := text(params, "username", ctx.connection.name)
		ch := ctx.accept(username)
		if params["presence"] != false {
			ctx.track(ch, object{"id": username, "status": "online"})
		}
		if params["history"] == true {
			ctx.reply(ch, "history", object{"messages": kept.of(ch.name)})
		}
		return nil
	}
}

func routes(kept *history) []eventRoute {
	return []eventRoute{
		{"message", func(ctx *eventContext) error {
			told := ctx.signed()
			kept.add(ctx.channel.name, told)
			return ctx.channel.broadcast("message", told)
		}},
		{"others", func(ctx *eventContext) error {
			return ctx.channel.broadcastExcept("message", ctx.signed(), ctx.sender.connection.id)
		}},
		{"direct", func(ctx *eventContext) error {
			return ctx.channel.broadcastTo("direct", ctx.signed(), ctx.channel.named(text(ctx.payload(), "to", ""))...)
		}},
		{"ping", func(ctx *eventContext) error { return ctx.reply("pong", ctx.with("room", ctx.room())) }},
		{"echo", func(ctx *eventContext) error { return ctx.reply("echo", ctx.request.Payload) }},
		{"twice", func(ctx *eventContext) error {
			err := ctx.reply("first", object{"n": 1})
			// The package keeps the second one's error to itself unless the handler returns it.
			_ = ctx.reply("second", object{"n": 2})
			return err
		}},
		{"tell-and-reply", func(ctx *eventContext) error {
			if err := ctx.channel.broadcast("told", ctx.request.Payload); err != nil {
				return err
			}
			return ctx.reply("reply", ctx.request.Payload)
		}},
		{"whoami", func(ctx *eventContext) error {
			return ctx.reply("whoami", object{"username": ctx.sender.username, "room": ctx.room()})
		}},
		{"user/:id", func(ctx *eventContext) error {
			return ctx.reply("user", object{"id": ctx.params["id"], "query": first(ctx.query)})
		}},
		{"slow", func(ctx *eventContext) error {
			time.Sleep(milliseconds(ctx.payload(), "ms"))
			if err := ctx.reply("slow", ctx.request.Payload); !errors.Is(err, errTimeIsUp) {
				return err
			}
			return nil
		}},
		{"silent", func(*eventContext) error { return nil }},
		{"throw", func(*eventContext) error { return errHandler }},
		{"decline", func(*eventContext) error { return errHandler }},
		{"status", func(ctx *eventContext) error {
			presence := object{"id": ctx.sender.username, "status": ctx.payload()["status"]}
			return ctx.channel.update(ctx.sender.connection.id, presence)
		}},
		{"evict", evict},
		{"flood", func(ctx *eventContext) error {
			pad := strings.Repeat("x", number(ctx.payload(), "size", 0))
			for i := range number(ctx.payload(), "count", 0) {
				if err := ctx.channel.broadcast("flood", object{"i": i, "pad": pad}); err != nil {
					return err
				}
			}
			return nil
		}},
		{"big", func(ctx *eventContext) error {
			return ctx.reply("big", object{"data": strings.Repeat("x", number(ctx.payload(), "bytes", 0))})
		}},
		{"deep", func(ctx *eventContext) error {
			data := []any{}
			for range number(ctx.payload(), "levels", 1) - 1 {
				data = []any{data}
			}
			return ctx.reply("deep", object{"data": data})
		}},
		{"types", func(ctx *eventContext) error {
			payloads := object{"array": []any{1, "two", nil}, "null": nil, "string": "text", "number": 42}
			return ctx.reply("types", payloads[text(ctx.payload(), "type", "")])
		}},
		{"close-me", func(ctx *eventContext) error {
			ctx.sender.connection.drop()
			return nil
		}},
		{"close-channel", func(ctx *eventContext) error {
			ctx.channel.close()
			return nil
		}},
		{"later", func(ctx *eventContext) error {
			time.AfterFunc(milliseconds(ctx.payload(), "ms"), func() {
				// The channel may be gone by then.
				_ = ctx.channel.broadcast("news", object{"n": 1})
			})
			return ctx.reply("later", ctx.request.Payload)
		}},
		{"die", func(*eventContext) error {
			os.Exit(1)
			return nil
		}},
	}
}

func evict(ctx *eventContext) error {
	ids := []string{ctx.sender.connection.id}
	if username, ok := ctx.payload()["username"].(string); ok {
		ids = ctx.channel.named(username)
	}
	for _, id := range ids {
		if err := ctx.channel.evict(id, text(ctx.payload(), "reason", "bye")); err != nil {
			return err
		}
	}
	return nil
}
