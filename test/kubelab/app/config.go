package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"os"
	"strings"
	"time"
)

// config is what the configuration file says: a line `key: value` for each of these, empty lines and # comments.
type config struct {
	Value    string         // value: any text, served on /config
	FailRate *float64       // fail_rate: instead of the setting
	Delay    *time.Duration // delay: instead of the setting
	text     string
}

func parseConfig(text string) (*config, error) {
	c := &config{text: text}
	for number, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		err := errors.New("is not `key: value`")
		if ok {
			switch key {
			case "value":
				c.Value, err = value, nil
			case "fail_rate":
				c.FailRate = new(float64)
				err = share(c.FailRate)(value)
			case "delay":
				err = optional(&c.Delay)(value)
			default:
				err = errors.New("is an unknown key; there are value, fail_rate, delay")
			}
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %q %w", number+1, line, err)
		}
	}
	return c, nil
}

// readConfig takes the file's content over where it is valid. A file that is not there is an empty one.
func (a *app) readConfig() error {
	text, err := os.ReadFile(a.settings.Config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if now := a.config.Load(); now != nil && now.text == string(text) {
		return nil
	}
	read, err := parseConfig(string(text))
	if err != nil {
		return err
	}
	a.config.Store(read)
	log.Printf("the configuration is %q", text)
	return nil
}

// watch looks every second for a new configuration and for what is needed.
func (a *app) watch(ctx context.Context, ends chan<- int) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	said := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := a.readConfig()
		if err != nil && err.Error() != said {
			said = err.Error()
			log.Printf("the configuration is invalid: %v", err)
		}
		if err != nil && a.settings.CrashIfConfig {
			ends <- exitConfig
			return
		}
		if err := a.reachAll(ctx); err != nil && a.settings.NeedsCrash && ctx.Err() == nil {
			log.Print(err)
			ends <- exitNeeds
			return
		}
	}
}

func (a *app) reachAll(ctx context.Context) error {
	for _, need := range a.settings.Needs {
		if err := a.reach(ctx, need); err != nil {
			return fmt.Errorf("%s is needed: %w", need, err)
		}
	}
	return nil
}

// reach tries to connect to what is needed, and takes note.
func (a *app) reach(ctx context.Context, need string) error {
	connection, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", need)
	if err != nil {
		a.missing.Store(&need)
		return err
	}
	a.missing.Store(nil)
	return connection.Close()
}
