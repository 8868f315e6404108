// SPDX-License-Identifier: GPL-3.0-or-later

package pondsocket_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"pondsocket"
)

// serverURL is where the tests' chat server listens.
func serverURL() string { return os.Getenv("POND_EXAMPLE_URL") }

func joined(ctx context.Context, name string) (*pondsocket.Client, *pondsocket.Channel) {
	client, err := pondsocket.New(serverURL(), &pondsocket.Options{Params: map[string]string{"token": "secret"}})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Connect(ctx); err != nil {
		log.Fatal(err)
	}
	channel, err := client.Channel(name, map[string]any{"username": "anna", "presence": false})
	if err != nil {
		log.Fatal(err)
	}
	if err := channel.Join(ctx); err != nil {
		log.Fatal(err)
	}
	return client, channel
}

func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client, err := pondsocket.New(serverURL(), &pondsocket.Options{Params: map[string]string{"token": "secret"}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if err := client.Connect(ctx); err != nil {
		log.Fatal(err)
	}
	channel, err := client.Channel("/chat/example", map[string]string{"username": "anna"})
	if err != nil {
		log.Fatal(err)
	}
	if err := channel.Join(ctx); err != nil {
		log.Fatal(err)
	}
	reply, err := channel.Call(ctx, "ping", map[string]int{"n": 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(channel.State(), reply.Event)
	// Output: JOINED pong
}

func ExampleChannel_On() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client, channel := joined(ctx, "/chat/example-on")
	defer client.Close()
	done := make(chan struct{})
	channel.On("message", func(m *pondsocket.Message) {
		var said struct{ From, Text string }
		if err := m.Decode(&said); err != nil {
			log.Print(err)
		}
		fmt.Printf("%s: %s\n", said.From, said.Text)
		close(done)
	})
	if err := channel.Send(ctx, "message", map[string]string{"text": "hello"}); err != nil {
		log.Fatal(err)
	}
	<-done
	// Output: anna: hello
}

func ExampleChannel_Messages() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client, channel := joined(ctx, "/chat/example-messages")
	defer client.Close()
	messages := channel.Messages(ctx, "message")
	for n := range 3 {
		if err := channel.Send(ctx, "message", map[string]int{"n": n}); err != nil {
			log.Fatal(err)
		}
	}
	sum, count := 0, 0
	for m := range messages {
		var said struct{ N int }
		if err := m.Decode(&said); err != nil {
			log.Fatal(err)
		}
		sum += said.N
		if count++; count == 3 {
			break
		}
	}
	fmt.Println(count, "messages, sum", sum)
	// Output: 3 messages, sum 3
}

func ExampleChannel_Call() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client, channel := joined(ctx, "/chat/example-call")
	defer client.Close()

	_, err := channel.Call(ctx, "no-such-event", nil)
	var failed *pondsocket.Error
	if errors.As(err, &failed) {
		fmt.Println(failed.Status, failed.Code)
	}
	short, cancelShort := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancelShort()
	_, err = channel.Call(short, "silent", nil)
	fmt.Println(errors.Is(err, pondsocket.ErrTimeout), errors.Is(err, context.DeadlineExceeded))
	// Output:
	// POND_ERROR_SERVER NOT_FOUND
	// true true
}
