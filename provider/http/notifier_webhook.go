package http

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/notify"
)

func init() {
	Provider.Notifier("webhook", "Post the message as JSON", func() notify.Notifier {
		return &NotifierWebhook{Timeout: jenner.Duration(10 * time.Second)}
	})
}

// NotifierWebhook posts each message as JSON, with its key as Idempotency-Key. Where there is no answer, or one of 429
// or 500 to 599, it tries again, a second time after about half a second, then at growing distances, five times in all.
type NotifierWebhook struct {
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	// Timeout is for one attempt; 10s where not said.
	Timeout jenner.Duration `json:"timeout,omitempty"`

	client *nethttp.Client // plainClient where nil
}

const webhookTries = 5

// Validate checks the address.
func (n *NotifierWebhook) Validate() error {
	if n.URL == "" {
		return errors.New("url is missing")
	}
	_, err := absoluteURL(n.URL)
	return err
}

// Notify returns when the other side has taken the message, or for good not.
func (n *NotifierWebhook) Notify(ctx context.Context, message notify.Message) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		return struct{}{}, n.post(ctx, message)
	}, backoff.WithMaxTries(webhookTries))
	if err != nil {
		return jenner.Retryable(fmt.Errorf("the webhook %s did not take the message: %w", n.URL, err), "")
	}
	return nil
}

func (n *NotifierWebhook) post(ctx context.Context, message notify.Message) error {
	ctx, cancel := context.WithTimeout(ctx, n.Timeout.Or(10*time.Second))
	defer cancel()
	request, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodPost, n.URL, bytes.NewReader(jenner.Raw(message)))
	if err != nil {
		return backoff.Permanent(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for name, value := range n.Headers {
		request.Header.Set(name, value)
	}
	request.Header.Set("Idempotency-Key", message.Key)
	client := plainClient
	if n.client != nil {
		client = n.client
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	told, _ := io.ReadAll(io.LimitReader(response.Body, 500)) // only for the error's text
	switch {
	case response.StatusCode/100 == 2:
		return nil
	case response.StatusCode >= 500 || response.StatusCode == nethttp.StatusTooManyRequests:
		return fmt.Errorf("it answered %d: %s", response.StatusCode, strings.TrimSpace(string(told)))
	}
	return backoff.Permanent(fmt.Errorf("it answered %d: %s", response.StatusCode, strings.TrimSpace(string(told))))
}
