package main

import (
	"net/url"
	"strings"
)

// segments splits a path; leading, trailing and doubled slashes do not count.
func segments(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// match compares a name, which may have a query, with a pattern of literal and `:name` segments.
func match(pattern, name string) (params map[string]string, query url.Values, ok bool) {
	path, rawQuery, _ := strings.Cut(name, "?")
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, nil, false
	}
	want, have := segments(pattern), segments(path)
	if len(want) != len(have) {
		return nil, nil, false
	}
	params = map[string]string{}
	for i, segment := range want {
		if parameter, isParameter := strings.CutPrefix(segment, ":"); isParameter {
			// Query rules on purpose: a plus sign becomes a space. What cannot be decoded stays as it is.
			if decoded, err := url.QueryUnescape(have[i]); err == nil {
				params[parameter] = decoded
			} else {
				params[parameter] = have[i]
			}
		} else if segment != have[i] {
			return nil, nil, false
		}
	}
	return params, query, true
}
