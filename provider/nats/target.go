package nats

import (
	"errors"
)

func init() {
	Provider.Target("nats", "A consumer of a JetStream stream", func() any { return &Target{} })
}

// Target is one durable consumer of a stream.
type Target struct {
	URL            string `json:"url"` // nats://host:port, or several with commas between them
	Stream         string `json:"stream"`
	Consumer       string `json:"consumer,omitempty"`        // the durable name
	DeadLetter     string `json:"dead_letter,omitempty"`     // the subject that dead letters go to; a stream must keep it
	CredentialsEnv string `json:"credentials_env,omitempty"` // the variable of Jenner's environment that holds the path of a .creds file
}

// Validate checks what can be checked without asking the server.
func (t *Target) Validate() error {
	switch {
	case t.URL == "":
		return errors.New("url is missing; write nats://host:port")
	case t.Stream == "":
		return errors.New("stream is missing")
	}
	return nil
}
