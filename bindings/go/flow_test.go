// SPDX-License-Identifier: GPL-3.0-or-later

package pondsocket

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// flood makes the test server send one frame many times, in order; `$I` in the payload is the round.
func flood(t testing.TB, channel *Channel, event string, count int) {
	t.Helper()
	payload := `{"i":$I,"pad":"` + strings.Repeat("x", 100) + `"}`
	frame := `{"action":"BROADCAST","event":"` + event + `","channelName":"$CHANNEL","requestId":"","payload":` + payload + `}`
	if err := channel.Send(within(t), "raw", map[string]any{"frames": []string{frame}, "count": count}); err != nil {
		t.Fatal(err)
	}
}

func scripted(t testing.TB, options *Options) *Channel {
	t.Helper()
	client := connect(t, "ws://127.0.0.1:"+servers["rust"].port()+"/script", options)
	return join(t, client, "/flood", nil)
}

type round struct{ I int }

func TestFloodInOrder(t *testing.T) {
	const count = 100_000
	for _, mode := range []string{"descriptor", "blocking"} {
		t.Run(mode, func(t *testing.T) {
			options := quick()
			options.blockingPull = mode == "blocking"
			channel := scripted(t, options)
			done := make(chan error, 1)
			next := 0
			if _, err := channel.On("flood", func(m *Message) {
				var r round
				if err := m.Decode(&r); err != nil || r.I != next || len(m.Payload) < 100 {
					select {
					case done <- fmt.Errorf("message %d was %s", next, m.Payload):
					default:
					}
				}
				if next++; next == count {
					done <- nil
				}
			}); err != nil {
				t.Fatal(err)
			}
			flood(t, channel, "flood", count)
			if err := receive(t, done, "the flood"); err != nil {
				t.Error(err)
			}
		})
	}
}

// Messages stay what they were, however many come after them.
func TestMessagesAreForGood(t *testing.T) {
	const count = 5000
	channel := scripted(t, quick())
	all := make(chan *Message, count)
	if _, err := channel.On("flood", func(m *Message) { all <- m }); err != nil {
		t.Fatal(err)
	}
	flood(t, channel, "flood", count)
	var kept []*Message
	for len(kept) < count {
		kept = append(kept, receive(t, all, "message"))
	}
	runtime.GC()
	for i, m := range kept {
		if !strings.HasPrefix(string(m.Payload), fmt.Sprintf(`{"i":%d,"pad":"xxx`, i)) || m.Event != "flood" {
			t.Fatalf("message %d is %s", i, m.Payload)
		}
		// One that grows must not write into its neighbour.
		m.Payload = append(m.Payload, "!!!"...)
	}
}

// A slow reader stops the socket: what waits stays bounded, and nothing is lost.
func TestBackpressure(t *testing.T) {
	const count = 30_000
	options := quick()
	options.InboundEvents = 500
	channel := scripted(t, options)
	sub, err := channel.Subscribe("flood", 10)
	if err != nil {
		t.Fatal(err)
	}
	flood(t, channel, "flood", count)
	client := channel.Client()
	full := func() bool {
		stats, err := client.Stats()
		return err == nil && stats.InboundEvents >= 500 && stats.Waiting >= softEvents
	}
	eventually(t, "everything is full", full)
	for i := range count {
		var r round
		if err := receive(t, sub.C, "message").Decode(&r); err != nil || r.I != i {
			t.Fatalf("message %d is %+v", i, r)
		}
		if i%1000 == 0 {
			// A batch of frames may be over the bound.
			if stats, err := client.Stats(); err != nil || stats.InboundEvents > 5000 || stats.Waiting > softEvents+batchSize {
				t.Fatalf("waiting: %+v %v", stats, err)
			}
		}
	}
	sub.Cancel()
	if _, open := <-sub.C; open {
		t.Error("the stream is open after Cancel")
	}
}

// An answer does not wait behind messages that nobody takes, also inside a handler.
func TestAnswersPassBy(t *testing.T) {
	channel := scripted(t, quick())
	started, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	answers := make(chan error, 1)
	if _, err := channel.On("flood", func(*Message) {
		once.Do(func() {
			close(started)
			<-release
			_, err := channel.Call(within(t), "reply", nil)
			answers <- err
		})
	}); err != nil {
		t.Fatal(err)
	}
	flood(t, channel, "flood", 6000)
	await(t, started, "the first message")
	eventually(t, "the buffer between is full", func() bool { return channel.Client().core.queued.Load() >= softEvents })
	if reply, err := channel.Call(within(t), "reply", map[string]int{"n": 1}); err != nil || reply.Event != "reply" {
		t.Errorf("call beside a handler that blocks: %v", err)
	}
	close(release)
	if err := receive(t, answers, "the handler's call"); err != nil {
		t.Errorf("call in a handler: %v", err)
	}
}

// When far too much lies undelivered, waits end with an error instead of memory.
func TestOverrun(t *testing.T) {
	options := quick()
	options.InboundEvents = 1000
	channel := scripted(t, options)
	release := make(chan struct{})
	if _, err := channel.On("flood", func(*Message) { <-release }); err != nil {
		t.Fatal(err)
	}
	defer close(release)
	r, err := channel.Request("silent", nil, -1)
	if err != nil {
		t.Fatal(err)
	}
	flood(t, channel, "flood", 20_000)
	if _, err := r.Wait(within(t)); !errors.Is(err, ErrQueueFull) {
		t.Errorf("%v", err)
	}
	if queued := channel.Client().core.queued.Load(); queued > 2000+batchSize {
		t.Errorf("%d events lie undelivered", queued)
	}
}

func await(t testing.TB, from <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-from:
	case <-time.After(patience):
		t.Fatalf("%s: nothing came", what)
	}
}

func TestIterator(t *testing.T) {
	channel := scripted(t, quick())
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	messages := channel.Messages(ctx, "flood")
	flood(t, channel, "flood", 1000)
	n := 0
	for m := range messages {
		var r round
		if err := m.Decode(&r); err != nil || r.I != n {
			t.Fatalf("message %d is %s", n, m.Payload)
		}
		if n++; n == 700 {
			cancel()
		}
	}
	if n != 700 {
		t.Errorf("%d messages", n)
	}
	for range channel.Messages(context.Background(), "a*") {
		t.Error("a pattern that is none")
	}
	// The end of the client ends a loop, too.
	client := channel.Client()
	forever := channel.Messages(context.Background(), "flood")
	go client.Close()
	for range forever {
	}
}

func TestSendWaitsForRoom(t *testing.T) {
	options := quick()
	options.QueueLimit = 2
	options.Overflow = Refuse
	client := connect(t, servers["rust"].url, options)
	channel, err := client.Channel(chat(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := channel.TrySend("message", nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := channel.TrySend("message", nil); !errors.Is(err, ErrQueueFull) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := channel.Send(ctx, "message", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if taken, err := channel.SendVolatile("message", nil); taken || err != nil {
		t.Errorf("volatile: %v %v", taken, err)
	}
	sent := make(chan error, 1)
	go func() { sent <- channel.Send(within(t), "message", nil) }()
	if err := channel.Join(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, sent, "the send"); err != nil {
		t.Error(err)
	}
}

func TestDropped(t *testing.T) {
	options := quick()
	options.QueueLimit = 3
	client := connect(t, servers["rust"].url, options)
	channel, err := client.Channel(chat(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	dropped := make(chan *Dropped, 16)
	channel.OnDropped(func(d *Dropped) { dropped <- d })
	for i := range 5 {
		if err := channel.TrySend("message", map[string]int{"i": i}); err != nil {
			t.Fatal(err)
		}
	}
	if err := channel.StartJoin(); err != nil {
		t.Fatal(err)
	}
	for count := 0; count < 2; {
		d := receive(t, dropped, "a report")
		count += d.Count
		if !errors.Is(d.Err, ErrQueueFull) || d.Event != "message" || d.Payload == nil {
			t.Errorf("%+v", d)
		}
	}
}

func TestReconnect(t *testing.T) {
	own, err := startServer("rust", "0")
	if err != nil {
		t.Fatal(err)
	}
	client := connect(t, own.url, quick())
	channel := join(t, client, chat(t), map[string]string{"username": "anna"})
	messages := make(chan *Message, 8)
	states := make(chan StateChange, 256)
	client.OnState(func(change StateChange) { states <- change })
	if _, err := channel.On("message", func(m *Message) { messages <- m }); err != nil {
		t.Fatal(err)
	}
	hanging, err := channel.Request("silent", nil, -1)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	port := own.port()
	own.stop()
	if _, err := hanging.Wait(within(t)); !errors.Is(err, ErrConnectionLost) {
		t.Errorf("request on a lost connection: %v", err)
	}
	for {
		change := receive(t, states, "the loss")
		if change.State == Disconnected {
			if change.Err == nil || !change.WillRetry {
				t.Errorf("%+v", change)
			}
			break
		}
	}
	if err := channel.Send(within(t), "message", map[string]string{"text": "while away"}); err != nil {
		t.Fatal(err)
	}
	again, err := startServer("rust", port)
	if err != nil {
		t.Fatal(err)
	}
	defer again.stop()
	if m := receive(t, messages, "the kept message"); !strings.Contains(string(m.Payload), "while away") {
		t.Errorf("%s", m.Payload)
	}
	for {
		if change := receive(t, states, "the new connection"); change.State == Connected {
			if change.ConnectCount != 2 {
				t.Errorf("%+v", change)
			}
			break
		}
	}
	if err := client.Suspend(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "suspended", func() bool { return client.State() == Disconnected })
	if err := client.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "resumed", func() bool { return channel.State() == Joined })
}

// Each dial asks for a fresh token.
func TestDialHandler(t *testing.T) {
	options := quick()
	var asked atomic.Int32
	options.Params = map[string]string{"token": "stale"}
	options.Dial = func(ctx context.Context, dial *Dial) error {
		if asked.Add(1) == 1 {
			return nil // the stale token: refused
		}
		dial.Params = map[string]string{"token": "secret"}
		return nil
	}
	client := connect(t, servers["rust"].url, options)
	if asked.Load() < 2 {
		t.Errorf("asked %d times", asked.Load())
	}
	join(t, client, chat(t), nil)
}
