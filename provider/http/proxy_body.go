package http

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/jenner-heal/jenner"
)

// bodyChange is what is changed in the body of an answer; exactly one of the four.
type bodyChange struct {
	Truncate jenner.Share `json:"truncate,omitempty"` // how much is cut off its end; a byte at the least
	Match    string       `json:"match,omitempty"`    // a regular expression; every match …
	Replace  string       `json:"replace,omitempty"`  // … becomes this, with $1 for its first group
	Field    string       `json:"field,omitempty"`    // a JSON pointer to a value; it …
	Value    document     `json:"value,omitempty"`    // … becomes this
	Garble   jenner.Share `json:"garble,omitempty"`   // how many of its bytes become others; one at the least
}

// document is any JSON, without blanks, so that two that say the same are the same.
type document json.RawMessage

// MarshalJSON gives the document.
func (d document) MarshalJSON() ([]byte, error) { return json.RawMessage(d).MarshalJSON() }

// UnmarshalJSON reads any JSON.
func (d *document) UnmarshalJSON(raw []byte) (err error) {
	*d, err = json.Marshal(json.RawMessage(raw))
	return err
}

func (c *bodyChange) validate() error {
	ways := 0
	for _, is := range []bool{c.Truncate != 0, c.Match != "", c.Field != "", c.Garble != 0} {
		if is {
			ways++
		}
	}
	_, bad := regexp.Compile(c.Match)
	switch {
	case ways != 1:
		return errors.New("write one of truncate, match, field and garble")
	case c.Truncate < 0 || c.Truncate > 1 || c.Garble < 0 || c.Garble > 1:
		return errors.New("a share is outside of 0% to 100%")
	case bad != nil:
		return fmt.Errorf("match: %w", bad)
	case c.Replace != "" && c.Match == "":
		return errors.New("replace needs match")
	case (len(c.Value) > 0) != (c.Field != ""):
		return errors.New("field and value belong together")
	case c.Field != "" && !strings.HasPrefix(c.Field, "/"):
		return fmt.Errorf("field %q is no JSON pointer; write it as /order/total", c.Field)
	}
	return nil
}

// apply gives the changed body, or the same one where there is nothing to change. It leaves the one that it is given.
func (c *bodyChange) apply(body []byte) []byte {
	switch {
	case len(body) == 0:
		return body
	case c.Truncate > 0:
		return body[:len(body)-part(c.Truncate, len(body))]
	case c.Match != "":
		return regexp.MustCompile(c.Match).ReplaceAll(body, []byte(c.Replace)) // validate has compiled it already
	case c.Field != "":
		return c.set(body)
	}
	return c.garbled(body)
}

// part is a share of a whole, and one of it at the least.
func part(share jenner.Share, whole int) int {
	return max(1, int(math.Floor(float64(share)*float64(whole)+1e-9)))
}

// garbled changes bytes at even distances. It is not left to chance, so that two drills do the same.
func (c *bodyChange) garbled(body []byte) []byte {
	changed := bytes.Clone(body)
	count := part(c.Garble, len(body))
	for i := range count {
		at := int(int64(i) * int64(len(body)) / int64(count))
		changed[at] ^= byte(1 + (at*31)%255) // never 0, so that each of them differs
	}
	return changed
}

// set puts the value in the place of what the pointer names. The rest of the document says the same, but is written anew.
func (c *bodyChange) set(body []byte) []byte {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber() // a long id must not come back as 1e+18
	var whole any
	if decoder.Decode(&whole) != nil {
		return body
	}
	tokens := strings.Split(c.Field[1:], "/")
	last := len(tokens) - 1
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	at := whole
	for _, token := range tokens[:last] {
		next, ok := child(at, unescape.Replace(token))
		if !ok {
			return body
		}
		at = next
	}
	token := unescape.Replace(tokens[last])
	if _, there := child(at, token); !there {
		return body
	}
	switch holder := at.(type) {
	case map[string]any:
		holder[token] = json.RawMessage(c.Value)
	case []any:
		index, _ := strconv.Atoi(token) // child has found it
		holder[index] = json.RawMessage(c.Value)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(whole) != nil {
		return body
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
