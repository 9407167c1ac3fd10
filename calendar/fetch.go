package calendar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
)

// version tells whether a calendar has changed since it was read.
type version struct {
	etag, modified string // of a URL, as the server wrote them
	file           fileStamp
}

// fileStamp is zero where there is no file.
type fileStamp struct {
	modified time.Time
	size     int64
}

// fetched is what a reading brought.
type fetched struct {
	raw       []byte
	version   version
	unchanged bool // it is what was read before
}

var scheme = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+.-]+):`)

// schemeOf is `http` for http://…, and nothing for the path of a file.
func schemeOf(ics string) string {
	if found := scheme.FindStringSubmatch(ics); found != nil {
		return strings.ToLower(found[1])
	}
	return ""
}

func isURL(ics string) bool { return schemeOf(ics) != "" && schemeOf(ics) != "file" }

// fetch reads a calendar where it is. An error that may pass by itself says so (jenner.TryAgain). No error has the URL
// in it, for the address of a private calendar is its password.
func (r *Reader) fetch(ctx context.Context, calendar jenner.Calendar, before version) (got fetched, err error) {
	switch schemeOf(calendar.ICS) {
	case "http", "https":
		got, err = r.get(ctx, calendar.ICS, before)
	case "", "file":
		got, err = readFile(calendar)
	case "webcal", "webcals":
		err = errors.New("webcal is not read; write https in its place")
	default:
		err = fmt.Errorf("%s is not read; write http, https, or a file (one with a colon in its name as ./NAME)", schemeOf(calendar.ICS))
	}
	if err != nil {
		err = fmt.Errorf("calendar %s: %w", calendar.Name, err)
	}
	return got, err
}

func pathOf(calendar jenner.Calendar) string {
	path := calendar.ICS
	if schemeOf(path) == "file" {
		path = strings.TrimPrefix(path[len("file:"):], "//")
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(calendar.Dir, path)
	}
	return path
}

// stamp is zero for what cannot be looked at.
func stamp(calendar jenner.Calendar) fileStamp {
	info, err := os.Stat(pathOf(calendar))
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{info.ModTime(), info.Size()}
}

// readFile takes the stamp first: what changes meanwhile is read again.
func readFile(calendar jenner.Calendar) (fetched, error) {
	got := fetched{version: version{file: stamp(calendar)}}
	path := pathOf(calendar)
	info, err := os.Stat(path)
	if err != nil {
		return got, fmt.Errorf("cannot be read: %w", err)
	}
	if !info.Mode().IsRegular() { // a pipe would not let go
		return got, fmt.Errorf("%s is not a file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return got, fmt.Errorf("cannot be read: %w", err)
	}
	defer func() { _ = file.Close() }()
	if got.raw, err = limited(file); err != nil {
		err = fmt.Errorf("cannot be read: %w", err)
	}
	return got, err
}

// limited reads one byte more than a calendar may have, so that it is seen to be too large.
func limited(from io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(from, maxBytes+1)) }

// get asks a server, and only for what has changed where it can tell.
func (r *Reader) get(ctx context.Context, from string, before version) (fetched, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return fetched{}, fmt.Errorf("its URL is not one: %w", withoutURL(err))
	}
	request.Header.Set("Accept", "text/calendar, */*;q=0.1")
	request.Header.Set("User-Agent", "jenner")
	if before.etag != "" {
		request.Header.Set("If-None-Match", before.etag)
	}
	if before.modified != "" {
		request.Header.Set("If-Modified-Since", before.modified)
	}
	response, err := r.client.Do(request)
	if err != nil {
		return fetched{}, jenner.Retryable(fmt.Errorf("%s does not answer: %w", request.URL.Host, withoutURL(err)), "")
	}
	defer func() { _ = response.Body.Close() }()
	switch {
	case response.StatusCode == http.StatusNotModified && (before.etag != "" || before.modified != ""):
		return fetched{unchanged: true}, nil
	case response.StatusCode != http.StatusOK:
		return fetched{}, statusError(request.URL.Host, response)
	}
	got := fetched{version: version{etag: response.Header.Get("ETag"), modified: response.Header.Get("Last-Modified")}}
	if got.raw, err = limited(response.Body); err != nil {
		err = jenner.Retryable(fmt.Errorf("%s broke off its answer: %w", request.URL.Host, withoutURL(err)), "")
	}
	return got, err
}

func statusError(host string, response *http.Response) error {
	err := fmt.Errorf("%s answers %s", host, response.Status)
	switch code := response.StatusCode; {
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		return jenner.Retryable(err, "")
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusNotFound, code == http.StatusGone:
		return jenner.ForHuman(err, "check the calendar's private address in iCal format; it may have been replaced")
	}
	return jenner.ForHuman(err, "open the address in a browser to see what it says")
}

// withoutURL is the cause alone.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
