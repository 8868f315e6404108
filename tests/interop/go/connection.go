package main

import (
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

const (
	maxMessage   = 512 * 1024
	pingInterval = 30 * time.Second
	// Refreshed by pongs and messages, not by the client's pings.
	readWait    = 60 * time.Second
	writeWait   = 10 * time.Second
	sendTimeout = 5 * time.Second
	backlog     = 256
	maxHandlers = 10
)

var errConnectionClosed = errors.New("the connection is closed")

// connection is one client's socket.
type connection struct {
	id     string
	name   string
	socket *websocket.Conn
	inbox  chan []byte
	outbox chan []byte
	done   chan struct{}
	once   sync.Once
	// Set when the client said goodbye: then its memberships stay behind.
	graceful atomic.Bool

	mu       sync.Mutex
	channels map[*channel]struct{}
}

func newConnection(socket *websocket.Conn, name string) *connection {
	return &connection{
		id:       newID(),
		name:     name,
		socket:   socket,
		inbox:    make(chan []byte, backlog),
		outbox:   make(chan []byte, backlog),
		done:     make(chan struct{}),
		channels: map[*channel]struct{}{},
	}
}

// start serves the client. Requests run at the same time, at most maxHandlers of them, in no order.
func (c *connection) start(handle func(*connection, *frame)) {
	go c.readLoop()
	go c.writeLoop()
	go c.handleLoop(handle)
}

// drop ends the TCP connection; the client gets no close frame.
func (c *connection) drop() {
	c.once.Do(func() {
		close(c.done)
		_ = c.socket.Close()
	})
}

func (c *connection) joined(ch *channel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.channels[ch] = struct{}{}
}

func (c *connection) leaveAll() {
	c.mu.Lock()
	channels := c.channels
	c.channels = map[*channel]struct{}{}
	c.mu.Unlock()
	for ch := range channels {
		ch.remove(c.id)
	}
}

func (c *connection) send(f frame) error {
	data, err := encode(f)
	if err != nil {
		return err
	}
	select {
	case <-c.done:
		return errConnectionClosed
	default:
	}
	select {
	case c.outbox <- data:
		return nil
	case <-c.done:
		return errConnectionClosed
	case <-time.After(sendTimeout):
		c.drop()
		return errConnectionClosed
	}
}

// tell sends what nobody can be told of when it fails: the connection is gone.
func (c *connection) tell(f frame) {
	_ = c.send(f)
}

func (c *connection) readLoop() {
	defer func() {
		c.drop()
		if !c.graceful.Load() {
			c.leaveAll()
		}
	}()
	extend := func(string) error { return c.socket.SetReadDeadline(time.Now().Add(readWait)) }
	c.socket.SetReadLimit(maxMessage)
	c.socket.SetPongHandler(extend)
	c.socket.SetCloseHandler(func(int, string) error {
		c.graceful.Store(true)
		c.drop()
		return nil
	})
	for extend("") == nil {
		kind, message, err := c.socket.ReadMessage()
		if err != nil {
			return
		}
		if kind != websocket.TextMessage {
			c.tell(complaint(gateway, newID(), 400, "Only text frames are understood"))
			continue
		}
		select {
		case c.inbox <- message:
		case <-c.done:
			return
		case <-time.After(writeWait):
			return
		}
	}
}

func (c *connection) handleLoop(handle func(*connection, *frame)) {
	slots := make(chan struct{}, maxHandlers)
	for {
		select {
		case message := <-c.inbox:
			var request frame
			if err := json.Unmarshal(message, &request); err != nil {
				c.tell(complaint("", newID(), 500, err.Error()))
				continue
			}
			if !request.complete() {
				if request.RequestID == "" {
					request.RequestID = newID()
				}
				c.tell(complaint(gateway, request.RequestID, 500, "The frame lacks a required string"))
				continue
			}
			select {
			case slots <- struct{}{}:
			case <-c.done:
				return
			}
			go func() {
				defer func() { <-slots }()
				handle(c, &request)
			}()
		case <-c.done:
			return
		}
	}
}

func (c *connection) writeLoop() {
	defer c.drop()
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	for {
		select {
		case message := <-c.outbox:
			if c.writeBatch(message) != nil {
				return
			}
		case <-ticker.C:
			if c.socket.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWait)) != nil {
				return
			}
		case <-c.done:
			return
		}
	}
}

// writeBatch writes a message and all that wait behind it as one frame, separated by newlines.
func (c *connection) writeBatch(message []byte) error {
	if err := c.socket.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
		return err
	}
	writer, err := c.socket.NextWriter(websocket.TextMessage)
	if err != nil {
		return err
	}
	if _, err := writer.Write(message); err != nil {
		return err
	}
	for range len(c.outbox) {
		if _, err := writer.Write(append([]byte{'\n'}, <-c.outbox...)); err != nil {
			return err
		}
	}
	return writer.Close()
}
