package main

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// settings are read from flags, and where there is no flag from the environment variable of the same name in capitals:
// --fail-rate and FAIL_RATE. Shares are from 0 to 1, times such as 1.5s.
type settings struct {
	Listen        string         // LISTEN, :8080
	Version       string         // VERSION, dev: what / and app_info say
	FailRate      float64        // FAIL_RATE: share of requests that are answered with 500
	Delay         time.Duration  // DELAY before each answer
	OrderLoss     float64        // ORDER_LOSS: share of orders that are answered with 200 and are lost
	CrashAfter    *time.Duration // CRASH_AFTER the start it ends with exit code 3; 0s at once
	HangAfter     *time.Duration // HANG_AFTER the start no request is answered any more
	ReadyAfter    time.Duration  // READY_AFTER the start; not ready before
	NeverReady    bool           // NEVER_READY
	FillMB        int            // FILL_MB: memory that is taken at the start, and kept
	LeakMBPerS    float64        // LEAK_MB_PER_S: memory that is taken and never given back
	Config        string         // CONFIG, /etc/app/config.yaml: read every second where it is there
	CrashIfConfig bool           // CRASH_IF_CONFIG is invalid: it ends with exit code 4
	Needs         []string       // NEEDS, host:port, several with commas: not ready, and 503, while one does not take connections
	NeedsCrash    bool           // NEEDS_CRASH: it ends with exit code 5 instead
	Work          int            // WORK: items that are under way at any time
	WorkTime      time.Duration  // WORK_TIME, 1s: how long an item takes
	WorkDir       string         // WORK_DIR, /work: journal has a line for each item taken and each one done
	Lock          string         // LOCK: a file that is there while it runs; it refuses to start where an earlier one left it
	DrainWait     time.Duration  // DRAIN_WAIT between SIGTERM and the end of taking connections
}

func readSettings(args []string, env func(string) string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("app", flag.ContinueOnError)
	var errs []error
	define := func(name, standard, what string, set func(string) error) {
		value := env(strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
		if value == "" {
			value = standard
		}
		if value != "" {
			if err := set(value); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
		flags.Func(name, what, set)
	}
	define("listen", ":8080", "address", into(&s.Listen))
	define("version", "dev", "name of the release", into(&s.Version))
	define("fail-rate", "", "share of answers that are 500", share(&s.FailRate))
	define("delay", "", "time before each answer", duration(&s.Delay))
	define("order-loss", "", "share of orders that are lost", share(&s.OrderLoss))
	define("crash-after", "", "time until it crashes", optional(&s.CrashAfter))
	define("hang-after", "", "time until it hangs", optional(&s.HangAfter))
	define("ready-after", "", "time until it is ready", duration(&s.ReadyAfter))
	define("never-ready", "", "1: it is never ready", truth(&s.NeverReady))
	define("fill-mb", "", "memory taken at the start", func(text string) (err error) { s.FillMB, err = strconv.Atoi(text); return err })
	define("leak-mb-per-s", "", "memory taken each second", number(&s.LeakMBPerS))
	define("config", "/etc/app/config.yaml", "configuration file", into(&s.Config))
	define("crash-if-config", "", "1: it ends where the configuration is invalid", truth(&s.CrashIfConfig))
	define("needs", "", "host:port that it needs", func(text string) error { s.Needs = strings.Split(text, ","); return nil })
	define("needs-crash", "", "1: it ends where what it needs is not there", truth(&s.NeedsCrash))
	define("work", "", "items of work under way", func(text string) (err error) { s.Work, err = strconv.Atoi(text); return err })
	define("work-time", "1s", "time of one item", duration(&s.WorkTime))
	define("work-dir", "/work", "folder of the work's journal", into(&s.WorkDir))
	define("lock", "", "file that is there while it runs", into(&s.Lock))
	define("drain-wait", "", "time between SIGTERM and the end of taking connections", duration(&s.DrainWait))
	if err := flags.Parse(args); err != nil {
		errs = append(errs, err)
	}
	if flags.NArg() > 0 {
		errs = append(errs, fmt.Errorf("%q means nothing here", flags.Args()))
	}
	return s, errors.Join(errs...)
}

func into(target *string) func(string) error {
	return func(text string) error { *target = text; return nil }
}

func duration(target *time.Duration) func(string) error {
	return func(text string) (err error) { *target, err = time.ParseDuration(text); return err }
}

func optional(target **time.Duration) func(string) error {
	return func(text string) error {
		value, err := time.ParseDuration(text)
		*target = &value
		return err
	}
}

func number(target *float64) func(string) error {
	return func(text string) (err error) { *target, err = strconv.ParseFloat(text, 64); return err }
}

func share(target *float64) func(string) error {
	return func(text string) error {
		value, err := strconv.ParseFloat(text, 64)
		if err == nil && !(value >= 0 && value <= 1) {
			err = fmt.Errorf("%q is not a share from 0 to 1", text)
		}
		*target = value
		return err
	}
}

func truth(target *bool) func(string) error {
	return func(text string) (err error) { *target, err = strconv.ParseBool(text); return err }
}
