// SPDX-License-Identifier: GPL-3.0-or-later

package pondsocket

import (
	"strings"
	"unicode/utf8"
)

// pattern is the library's rule for event names, written again here so that a match costs no call into C:
// "message", "user/:id", "files/*". The table that both are tested with is the same.
type pattern struct {
	text       string
	head, tail []segment
	wildcard   bool
	plain      bool // neither parameter nor wildcard
}

type segment struct {
	text  string
	param bool
}

// route is what a pattern found in a name.
type route struct {
	params, query map[string]string
}

func invalidPattern(problem string) error {
	return &Error{Status: ErrInvalidArgument, Message: "the event pattern is not valid: " + problem}
}

func parsePattern(text string) (*pattern, error) {
	switch {
	case text == "":
		return nil, invalidPattern("it is empty")
	case !utf8.ValidString(text):
		return nil, &Error{Status: ErrInvalidUTF8, Message: "the event pattern is not UTF-8"}
	case strings.Contains(text, "?"):
		return nil, invalidPattern("a query is matched by itself, leave out '?'")
	}
	p := &pattern{text: text, plain: true}
	names := map[string]bool{}
	for _, piece := range strings.Split(text, "/") {
		next := segment{text: piece}
		switch {
		case piece == "*":
			if p.wildcard {
				return nil, invalidPattern("'*' may appear only once")
			}
			p.wildcard, p.plain = true, false
			continue
		case strings.Contains(piece, "*"):
			return nil, invalidPattern("'*' must be a whole segment between slashes")
		case strings.HasPrefix(piece, ":"):
			name := piece[1:]
			if !isIdentifier(name) {
				return nil, invalidPattern("the name behind ':' must be letters, digits and '_', without a leading digit")
			}
			if names[name] {
				return nil, invalidPattern("a parameter's name appears twice")
			}
			names[name], p.plain = true, false
			next = segment{text: name, param: true}
		}
		if p.wildcard {
			p.tail = append(p.tail, next)
		} else {
			p.head = append(p.head, next)
		}
	}
	return p, nil
}

// match reports whether the name matches; the route is nil when there is nothing to tell.
func (p *pattern) match(name string) (*route, bool) {
	path, rest, _ := strings.Cut(name, "?")
	if p.plain {
		if path != p.text {
			return nil, false
		}
	} else if !p.walk(path, nil) {
		return nil, false
	}
	query, _, _ := strings.Cut(rest, "?")
	if p.plain && query == "" {
		return nil, true
	}
	found := &route{params: map[string]string{}, query: map[string]string{}}
	if !p.plain {
		p.walk(path, found.params)
	}
	for _, pair := range strings.Split(query, "&") {
		if pair != "" {
			key, value, _ := strings.Cut(pair, "=")
			found.query[decodeForm(key)] = decodeForm(value)
		}
	}
	return found, true
}

// walk compares the head from the front, the tail from the end; what is left is the wildcard's.
func (p *pattern) walk(path string, params map[string]string) bool {
	left, more := path, true
	for _, next := range p.head {
		if !more {
			return false
		}
		var piece string
		piece, left, more = strings.Cut(left, "/")
		if !next.takes(piece, params) {
			return false
		}
	}
	if !p.wildcard {
		return !more
	}
	for i := len(p.tail) - 1; i >= 0; i-- {
		if !more {
			return false
		}
		piece := left
		if slash := strings.LastIndexByte(left, '/'); slash >= 0 {
			piece, left = left[slash+1:], left[:slash]
		} else {
			left, more = "", false
		}
		if !p.tail[i].takes(piece, params) {
			return false
		}
	}
	if !more || strings.ContainsAny(left, "\n\r\u2028\u2029") {
		return false
	}
	if params != nil {
		params["*"] = singleSlashes(left)
	}
	return true
}

func (s segment) takes(piece string, params map[string]string) bool {
	if !s.param {
		return s.text == piece
	}
	if params != nil {
		params[s.text] = decodeComponent(piece)
	}
	return piece != ""
}

func isIdentifier(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		digit := '0' <= c && c <= '9'
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !letter && (!digit || i == 0) {
			return false
		}
	}
	return name != ""
}

// singleSlashes is a slash and the text, runs of slashes made one.
func singleSlashes(text string) string {
	pieces := strings.FieldsFunc(text, func(r rune) bool { return r == '/' })
	value := "/" + strings.Join(pieces, "/")
	if strings.HasSuffix(text, "/") && len(value) > 1 {
		value += "/"
	}
	return value
}

// unescape reads the %XX at the start of text.
func unescape(text string) (byte, bool) {
	if len(text) < 3 || text[0] != '%' {
		return 0, false
	}
	high, low := hexDigit(text[1]), hexDigit(text[2])
	return byte(high<<4 | low), high >= 0 && low >= 0
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// decodeComponent decodes percent escapes; with a bad one the text stays as it is.
func decodeComponent(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	decoded := make([]byte, 0, len(text))
	for rest := text; rest != ""; {
		if rest[0] != '%' {
			decoded, rest = append(decoded, rest[0]), rest[1:]
			continue
		}
		c, ok := unescape(rest)
		if !ok {
			return text
		}
		decoded, rest = append(decoded, c), rest[3:]
	}
	if !utf8.Valid(decoded) {
		return text
	}
	return string(decoded)
}

// decodeForm decodes a form's key or value: '+' is a space, bad escapes stay.
func decodeForm(text string) string {
	if !strings.ContainsAny(text, "%+") {
		return text
	}
	decoded := make([]byte, 0, len(text))
	for rest := text; rest != ""; {
		if c, ok := unescape(rest); ok {
			decoded, rest = append(decoded, c), rest[3:]
			continue
		}
		c := rest[0]
		if c == '+' {
			c = ' '
		}
		decoded, rest = append(decoded, c), rest[1:]
	}
	return strings.ToValidUTF8(string(decoded), "\uFFFD")
}
