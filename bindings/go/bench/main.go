// SPDX-License-Identifier: GPL-3.0-or-later

// Bench is a contestant of bench/: `CLIENT MODE URL N KIND CHANNELS`, modes and result as bench/README.md says. CLIENT is
// "binding", the package above, or "plain", the usual thing to write by hand: gorilla/websocket and encoding/json for
// the envelope, without reconnects, presence lists or bounds. With "-parsed" each payload is unmarshalled, without it
// only the number at its start is looked at.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// contestant is one connection with its channels joined.
type contestant interface {
	// listen has each message and each presence's changed one handed to fn, on one goroutine.
	listen(fn func(event string, payload json.RawMessage))
	send(event string, payload any) error
	ask(event string, payload any) (json.RawMessage, error)
}

type numbered struct {
	N string `json:"n"`
	T string `json:"t,omitempty"`
	X string `json:"x,omitempty"`
}

func number(n int) string { return fmt.Sprintf("%08d", n) }

// look finds the number of a payload.
func look(payload json.RawMessage, parsed bool) int {
	var digits string
	if parsed {
		// All of it, as a program does that uses it.
		var value map[string]any
		if json.Unmarshal(payload, &value) != nil {
			return -1
		}
		digits, _ = value["n"].(string)
	} else if at := bytes.Index(payload, []byte(`"n":"`)); at >= 0 && len(payload) >= at+13 {
		digits = string(payload[at+5 : at+13])
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		return -1
	}
	return n
}

func usage() (time.Duration, int64) {
	var r syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano()+r.Stime.Nano()) * time.Nanosecond, r.Maxrss
}

func residentKib() int {
	text, err := os.ReadFile("/proc/self/statm")
	check(err)
	var size, resident int
	_, err = fmt.Sscan(string(text), &size, &resident)
	check(err)
	return resident * os.Getpagesize() / 1024
}

type result struct {
	Received int   `json:"received"`
	InOrder  bool  `json:"in_order"`
	CPU      int64 `json:"cpu_us"`
	Wall     int64 `json:"wall_us"`
	MaxRSS   int64 `json:"max_rss_kib"`
}

func main() {
	if len(os.Args) != 7 {
		log.Fatal("bench CLIENT MODE URL N KIND CHANNELS")
	}
	client, parsed := strings.CutSuffix(os.Args[1], "-parsed")
	mode, url := os.Args[2], os.Args[3]
	count, err := strconv.Atoi(os.Args[4])
	check(err)
	channels, err := strconv.Atoi(os.Args[6])
	check(err)
	names := make([]string, channels)
	for i := range names {
		names[i] = fmt.Sprintf("/room/%02d", i)
	}
	open := map[string]func(string, []string) (contestant, error){"binding": openBinding, "plain": openPlain}[client]
	if open == nil {
		log.Fatal("no such client: ", client)
	}

	if mode == "idle" {
		before := residentKib()
		var kept []contestant
		for range count {
			c, err := open(url, names[:1])
			check(err)
			kept = append(kept, c)
		}
		fmt.Printf("{\"connections\":%d,\"rss_kib\":%d}\n", len(kept), residentKib()-before)
		return
	}
	c, err := open(url, names)
	check(err)
	if mode == "start" {
		started, err := strconv.ParseInt(os.Getenv("BENCH_STARTED_NS"), 10, 64)
		check(err)
		fmt.Printf("{\"joined_us\":%d}\n", (monotonic()-started)/1000)
		return
	}

	var r result
	r.InOrder = true
	done := make(chan struct{})
	var once sync.Once
	finish := func() { once.Do(func() { close(done) }) }
	c.listen(func(event string, payload json.RawMessage) {
		switch {
		case event == "end":
			finish()
		case event == "done":
			var told struct {
				Received int
				InOrder  bool `json:"in_order"`
			}
			check(json.Unmarshal(payload, &told))
			r.Received, r.InOrder = told.Received, told.InOrder
			finish()
		case mode == "flood" && r.Received < count:
			r.InOrder = r.InOrder && look(payload, parsed) == r.Received
			if r.Received++; r.Received == count {
				finish()
			}
		}
	})
	cpu, _ := usage()
	wall := time.Now()
	switch mode {
	case "flood":
		check(c.send("go", struct{}{}))
	case "ask1", "ask64":
		r.Received, r.InOrder = asks(c, count, map[string]int{"ask1": 1, "ask64": 64}[mode])
		finish()
	case "put", "put4":
		puts(c, count, map[string]int{"put": 1, "put4": 4}[mode])
	default:
		log.Fatal("no such mode: ", mode)
	}
	<-done
	r.Wall = time.Since(wall).Microseconds()
	end, rss := usage()
	r.CPU, r.MaxRSS = (end - cpu).Microseconds(), rss
	line, err := json.Marshal(r)
	check(err)
	fmt.Printf("%s\n", line)
}

// asks keeps `flying` requests under way.
func asks(c contestant, count, flying int) (int, bool) {
	var all sync.WaitGroup
	var mu sync.Mutex
	next, received, right := 0, 0, true
	for range flying {
		all.Add(1)
		go func() {
			defer all.Done()
			for {
				mu.Lock()
				n := next
				next++
				mu.Unlock()
				if n >= count {
					return
				}
				reply, err := c.ask("ask", numbered{N: number(n)})
				check(err)
				mu.Lock()
				received++
				right = right && look(reply, false) == n
				mu.Unlock()
			}
		}()
	}
	all.Wait()
	return received, right
}

func puts(c contestant, count, threads int) {
	var all sync.WaitGroup
	filler := strings.Repeat("a", 69)
	for t := range threads {
		all.Add(1)
		go func() {
			defer all.Done()
			share := count / threads
			if t < count%threads {
				share++
			}
			for n := range share {
				check(c.send("put", numbered{number(n), strconv.Itoa(t), filler}))
			}
		}()
	}
	all.Wait()
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
