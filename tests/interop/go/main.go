// The interop application in Go, on a stand-in for the Go server package.
//
// The official package (github.com/eleven-am/pondsocket/go/pondsocket) could not be had from the module proxy, so nothing
// here is evidence of how it behaves. This program speaks, over the WebSocket library that the package uses too, what
// reading says of that package: frames, errors, the concurrency that lets frames overtake each other, several objects in
// one frame, TCP drops instead of close frames, and members that a graceful close leaves behind.
//
// What reading says that it cannot do, and this program does not either:
//   - Presence reaches the users of other nodes only, and this is one node: no PRESENCE frame is ever sent.
//   - Declines of an event: handlers can only fail, which is answered with INTERNAL_ERROR, as for `throw`.
//   - `reply-first`: a reply before the accept is refused, so the join is accepted without it.
//   - `twice`: the second reply is refused.
//   - `slow` and slow joins beyond one second: the handler's time is up. The event gets no reply, the join INTERNAL_ERROR.
//   - `close-channel` drops the members' whole connections, and the channel cannot be joined again.
//   - `evict`: the victim's frame is usually lost, because its membership ends before the frame is sent.
//   - `--redis`: the stand-in has no backend.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const endpointPath = "/api/socket"

func main() {
	port := flag.Int("port", 0, "port to listen on; 0 takes a free one")
	exitOnEOF := flag.Bool("exit-on-stdin-eof", false, "end when stdin ends")
	redis := flag.String("redis", "", "not supported")
	flag.Parse()
	if *redis != "" {
		fmt.Fprintln(os.Stderr, "--redis: this stand-in for the Go package has no Redis backend")
		os.Exit(2)
	}
	if err := serve(*port, *exitOnEOF); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(port int, exitOnEOF bool) error {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}

	// Nothing says goodbye: as with the package, the connections end with the process.
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, os.Interrupt)
	go func() {
		<-end
		os.Exit(0)
	}()
	if exitOnEOF {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
	}

	server := &http.Server{Handler: newApplication(), ReadHeaderTimeout: 10 * time.Second}
	fmt.Printf("listening ws://%s%s\n", listener.Addr(), endpointPath)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
