// SPDX-License-Identifier: GPL-3.0-or-later

package pondsocket

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

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
	await(t, closed, "the close")
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
