// SPDX-License-Identifier: GPL-3.0-or-later

package pondsocket

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// script makes the test server send one frame many times, in order; `$I` in the payload is the round.
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
	receive2(t, started, "the first message")
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

func receive2(t testing.TB, from <-chan struct{}, what string) {
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

func TestCloseWhileCallsArePending(t *testing.T) {
	everyServer(t, func(t *testing.T, kind, url string) {
		client := connect(t, url, quick())
		channel := join(t, client, chat(t), nil)
		other := join(t, client, chat(t)+"-other", nil)
		const count = 100
		ended := make(chan error, 2*count)
		for range count {
			go func() {
				_, err := channel.Call(within(t), "silent", nil)
				ended <- err
			}()
			go func() {
				_, err := other.Call(within(t), "silent", nil)
				ended <- err
			}()
		}
		requests := func(n int) func() bool {
			return func() bool {
				client.core.mu.Lock()
				defer client.core.mu.Unlock()
				return len(client.core.requests) == n
			}
		}
		eventually(t, "all have asked", requests(2*count))
		stream, err := other.Subscribe("*", 1)
		if err != nil {
			t.Fatal(err)
		}
		channel.Close() // ends its own
		for range count {
			if err := receive(t, ended, "a call"); !errors.Is(err, ErrClosed) {
				t.Errorf("%v", err)
			}
		}
		if _, err := channel.Call(within(t), "silent", nil); !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
		waits := make(chan error, 1)
		third, err := client.Channel(chat(t)+"-third", map[string]string{"mode": "silent"})
		if err != nil {
			t.Fatal(err)
		}
		go func() { waits <- third.Join(within(t)) }()
		client.Close()
		client.Close()
		for range count {
			if err := receive(t, ended, "a call"); !errors.Is(err, ErrClosed) {
				t.Errorf("%v", err)
			}
		}
		if err := receive(t, waits, "the join"); !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
		if _, open := <-stream.C; open {
			t.Error("the stream is open")
		}
		for what, err := range map[string]error{
			"send": other.TrySend("x", nil), "connect": client.Start(), "join": other.StartJoin(), "leave": other.Leave(),
			"flush": client.Flush(within(t)), "again": other.Close(), "wait": client.Connect(within(t)),
		} {
			if what != "again" && !errors.Is(err, ErrClosed) || what == "again" && err != nil {
				t.Errorf("%s on a closed client: %v", what, err)
			}
		}
		if client.State() != Disconnected || other.State() != Closed {
			t.Errorf("%v %v", client.State(), other.State())
		}
		if sub := other.OnMessage(func(*Message) {}); !sub.ended.Load() {
			t.Error("a handler on a closed client")
		}
	})
}

func TestCloseInsideHandlers(t *testing.T) {
	channel := scripted(t, quick())
	var calls atomic.Int32
	closed := make(chan struct{})
	if _, err := channel.On("flood", func(*Message) {
		if calls.Add(1) == 10 {
			channel.Client().Close()
			close(closed)
		}
	}); err != nil {
		t.Fatal(err)
	}
	flood(t, channel, "flood", 1000)
	receive2(t, closed, "the close")
	if n := calls.Load(); n != 10 {
		t.Errorf("%d calls", n)
	}
	second := scripted(t, quick())
	var sub *Subscription
	var once, always atomic.Int32
	sub, err := second.On("flood", func(*Message) {
		once.Add(1)
		sub.Cancel()
	})
	if err != nil {
		t.Fatal(err)
	}
	second.OnMessage(func(*Message) { always.Add(1) })
	flood(t, second, "flood", 100)
	eventually(t, "the other handler", func() bool { return always.Load() == 100 })
	if once.Load() != 1 {
		t.Errorf("cancelled, and called %d times", once.Load())
	}
}

func TestManyGoroutines(t *testing.T) {
	everyServer(t, func(t *testing.T, kind, url string) {
		client := connect(t, url, quick())
		const workers, each = 16, 40
		var received atomic.Int64
		room := join(t, client, chat(t), nil)
		room.OnMessage(func(*Message) { received.Add(1) })
		var all sync.WaitGroup
		for w := range workers {
			all.Add(1)
			go func() {
				defer all.Done()
				own := join(t, client, fmt.Sprintf("%s-%d", chat(t), w%4), nil)
				for i := range each {
					if err := room.Send(within(t), "message", map[string]int{"w": w, "i": i}); err != nil {
						t.Error(err)
					}
					if _, err := own.Call(within(t), "echo", map[string]int{"i": i}); err != nil {
						t.Error(err)
					}
					own.OnMessage(func(*Message) {}).Cancel()
				}
			}()
		}
		all.Wait()
		eventually(t, "every message came", func() bool { return received.Load() == workers*each })
	})
}

// threads counts the threads of this process; -1 where that cannot be told.
func threads() int {
	list, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return -1
	}
	return len(list)
}

func descriptors() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(list)
}

// What a client holds is gone after Close: goroutines, descriptors, threads, and memory of the C side.
func TestNothingLeaks(t *testing.T) {
	if threads() < 0 {
		t.Skip("this system has no /proc to count threads in")
	}
	use := func() {
		channel := scripted(t, quick())
		sub, err := channel.Subscribe("flood", 1)
		if err != nil {
			t.Fatal(err)
		}
		flood(t, channel, "flood", 3000)
		for range 500 {
			receive(t, sub.C, "message")
		}
		r, err := channel.Request("silent", nil, -1)
		if err != nil {
			t.Fatal(err)
		}
		channel.Client().Close() // with messages unread and a request under way
		if _, err := r.Wait(within(t)); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
	}
	settle := func() {
		eventually(t, "the library ends its threads", func() bool { return Shutdown(time.Second) })
		runtime.GC()
	}
	use()
	settle()
	goroutines, open, running := runtime.NumGoroutine(), descriptors(), threads()
	// An undelivered flood is 3000 messages of 300 bytes: 60 leaked ones would be 50 MB.
	before := nativeAfter(t, 30, use)
	after := nativeAfter(t, 60, use)
	t.Logf("memory beside Go's: %d bytes, 60 rounds later %d", before, after)
	if !raceDetector && after-before > 4<<20 {
		t.Errorf("60 rounds took %d more bytes", after-before)
	}
	settle()
	eventually(t, "goroutines, descriptors", func() bool {
		return runtime.NumGoroutine() <= goroutines && descriptors() <= open
	})
	// Go keeps threads for later, but few, however many clients there were.
	if now := threads(); now > running+4 {
		t.Errorf("%d threads, there were %d", now, running)
	}
}

// nativeAfter is the resident memory that is not Go's, after some rounds.
func nativeAfter(t *testing.T, rounds int, use func()) int {
	for range rounds {
		use()
	}
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		t.Fatal(err)
	}
	var own runtime.MemStats
	runtime.ReadMemStats(&own)
	return resident*os.Getpagesize() - int(own.Sys-own.HeapReleased)
}

// Many idle clients cost no thread each.
func TestClientsNeedNoThreads(t *testing.T) {
	if threads() < 0 {
		t.Skip("this system has no /proc to count threads in")
	}
	first := scripted(t, quick())
	_ = first
	before := threads()
	var all []*Channel
	for range 50 {
		all = append(all, scripted(t, quick()))
	}
	if now := threads(); now > before+12 {
		t.Errorf("%d clients took %d threads", len(all), now-before)
	}
}

// A client that nobody holds any more closes itself, unless its handlers want to be called.
func TestForgottenClients(t *testing.T) {
	handlers := make(chan StateChange, 64)
	kept := func() *core {
		client, err := New("ws://127.0.0.1:1/", quick())
		if err != nil {
			t.Fatal(err)
		}
		client.OnState(func(change StateChange) { handlers <- change })
		client.Start()
		return client.core
	}()
	forgotten := func() *core {
		client, err := New("ws://127.0.0.1:1/", quick())
		if err != nil {
			t.Fatal(err)
		}
		sub := client.OnState(func(StateChange) {})
		client.Start()
		sub.Cancel()
		return client.core
	}()
	eventually(t, "the forgotten client closes itself", func() bool {
		runtime.GC()
		return forgotten.closed()
	})
	receive(t, handlers, "a state")
	if kept.closed() {
		t.Error("a client with handlers was closed")
	}
	kept.close()
}
