package main

import (
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// A handler's calls have no effect after this time.
	handlerTimeout = time.Second
	// How long the other nodes are asked for a user whom this one does not know.
	lookupTimeout = 500 * time.Millisecond
)

var (
	errTimeIsUp = errors.New("the handler's time is up")
	errReplied  = errors.New("the request was replied to already")
)

// joinContext is what the handler of a join request gets.
type joinContext struct {
	endpoint   *endpoint
	connection *connection
	request    *frame
	deadline   time.Time
	responded  bool
	err        error
}

// eventContext is what the handler of an event gets.
type eventContext struct {
	channel  *channel
	sender   member
	request  *frame
	deadline time.Time
	params   map[string]string
	query    url.Values
	replied  bool
}

type (
	joinHandler  func(*joinContext) error
	eventHandler func(*eventContext) error
	eventRoute   struct {
		pattern string
		handler eventHandler
	}
)

// endpoint holds the channels of all connections.
type endpoint struct {
	pattern  string
	onJoin   joinHandler
	routes   []eventRoute
	upgrader websocket.Upgrader

	mu       sync.Mutex
	channels map[string]*channel
}

func newEndpoint(pattern string, onJoin joinHandler, routes []eventRoute) *endpoint {
	return &endpoint{
		pattern: pattern,
		onJoin:  onJoin,
		routes:  routes,
		upgrader: websocket.Upgrader{
			ReadBufferSize:  1024,
			WriteBufferSize: 1024,
			CheckOrigin:     func(*http.Request) bool { return true },
		},
		channels: map[string]*channel{},
	}
}

// accept upgrades the request, and greets. The client's own first frames are served at the same time.
func (e *endpoint) accept(w http.ResponseWriter, r *http.Request, name string) (*connection, error) {
	socket, err := e.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	c := newConnection(socket, name)
	c.start(e.handle)
	return c, c.send(frame{
		Action:      actionConnect,
		ChannelName: gateway,
		RequestID:   newID(),
		Payload:     map[string]any{"connectionId": c.id},
		Event:       eventConnection,
	})
}

func (e *endpoint) handle(c *connection, request *frame) {
	switch request.Action {
	case actionJoin:
		e.join(c, request)
	case actionLeave:
		e.leave(c, request)
	case actionBroadcast:
		e.event(c, request)
	default:
		details := map[string]string{"eventType": request.Event}
		c.tell(refusal(request, eventNotFound, 404, "The server does not know this action", details))
	}
}

func (e *endpoint) find(name string) (*channel, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ch, exists := e.channels[name]
	return ch, exists
}

// open finds or makes the channel. One that nobody is let into stays.
func (e *endpoint) open(name string) *channel {
	e.mu.Lock()
	defer e.mu.Unlock()
	ch, exists := e.channels[name]
	if !exists {
		ch = newChannel(name, e.forget)
		e.channels[name] = ch
	}
	return ch
}

func (e *endpoint) forget(ch *channel) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.channels[ch.name] == ch {
		delete(e.channels, ch.name)
	}
}

func (e *endpoint) join(c *connection, request *frame) {
	if _, _, ok := match(e.pattern, request.ChannelName); !ok {
		c.tell(refusal(request, eventNotFound, 404, "No channel pattern matches this name", nil))
		return
	}
	e.open(request.ChannelName)
	ctx := &joinContext{
		endpoint:   e,
		connection: c,
		request:    request,
		deadline:   time.Now().Add(handlerTimeout),
	}
	err := e.onJoin(ctx)
	if err == nil {
		err = ctx.err
	}
	if err == nil && !ctx.responded {
		err = ctx.decline(401, "Unauthorized")
	}
	if err != nil {
		c.tell(refusal(request, eventInternalError, 500, "The join request failed", nil))
	}
}

func (e *endpoint) leave(c *connection, request *frame) {
	ch, exists := e.find(request.ChannelName)
	if !exists {
		c.tell(refusal(request, eventNotFound, 404, "There is no such channel", nil))
		return
	}
	ch.remove(c.id)
	c.tell(answer(request, eventExitAcknowledge, map[string]any{}))
}

func (e *endpoint) event(c *connection, request *frame) {
	ch, exists := e.find(request.ChannelName)
	if !exists {
		c.tell(refusal(request, eventNotFound, 404, "There is no such channel", nil))
		return
	}
	if e.run(ch, c, request) != nil {
		c.tell(refusal(request, eventInternalError, 500, "Failed to process broadcast", nil))
	}
}

func (e *endpoint) run(ch *channel, c *connection, request *frame) error {
	if ch.closed() {
		return errChannelClosed
	}
	sender, exists := ch.member(c.id)
	if !exists {
		select {
		case <-time.After(lookupTimeout):
		case <-c.done:
		}
		return errors.New("the sender is not in the channel")
	}
	for _, route := range e.routes {
		if params, query, ok := match(route.pattern, request.Event); ok {
			return route.handler(&eventContext{
				channel:  ch,
				sender:   sender,
				request:  request,
				deadline: time.Now().Add(handlerTimeout),
				params:   params,
				query:    query,
			})
		}
	}
	return ch.sendTo(refusal(request, eventNotFound, 404, "No handler is registered for this event", nil), c.id)
}

// usable says whether the context's calls still have an effect; the first failure ends that.
func (ctx *joinContext) usable() bool {
	if ctx.err == nil && time.Now().After(ctx.deadline) {
		ctx.err = errTimeIsUp
	}
	return ctx.err == nil
}

// accept lets the user in. The acknowledgement takes the channel's queue, where later frames may overtake it.
func (ctx *joinContext) accept(username string) *channel {
	ch := ctx.endpoint.open(ctx.request.ChannelName)
	if !ctx.usable() {
		return ch
	}
	ctx.responded = true
	if ctx.err = ch.add(ctx.connection, username); ctx.err == nil {
		ctx.err = ch.sendTo(answer(ctx.request, eventAcknowledge, map[string]any{}), ctx.connection.id)
	}
	return ch
}

func (ctx *joinContext) decline(code int, message string) error {
	if !ctx.usable() {
		return ctx.err
	}
	ctx.responded = true
	details := map[string]int{"statusCode": code}
	return ctx.connection.send(refusal(ctx.request, eventUnauthorized, code, message, details))
}

func (ctx *joinContext) track(ch *channel, presence any) {
	if ctx.usable() {
		ctx.err = ch.track(ctx.connection.id, presence)
	}
}

func (ctx *joinContext) reply(ch *channel, event string, payload any) {
	if ctx.usable() {
		ctx.err = ch.sendTo(answer(ctx.request, event, payload), ctx.connection.id)
	}
}

func (ctx *eventContext) reply(event string, payload any) error {
	if time.Now().After(ctx.deadline) {
		return errTimeIsUp
	}
	if ctx.replied {
		return errReplied
	}
	ctx.replied = true
	return ctx.channel.sendTo(answer(ctx.request, event, payload), ctx.sender.connection.id)
}
