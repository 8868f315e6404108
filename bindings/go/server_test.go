// SPDX-License-Identifier: GPL-3.0-or-later

package pondsocket

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const patience = 20 * time.Second

// server is a process that the tests started.
type server struct {
	url   string
	cmd   *exec.Cmd
	stdin interface{ Close() error }
}

// startServer starts the test server, or the Python one, on a port (0 = a free one).
func startServer(kind string, port string) (*server, error) {
	program := os.Getenv("POND_TEST_SERVER")
	if kind == "python" {
		program = filepath.Join("..", "..", "tests", "interop", "python", "run.sh")
	}
	arguments := []string{"--port", port, "--exit-on-stdin-eof"}
	if kind == "rust" {
		arguments = append(arguments, "--quiet")
	}
	s := &server{cmd: exec.Command(program, arguments...)}
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	s.stdin = stdin
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "listening "); ok {
			s.url = url
			return s, nil
		}
	}
	s.stop()
	return nil, fmt.Errorf("%s did not listen", program)
}

func (s *server) stop() {
	s.stdin.Close()
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func (s *server) port() string {
	rest := s.url[strings.LastIndex(s.url, ":")+1:]
	port, _, _ := strings.Cut(rest, "/")
	return port
}

// servers are shared by the tests; one that a test kills is its own.
var servers = map[string]*server{}

func TestMain(m *testing.M) {
	if os.Getenv("POND_TEST_SERVER") == "" {
		fmt.Println("POND_TEST_SERVER names no test server: make bindings-go builds one and sets it")
		os.Exit(1)
	}
	for _, kind := range []string{"rust", "python"} {
		s, err := startServer(kind, "0")
		if err != nil {
			fmt.Printf("NOT RUN against the %s server: %v\n", kind, err)
			if kind == "rust" || os.Getenv("CI") == "true" {
				os.Exit(1)
			}
			continue
		}
		servers[kind] = s
		if kind == "rust" {
			os.Setenv("POND_EXAMPLE_URL", s.url)
		}
	}
	code := m.Run()
	for _, s := range servers {
		s.stop()
	}
	os.Exit(code)
}

// everyServer runs a test against all of them.
func everyServer(t *testing.T, test func(t *testing.T, kind, url string)) {
	for _, kind := range []string{"rust", "python"} {
		t.Run(kind, func(t *testing.T) {
			s := servers[kind]
			if s == nil {
				t.Skipf("the %s server could not be started", kind)
			}
			test(t, kind, s.url)
		})
	}
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// quick is for clients of tests: they retry fast.
func quick() *Options {
	return &Options{
		Params: map[string]any{"token": "secret"}, BackoffBase: 50 * time.Millisecond, BackoffMax: 200 * time.Millisecond,
	}
}

func connect(t testing.TB, url string, options *Options) *Client {
	t.Helper()
	client, err := New(url, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if err := client.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	return client
}

func join(t testing.TB, client *Client, name string, params any) *Channel {
	t.Helper()
	channel, err := client.Channel(name, params)
	if err != nil {
		t.Fatal(err)
	}
	if err := channel.Join(within(t)); err != nil {
		t.Fatal(err)
	}
	return channel
}

// chat names a channel of the test's own.
func chat(t testing.TB) string {
	return "/chat/" + strings.NewReplacer("/", "-", "#", "-").Replace(t.Name())
}

// receive takes one value within the deadline.
func receive[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	select {
	case value, ok := <-from:
		if !ok {
			t.Fatalf("%s: the stream has ended", what)
		}
		return value
	case <-time.After(patience):
		t.Fatalf("%s: nothing came", what)
	}
	panic("not reached")
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
