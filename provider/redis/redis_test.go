package redis

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/chaos"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	probetest "github.com/jenner-heal/jenner/conformance/probe"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/lab"
	"github.com/jenner-heal/jenner/telemetry"
)

func TestMain(m *testing.M) { faulttest.Main(m, catalog.Merge(Provider).MakeFault) }

// server is a real Redis with a few keys of a shop in it.
type server struct {
	*redis.Client
	address string
	stop    func() error
}

func started(t *testing.T) *server {
	t.Helper()
	running, err := lab.StartRedis(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: running.Address()})
	t.Cleanup(func() {
		client.Close()
		if err := running.Stop(); err != nil {
			t.Error(err)
		}
	})
	s := &server{client, running.Address(), running.Stop}
	s.do(t, "SET", "price:1", "9.90", "PX", "600000")
	s.do(t, "SET", "price:2", "19.90")
	s.do(t, "HSET", "stock:1", "left", "3")
	return s
}

func (s *server) do(t *testing.T, args ...any) string {
	t.Helper()
	answer, err := s.Do(context.WithoutCancel(t.Context()), args...).Result()
	if err == redis.Nil {
		return ""
	}
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	text, _ := answer.(string)
	return text
}

func (s *server) target() jenner.Target {
	return jenner.Target{Kind: "redis", Name: "cache", Params: jenner.Params{"address": jenner.Raw(s.address)}}
}

func nowhere() jenner.Target {
	return jenner.Target{Kind: "redis", Name: "nowhere", Params: jenner.Params{"address": jenner.Raw("127.0.0.1:1")}}
}

func badValue(t *testing.T, key string) faulttest.World {
	return faulttest.World{Fault: func() chaos.Fault { return &FaultBadValue{Key: key, Value: "NaN"} }, Absent: nowhere(),
		Record: jenner.FaultRecord{Fault: "redis.bad_value", Target: started(t).target(),
			Params: jenner.Params{"key": jenner.Raw(key), "value": jenner.Raw("NaN")}}}
}

func TestBadValueConforms(t *testing.T) {
	for _, key := range []string{"price:1", "stock:1"} {
		t.Run(key, func(t *testing.T) {
			faulttest.Run(t, func(t *testing.T) faulttest.World { return badValue(t, key) })
		})
	}
}

func TestBadValueEndsWhoeverIsKilled(t *testing.T) {
	faulttest.Killed(t, func(t *testing.T) faulttest.World { return badValue(t, "price:1") })
}

// struck injects the fault into a key and gives its call.
func struck(t *testing.T, s *server, key string) (*FaultBadValue, chaos.Call) {
	t.Helper()
	fault := &FaultBadValue{Key: key, Value: "NaN"}
	call := chaos.Call{Record: jenner.FaultRecord{ID: "f", Target: s.target()}}
	var err error
	if call.Record.Checkpoint, err = fault.Checkpoint(t.Context(), call); err == nil {
		err = fault.Inject(t.Context(), call)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fault, call
}

// TestTheOldValueComesBackWhole: value, type and time to live.
func TestTheOldValueComesBackWhole(t *testing.T) {
	s := started(t)
	expires := s.PExpireTime(t.Context(), "price:1").Val()
	price, priceCall := struck(t, s, "price:1")
	stock, stockCall := struck(t, s, "stock:1")
	if got := s.do(t, "GET", "price:1") + s.do(t, "GET", "stock:1"); got != "NaNNaN" {
		t.Fatalf("the keys hold %q", got)
	}
	if now := s.PExpireTime(t.Context(), "price:1").Val(); now != expires {
		t.Errorf("the wrong value expires at %v, the old one at %v", now, expires)
	}
	if err := price.Undo(t.Context(), priceCall); err != nil {
		t.Fatal(err)
	}
	if err := stock.Undo(t.Context(), stockCall); err != nil {
		t.Fatal(err)
	}
	if got := s.do(t, "GET", "price:1") + " " + s.do(t, "HGET", "stock:1", "left"); got != "9.90 3" {
		t.Errorf("after the undo the keys hold %q", got)
	}
	if now := s.PExpireTime(t.Context(), "price:1").Val(); now != expires {
		t.Errorf("after the undo it expires at %v, before at %v", now, expires)
	}
}

// TestL4WhatOthersWroteStays: neither a fresh value nor a deletion is taken back.
func TestL4WhatOthersWroteStays(t *testing.T) {
	s := started(t)
	one, oneCall := struck(t, s, "price:1")
	two, twoCall := struck(t, s, "price:2")
	s.do(t, "SET", "price:1", "11.00")
	s.do(t, "DEL", "price:2")
	if err := one.Undo(t.Context(), oneCall); err != nil {
		t.Error(err)
	}
	if err := two.Undo(t.Context(), twoCall); err != nil {
		t.Error(err)
	}
	if got := s.do(t, "GET", "price:1") + s.do(t, "GET", "price:2"); got != "11.00" {
		t.Errorf("after the undo the keys hold %q", got)
	}
}

func TestBadValueRefuses(t *testing.T) {
	s := started(t)
	s.do(t, "SET", "bad", "NaN")
	for key, says := range map[string]string{"nothing": "there is no key nothing", "bad": "has that value already"} {
		_, err := (&FaultBadValue{Key: key, Value: "NaN"}).Checkpoint(t.Context(), chaos.Call{Record: jenner.FaultRecord{Target: s.target()}})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", key, err)
		}
	}
	fault := &FaultBadValue{Key: "price:1", Value: "NaN"}
	call := chaos.Call{Record: jenner.FaultRecord{Target: s.target()}}
	call.Record.Checkpoint, _ = fault.Checkpoint(t.Context(), call)
	s.do(t, "SET", "price:1", "10.00")
	if err := fault.Inject(t.Context(), call); err == nil || s.do(t, "GET", "price:1") != "10.00" {
		t.Errorf("a key that was changed since it was copied was overwritten: %v", err)
	}
	if err := (&FaultBadValue{}).Validate(); err == nil {
		t.Error("a fault without a key is accepted")
	}
}

func TestPurgeConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		s := started(t)
		return actiontest.World{Action: func() act.Action { return &Purge{Pattern: "price:*", Most: 10} }, Call: act.Call{Target: s.target()},
			Meddle: func(t *testing.T) { s.do(t, "SET", "price:1", "12.00") }}
	})
}

func TestPurgeStaysWithinItsLimits(t *testing.T) {
	s := started(t)
	purge := &Purge{Pattern: "price:*", Most: 10}
	call := act.Call{Target: s.target(), Allowed: map[string]int{"keys": 1}}
	size, err := purge.Size(t.Context(), call)
	if err != nil || size != (act.Size{Unit: "keys", Want: 2, Total: 3}) {
		t.Errorf("%+v, %v", size, err)
	}
	if call.Checkpoint, err = purge.Checkpoint(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if _, err := purge.Do(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if left := s.DBSize(t.Context()).Val(); left != 2 {
		t.Errorf("%d keys are left of 3, and 1 was allowed to go", left)
	}
	for _, wrong := range []*Purge{{Pattern: "price:*"}, {Pattern: "*", Most: 1}, {Most: 1}} {
		if wrong.Validate() == nil {
			t.Errorf("%+v is accepted", wrong)
		}
	}
	s.do(t, "SET", "price:3", "1.00")
	if err := (&Purge{Pattern: "price:*", Most: 1}).Check(t.Context(), call); err == nil || !strings.Contains(err.Error(), "more than 1 keys") {
		t.Errorf("too many keys: %v", err)
	}
	if err := (&Purge{Pattern: "nothing:*", Most: 1}).Check(t.Context(), call); err == nil || !strings.Contains(err.Error(), "no key matches") {
		t.Errorf("no key: %v", err)
	}
}

func text(value string) *string { return &value }

func TestProbeConforms(t *testing.T) {
	asks := func(address string) telemetry.Probe {
		return &ProbeRedis{Target: Target{Address: address}, Key: "price:2", Equals: text("19.90")}
	}
	probetest.Run(t, probetest.Suite{
		OK: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			return asks(started(t).address), telemetry.ProbeCall{}
		},
		Failing: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			s := started(t)
			s.do(t, "SET", "price:2", "NaN")
			return asks(s.address), telemetry.ProbeCall{}
		},
		Hanging: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			return asks(silent(t)), telemetry.ProbeCall{}
		},
		Wrong: map[string]telemetry.Probe{"no address": &ProbeRedis{}, "no key": &ProbeRedis{Target: Target{Address: "a:1"}, Equals: text("1")}},
	})
}

// silent is an address where somebody listens and nobody ever answers.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

func TestProbeSaysWhatIsWrong(t *testing.T) {
	s := started(t)
	at := Target{Address: s.address}
	for want, probe := range map[string]*ProbeRedis{
		"":                               {Target: at},
		"there is no key nothing":        {Target: at, Key: "nothing"},
		`key price:2 holds "19.90", not`: {Target: at, Key: "price:2", Equals: text("1")},
		"WRONGTYPE":                      {Target: at, Key: "stock:1", Equals: text("1")},
		"refused":                        {Target: Target{Address: "127.0.0.1:1"}},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		result := probe.Probe(ctx, telemetry.ProbeCall{})
		cancel()
		if !strings.Contains(result.Message, want) || (want == "") != (result.Outcome == telemetry.OK) {
			t.Errorf("%+v gives %+v, want %q", probe, result, want)
		}
	}
}

func TestTargetsThatAreNotRight(t *testing.T) {
	t.Setenv("JENNER_REDIS_TEST", "secret")
	for says, params := range map[string]jenner.Params{
		"address is missing":      {},
		"less than 0":             {"address": jenner.Raw("a:1"), "database": jenner.Raw(-1)},
		"password_env is missing": {"address": jenner.Raw("a:1"), "user": jenner.Raw("u")},
		"is not set":              {"address": jenner.Raw("a:1"), "password_env": jenner.Raw("JENNER_NO_SUCH")},
		"addres":                  {"addres": jenner.Raw("a:1")},
	} {
		err := with(t.Context(), jenner.Target{Kind: "redis", Name: "x", Params: params}, func(context.Context, *redis.Client) error { return nil })
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v, want %q", params, err, says)
		}
	}
	if err := with(t.Context(), jenner.Target{Kind: "file", Name: filepath.Base("x")}, nil); err == nil {
		t.Error("a file is taken for a Redis")
	}
}

func BenchmarkFault(b *testing.B) {
	running, err := lab.StartRedis(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { running.Stop() })
	s := &server{address: running.Address()}
	client := redis.NewClient(&redis.Options{Addr: s.address})
	defer client.Close()
	if err := client.Set(b.Context(), "price:1", "9.90", 0).Err(); err != nil {
		b.Fatal(err)
	}
	b.Run("bad_value", func(b *testing.B) {
		faulttest.Benchmark(b, catalog.Merge(Provider).MakeFault, jenner.FaultRecord{Fault: "redis.bad_value", Target: s.target(),
			Params: jenner.Params{"key": jenner.Raw("price:1"), "value": jenner.Raw("NaN")}})
	})
}
