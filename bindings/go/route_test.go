// SPDX-License-Identifier: GPL-3.0-or-later

package pondsocket

import (
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"
)

type routeTable struct {
	Names    []string
	Patterns []struct {
		Pattern string
		Invalid bool
		Results []struct {
			Name   string
			Throws string
			Params [][2]string
			Query  [][2]string
		}
	}
}

func pairs(list [][2]string) map[string]string {
	found := map[string]string{}
	for _, pair := range list {
		found[pair[0]] = pair[1]
	}
	return found
}

// The library's own table: both must match the same names and find the same in them.
func TestPatternsAgreeWithTheLibrary(t *testing.T) {
	text, err := os.ReadFile("../../tests/data/event-routes.json")
	if err != nil {
		t.Fatal(err)
	}
	var table routeTable
	if err := json.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	refused, matched, threw := 0, 0, 0
	for _, entry := range table.Patterns {
		p, err := parsePattern(entry.Pattern)
		if entry.Invalid {
			refused++
			// A ':' inside a segment is an ordinary character in the library.
			if inner := entry.Pattern == "foo:bar" || entry.Pattern == "user:created"; inner != (err == nil) {
				t.Errorf("pattern %q: %v", entry.Pattern, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("pattern %q: %v", entry.Pattern, err)
		}
		for _, name := range table.Names {
			found, ok := p.match(name)
			want := -1
			for i, result := range entry.Results {
				if result.Name == name {
					want = i
				}
			}
			if ok != (want >= 0) {
				t.Errorf("pattern %q, name %q: %v", entry.Pattern, name, ok)
				continue
			}
			if !ok {
				continue
			}
			result := entry.Results[want]
			if result.Throws != "" {
				threw++
				continue
			}
			matched++
			if found == nil {
				found = &route{}
			}
			if !maps.Equal(found.params, pairs(result.Params)) || !maps.Equal(found.query, pairs(result.Query)) {
				t.Errorf("pattern %q, name %q: %v", entry.Pattern, name, found)
			}
		}
	}
	if refused != 13 || matched != 287 || threw != 16 {
		t.Errorf("the table had %d refused, %d matched, %d throwing", refused, matched, threw)
	}
}

func TestBadEscapesKeepTheRawText(t *testing.T) {
	p, err := parsePattern("user/:id")
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range []string{"%", "%4", "%zz", "%E9", "a%C3%28", "%é"} {
		if found, ok := p.match("user/" + raw); !ok || found.params["id"] != raw {
			t.Errorf("%q: %v %v", raw, found, ok)
		}
	}
}

func TestHostileNamesTakeLinearTime(t *testing.T) {
	p, _ := parsePattern("*")
	if found, ok := p.match(strings.Repeat("/", 1_000_000)); !ok || found.params["*"] != "/" {
		t.Error("a million slashes")
	}
}
