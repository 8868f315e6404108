// SPDX-License-Identifier: GPL-3.0-or-later

package pondsocket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestTalk(t *testing.T) {
	everyServer(t, func(t *testing.T, kind, url string) {
		client := connect(t, url, quick())
		if client.State() != Connected {
			t.Errorf("state %v", client.State())
		}
		channel, err := client.Channel(chat(t), map[string]string{"username": "anna"})
		if err != nil {
			t.Fatal(err)
		}
		messages := make(chan *Message, 8)
		states := make(chan ChannelStateChange, 8)
		if _, err := channel.On("message", func(m *Message) { messages <- m }); err != nil {
			t.Fatal(err)
		}
		channel.OnState(func(change ChannelStateChange) { states <- change })
		if err := channel.Join(within(t)); err != nil {
			t.Fatal(err)
		}
		for _, want := range []ChannelState{Joining, Joined} {
			if change := receive(t, states, "state"); change.State != want || change.Err != nil {
				t.Errorf("state %v, not %v", change, want)
			}
		}
		type text struct{ Text, From string }
		if err := channel.Send(within(t), "message", text{Text: "hello"}); err != nil {
			t.Fatal(err)
		}
		m := receive(t, messages, "message")
		var said map[string]string
		if err := m.Decode(&said); err != nil || said["Text"] != "hello" || said["from"] != "anna" {
			t.Errorf("message %s %v", m.Payload, err)
		}
		if m.Channel != chat(t) || m.Event != "message" {
			t.Errorf("message %+v", m)
		}
		reply, err := channel.Call(within(t), "ping", json.RawMessage(`{"n": 1}`))
		if err != nil || reply.Event != "pong" {
			t.Fatal(reply, err)
		}
		var pong struct{ N int }
		if err := reply.Decode(&pong); err != nil || pong.N != 1 {
			t.Errorf("pong %s", reply.Payload)
		}
		// Raw bytes go through untouched, and nothing at all is an empty object.
		if reply, err = channel.Call(within(t), "echo", []byte(`{"a":[1, 2,3]}`)); err != nil {
			t.Fatal(err)
		}
		var echo struct{ A []int }
		if err := reply.Decode(&echo); err != nil || len(echo.A) != 3 {
			t.Errorf("echo %s", reply.Payload)
		}
		if reply, err = channel.Call(within(t), "echo", nil); err != nil || string(reply.Payload) != "{}" {
			t.Errorf("echo of nothing: %v %v", reply, err)
		}
		stats, err := client.Stats()
		if err != nil || stats.Connects != 1 || stats.FramesIn < 5 || stats.FramesOut < 4 {
			t.Errorf("stats %+v %v", stats, err)
		}
		if err := client.Flush(within(t)); err != nil {
			t.Error(err)
		}
		if err := channel.Leave(); err != nil {
			t.Fatal(err)
		}
		if change := receive(t, states, "leaving"); change.State != Closed {
			t.Errorf("state %v", change)
		}
		if err := channel.TrySend("message", nil); !errors.Is(err, ErrClosed) {
			t.Errorf("send after leave: %v", err)
		}
		if err := channel.Join(within(t)); err != nil {
			t.Errorf("join again: %v", err)
		}
		if err := client.Disconnect(within(t)); err != nil {
			t.Error(err)
		}
		if client.State() != Disconnected || channel.State() != Closed {
			t.Errorf("after Disconnect: %v %v", client.State(), channel.State())
		}
	})
}

func TestBadToken(t *testing.T) {
	everyServer(t, func(t *testing.T, kind, url string) {
		options := quick()
		options.Params = map[string]string{"token": "wrong"}
		options.MaxReconnects = -1
		client, err := New(url, options)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		failures := make(chan ClientError, 8)
		client.OnError(func(e ClientError) { failures <- e })
		err = client.Connect(within(t))
		var failed *Error
		if !errors.As(err, &failed) {
			t.Fatalf("connect with a bad token: %v", err)
		}
		want := map[string]Status{"rust": ErrRejected, "python": ErrHTTP}[kind]
		if !errors.Is(err, want) {
			t.Errorf("%v is not %v", err, want)
		}
		if kind == "python" && failed.HTTPStatus != 403 {
			t.Errorf("HTTP status %d", failed.HTTPStatus)
		}
		if e := receive(t, failures, "error"); !errors.Is(e.Err, want) || e.WillRetry {
			t.Errorf("error event %+v", e)
		}
	})
}

func TestNobodyListens(t *testing.T) {
	options := quick()
	options.MaxReconnects = -1
	client, err := New("ws://127.0.0.1:1/api/socket", options)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Connect(within(t)); !errors.Is(err, ErrConnect) {
		t.Errorf("connect: %v", err)
	}
	// With retries the context ends the wait and the error tells the trouble.
	patient, err := New("ws://127.0.0.1:1/api/socket", quick())
	if err != nil {
		t.Fatal(err)
	}
	defer patient.Close()
	ctx, cancel := context.WithCancel(context.Background())
	down := make(chan StateChange, 64)
	patient.OnState(func(change StateChange) {
		if change.State == Disconnected {
			down <- change
		}
	})
	go func() {
		<-down
		cancel()
	}()
	if err := patient.Connect(ctx); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrCancelled) {
		t.Errorf("connect: %v", err)
	}
}

func TestWrongArguments(t *testing.T) {
	if _, err := New("not a url", nil); !errors.Is(err, ErrInvalidURL) {
		t.Errorf("%v", err)
	}
	if _, err := New("ws://x/\x00y", nil); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("%v", err)
	}
	if _, err := New("ws://localhost/", &Options{Params: []int{1}}); !errors.Is(err, ErrInvalidJSON) {
		t.Errorf("%v", err)
	}
	for name, options := range map[string]*Options{
		"queue":   {QueueLimit: -1},
		"timeout": {ConnectTimeout: -1},
		"header":  {Header: map[string]string{"a b": "c"}},
		"backoff": {BackoffBase: time.Minute, BackoffMax: time.Second},
		"cert":    {ClientCert: "x"},
		"file":    {CAFiles: []string{"/no/such/file"}},
	} {
		if client, err := New("ws://localhost/", options); err == nil {
			client.Close()
			t.Errorf("option %s was taken", name)
		} else if !errors.Is(err, ErrInvalidArgument) && !errors.Is(err, ErrTLS) {
			t.Errorf("option %s: %v", name, err)
		}
	}
	all := &Options{
		Params: struct{ Token string }{"x"}, Header: map[string]string{"X-Test": "1"}, ConnectTimeout: time.Second,
		JoinTimeout: time.Second, ResponseTimeout: time.Second, BackoffBase: time.Second, BackoffMax: time.Minute,
		MaxReconnects: 3, RetryRefused: true, PingInterval: -1, PongTimeout: time.Second, LegacyGrace: -1, QueueLimit: 7,
		Overflow: Refuse, OutboundLimit: 1 << 20, InboundEvents: 100, InboundBytes: 1 << 20, MaxMessageIn: 1 << 20,
		MaxMessageOut: 1 << 16, InsecureSkipVerify: true, Dial: func(context.Context, *Dial) error { return nil },
	}
	client, err := New("ws://localhost/", all)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.SetHeader("X-Test", "2"); err != nil {
		t.Error(err)
	}
	if err := client.RemoveHeader("X-Test"); err != nil {
		t.Error(err)
	}
	if err := client.SetParams("no object"); !errors.Is(err, ErrInvalidJSON) {
		t.Errorf("%v", err)
	}
	if _, err := client.Channel("", nil); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("%v", err)
	}
	channel, err := client.Channel("/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := channel.On("a*", func(*Message) {}); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("%v", err)
	}
	if err := channel.TrySend("x", []int{1}); !errors.Is(err, ErrInvalidJSON) {
		t.Errorf("%v", err)
	}
	if err := channel.TrySend("", nil); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("%v", err)
	}
	var unsupported *json.UnsupportedTypeError
	if err := channel.TrySend("x", make(chan int)); !errors.As(err, &unsupported) {
		t.Errorf("%v", err)
	}
}

func TestDeclined(t *testing.T) {
	// The Rust server says nothing to a declined joiner; its script endpoint does, in each dialect.
	script := "ws://127.0.0.1:" + servers["rust"].port() + "/script"
	for _, dialect := range []string{"js", "python", "go", "notfound"} {
		t.Run(dialect, func(t *testing.T) {
			client := connect(t, script, quick())
			channel, err := client.Channel("/any", map[string]any{
				"mode": "decline", "dialect": dialect, "code": 418, "message": "teapot",
			})
			if err != nil {
				t.Fatal(err)
			}
			errs := make(chan error, 4)
			channel.OnError(func(err error) { errs <- err })
			err = channel.Join(within(t))
			var failed *Error
			if !errors.Is(err, ErrDeclined) || !errors.As(err, &failed) {
				t.Fatalf("join: %v", err)
			}
			if dialect == "js" && (failed.HTTPStatus != 418 || failed.Message != "teapot") {
				t.Errorf("%+v", failed)
			}
			if err := receive(t, errs, "error"); !errors.Is(err, ErrDeclined) {
				t.Errorf("error event %v", err)
			}
			if channel.State() != Declined {
				t.Errorf("state %v", channel.State())
			}
			if err := channel.SetJoinParams(map[string]string{"mode": "accept"}); err != nil {
				t.Fatal(err)
			}
			if err := channel.Join(within(t)); err != nil {
				t.Errorf("join after a decline: %v", err)
			}
		})
	}
	t.Run("python-server", func(t *testing.T) {
		if servers["python"] == nil {
			t.Skip("the python server could not be started")
		}
		client := connect(t, servers["python"].url, quick())
		channel, err := client.Channel("/chat/d", map[string]any{"mode": "decline", "code": 403, "message": "No entry"})
		if err != nil {
			t.Fatal(err)
		}
		if err := channel.Join(within(t)); !errors.Is(err, ErrDeclined) {
			t.Errorf("join: %v", err)
		}
	})
}

func TestSilentJoinTimesOut(t *testing.T) {
	options := quick()
	options.JoinTimeout = 100 * time.Millisecond
	client := connect(t, servers["rust"].url, options)
	channel, err := client.Channel(chat(t), map[string]string{"mode": "silent"})
	if err != nil {
		t.Fatal(err)
	}
	if err := channel.Join(within(t)); !errors.Is(err, ErrDeclined) && !errors.Is(err, ErrTimeout) {
		t.Errorf("join: %v", err)
	}
	// A context that ends leaves the join going.
	late, err := client.Channel(chat(t)+"2", map[string]any{"mode": "slow", "delayMs": 60})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := late.Join(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrTimeout) {
		t.Errorf("join: %v", err)
	}
	eventually(t, "the join went on", func() bool { return late.State() == Joined })
}

func TestRequests(t *testing.T) {
	everyServer(t, func(t *testing.T, kind, url string) {
		client := connect(t, url, quick())
		channel := join(t, client, chat(t), nil)

		// Each reply finds its request, however many there are.
		var all sync.WaitGroup
		for i := range 50 {
			all.Add(1)
			go func() {
				defer all.Done()
				reply, err := channel.Call(within(t), "echo", map[string]int{"i": i})
				if err != nil {
					t.Error(err)
					return
				}
				var echo struct{ I int }
				if err := reply.Decode(&echo); err != nil || echo.I != i {
					t.Errorf("%d: %s", i, reply.Payload)
				}
			}()
		}
		all.Wait()

		short, cancel := context.WithTimeout(context.Background(), 80*time.Millisecond)
		defer cancel()
		if _, err := channel.Call(short, "silent", nil); !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("deadline: %v", err)
		}
		r, err := channel.Request("silent", nil, 80*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Wait(within(t)); !errors.Is(err, ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("timeout: %v", err)
		}
		if r, err = channel.Request("silent", nil, -1); err != nil {
			t.Fatal(err)
		}
		r.Cancel()
		r.Cancel()
		if _, err := r.Wait(within(t)); !errors.Is(err, ErrCancelled) {
			t.Errorf("cancelled: %v", err)
		}
		select {
		case <-r.Done():
		default:
			t.Error("not done")
		}
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := channel.Call(gone, "echo", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("context that had ended: %v", err)
		}
		if kind == "rust" {
			_, err := channel.Call(within(t), "nobody-handles-this", nil)
			var failed *Error
			if !errors.Is(err, ErrServer) || !errors.As(err, &failed) || failed.Code == "" {
				t.Errorf("server error: %v", err)
			}
		}
		client.core.mu.Lock()
		left := len(client.core.requests)
		client.core.mu.Unlock()
		if left != 0 || client.core.waiting.Load() != 0 {
			t.Errorf("%d requests are left, %d waits", left, client.core.waiting.Load())
		}
	})
}

// A cancelled context ends the request in the library, which then takes the late answer for an ordinary message.
func TestContextCancelsInTheLibrary(t *testing.T) {
	client := connect(t, servers["rust"].url, quick())
	channel := join(t, client, chat(t), nil)
	late := make(chan *Message, 1)
	if _, err := channel.On("slow", func(m *Message) { late <- m }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := channel.Call(ctx, "slow", map[string]int{"ms": 300})
		ended <- err
	}()
	eventually(t, "the request is on its way", func() bool {
		stats, err := client.Stats()
		return err == nil && stats.OutboundMessages == 0 && stats.FramesOut >= 2
	})
	cancel()
	if err := receive(t, ended, "the call"); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrCancelled) {
		t.Errorf("call: %v", err)
	}
	if m := receive(t, late, "the late answer"); m.RequestID == "" {
		t.Errorf("late answer %+v", m)
	}
}

func TestPresence(t *testing.T) {
	everyServer(t, func(t *testing.T, kind, url string) {
		type user struct{ ID, Status string }
		anna := connect(t, url, quick())
		channel, err := anna.Channel(chat(t), map[string]string{"username": "anna"})
		if err != nil {
			t.Fatal(err)
		}
		news := make(chan *Presence, 16)
		channel.OnPresence(func(p *Presence) { news <- p })
		if err := channel.Join(within(t)); err != nil {
			t.Fatal(err)
		}
		bert := connect(t, url, quick())
		other := join(t, bert, chat(t), map[string]string{"username": "bert"})
		expect := func(kind PresenceKind, id string, there int) {
			t.Helper()
			for {
				p := receive(t, news, fmt.Sprint("presence of ", id))
				var changed user
				var users []user
				if err := p.DecodeChanged(&changed); err != nil {
					t.Fatal(err)
				}
				if err := p.DecodeUsers(&users); err != nil {
					t.Fatal(err)
				}
				if p.Kind == kind && changed.ID == id && len(users) == there {
					return
				}
			}
		}
		expect(PresenceJoin, "bert", 2)
		var users []user
		if err := channel.Users(&users); err != nil || len(users) != 2 {
			t.Errorf("users %v %v", users, err)
		}
		if err := other.Send(within(t), "status", map[string]string{"status": "away"}); err != nil {
			t.Fatal(err)
		}
		expect(PresenceUpdate, "bert", 2)
		if err := other.Leave(); err != nil {
			t.Fatal(err)
		}
		expect(PresenceLeave, "bert", 1)
	})
}

func TestEvicted(t *testing.T) {
	everyServer(t, func(t *testing.T, kind, url string) {
		client := connect(t, url, quick())
		channel := join(t, client, chat(t), map[string]string{"username": "anna"})
		states := make(chan ChannelStateChange, 8)
		channel.OnState(func(change ChannelStateChange) { states <- change })
		if err := channel.Send(within(t), "evict", map[string]string{"username": "anna", "reason": "enough"}); err != nil {
			t.Fatal(err)
		}
		for {
			change := receive(t, states, "eviction")
			if change.State == Closed {
				if !errors.Is(change.Err, ErrEvicted) {
					t.Errorf("%+v", change)
				}
				return
			}
		}
	})
}

func TestPatterns(t *testing.T) {
	client := connect(t, "ws://127.0.0.1:"+servers["rust"].port()+"/script", quick())
	channel := join(t, client, "/any", nil)
	got := make(chan *Message, 8)
	for _, p := range []string{"user/:id", "*", "other"} {
		if _, err := channel.On(p, func(m *Message) { got <- m }); err != nil {
			t.Fatal(err)
		}
	}
	frame := `{"action":"BROADCAST","event":"user/a%20b?x=1","channelName":"/any","requestId":"","payload":{"n":1}}`
	if err := channel.Send(within(t), "raw", map[string]any{"frames": []string{frame}, "count": 1}); err != nil {
		t.Fatal(err)
	}
	first, second := receive(t, got, "pattern"), receive(t, got, "wildcard")
	if first.Param("id") != "a b" || first.Query("x") != "1" || first.Param("no") != "" {
		t.Errorf("%+v", first)
	}
	if second.Param("*") != "/user/a%20b" || second.Param("id") != "" {
		t.Errorf("%+v", second)
	}
}
