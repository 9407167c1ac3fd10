package nats

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/chaos"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/lab"
	"github.com/jenner-heal/jenner/telemetry"
)

func TestMain(m *testing.M) { faulttest.Main(m, catalog.Merge(Provider).MakeFault) }

// queue is a real server with a stream of orders, a consumer that is given one message at a time, and a stream of dead
// letters.
type queue struct {
	url    string
	js     jetstream.JetStream
	orders jetstream.Consumer
	stream jetstream.Stream
	dead   jetstream.Stream
}

func started(t testing.TB) *queue {
	t.Helper()
	server, err := lab.StartNATS(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	conn, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	q := &queue{url: server.URL()}
	if q.js, err = jetstream.New(conn); err == nil {
		q.stream, err = q.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}, Storage: jetstream.MemoryStorage})
	}
	if err == nil {
		q.dead, err = q.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "DEAD", Subjects: []string{"dead.>"}, Storage: jetstream.MemoryStorage})
	}
	if err == nil {
		q.orders, err = q.stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "packer", AckPolicy: jetstream.AckExplicitPolicy,
			MaxAckPending: 1, AckWait: time.Minute})
	}
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func (q *queue) target() jenner.Target {
	return jenner.Target{Kind: "nats", Name: "orders", Params: jenner.Params{"url": jenner.Raw(q.url), "stream": jenner.Raw("ORDERS"),
		"consumer": jenner.Raw("packer"), "dead_letter": jenner.Raw("dead.orders")}}
}

func nowhere() jenner.Target {
	return jenner.Target{Kind: "nats", Name: "nowhere", Params: jenner.Params{"url": jenner.Raw("nats://127.0.0.1:1"), "stream": jenner.Raw("ORDERS")}}
}

// publish puts orders into the stream.
func (q *queue) publish(t *testing.T, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if _, err := q.js.Publish(t.Context(), "orders.new", []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
}

// choke lets the consumer be given its next message so many times, without ever acknowledging it.
func (q *queue) choke(t *testing.T, times int) string {
	t.Helper()
	body := ""
	for range times {
		body = q.next(t, func(m jetstream.Msg) error { return m.Nak() })
	}
	return body
}

// next is what a working consumer does with its next message.
func (q *queue) next(t *testing.T, do func(jetstream.Msg) error) string {
	t.Helper()
	message, err := q.orders.Next(jetstream.FetchMaxWait(10 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if err := do(message); err != nil {
		t.Fatal(err)
	}
	return string(message.Data())
}

func acknowledged(m jetstream.Msg) error { return m.DoubleAck(context.Background()) }

func (q *queue) count(t *testing.T, stream jetstream.Stream) int {
	t.Helper()
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return int(info.State.Msgs)
}

func poison(t *testing.T) faulttest.World {
	q := started(t)
	q.publish(t, "1")
	q.next(t, acknowledged)
	return faulttest.World{Fault: func() chaos.Fault { return &FaultPoison{Subject: "orders.new", Body: "\x00"} }, Absent: nowhere(),
		Stir: func(t *testing.T) {
			if _, err := q.orders.FetchNoWait(1); err != nil {
				t.Fatal(err)
			}
		},
		Record: jenner.FaultRecord{Fault: "nats.poison", Target: q.target(),
			Params: jenner.Params{"subject": jenner.Raw("orders.new"), "body": jenner.Raw("\x00")}}}
}

func TestPoisonConforms(t *testing.T) { faulttest.Run(t, poison) }

func TestPoisonEndsWhoeverIsKilled(t *testing.T) { faulttest.Killed(t, poison) }

// injected poisons the queue.
func injected(t *testing.T, q *queue) (*FaultPoison, chaos.Call) {
	t.Helper()
	fault := &FaultPoison{Subject: "orders.new", Body: "poison", Headers: map[string]string{"Kind": "order"}}
	call := chaos.Call{Record: jenner.FaultRecord{ID: "d-1", Target: q.target()}}
	var err error
	if call.Record.Checkpoint, err = fault.Checkpoint(t.Context(), call); err == nil {
		err = fault.Inject(t.Context(), call)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fault, call
}

// TestTheUndoFindsThePoisonAmongTheDeadLetters: a runbook moved it, and yet it is the fault's.
func TestTheUndoFindsThePoisonAmongTheDeadLetters(t *testing.T) {
	q := started(t)
	q.publish(t, "1")
	fault, call := injected(t, q)
	q.publish(t, "2")
	q.next(t, acknowledged)
	if got := q.choke(t, 3); got != "poison" {
		t.Fatalf("the consumer chews on %q", got)
	}
	if _, err := moved(t, q, "k1"); err != nil {
		t.Fatal(err)
	}
	if armed, err := fault.Armed(t.Context(), call); err != nil || armed {
		t.Errorf("armed %v, %v: the message is not in the stream any more", armed, err)
	}
	if print, _ := fault.Fingerprint(t.Context(), call); print != "poisoned: dead letters" {
		t.Errorf("the fingerprint is %q", print)
	}
	if err := fault.Undo(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if orders, dead := q.count(t, q.stream), q.count(t, q.dead); orders != 2 || dead != 0 {
		t.Errorf("%d orders and %d dead letters are left, want 2 and none", orders, dead)
	}
	if got := q.next(t, acknowledged); got != "2" {
		t.Errorf("the consumer goes on with %q", got)
	}
}

func TestPoisonRefusesASubjectOfAnotherStream(t *testing.T) {
	q := started(t)
	for _, subject := range []string{"dead.orders", "nobody.keeps.it"} {
		_, err := (&FaultPoison{Subject: subject}).Checkpoint(t.Context(), chaos.Call{Record: jenner.FaultRecord{Target: q.target()}})
		if err == nil || !strings.Contains(err.Error(), "does not keep subject "+subject) {
			t.Errorf("%s: %v", subject, err)
		}
	}
	if (&FaultPoison{}).Validate() == nil {
		t.Error("a fault without a subject is accepted")
	}
}

// moved does the action as the executor would.
func moved(t *testing.T, q *queue, key string) (act.Result, error) {
	t.Helper()
	action := &DeadLetter{Deliveries: 3}
	call := act.Call{Key: key, Target: q.target()}
	var err error
	if call.Checkpoint, err = action.Checkpoint(t.Context(), call); err != nil {
		return act.Result{}, err
	}
	return action.Do(t.Context(), call)
}

func TestDeadLetterConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		q := started(t)
		q.publish(t, "poison", "good", "poison too")
		q.choke(t, 3)
		return actiontest.World{Action: func() act.Action { return &DeadLetter{Deliveries: 3} }, Call: act.Call{Target: q.target()},
			Meddle: func(t *testing.T) { q.choke(t, 1) }}
	})
}

// TestR39ADeadLetterIsMovedOnce: the copy was made and the process died before it deleted the message.
func TestR39ADeadLetterIsMovedOnce(t *testing.T) {
	q := started(t)
	q.publish(t, "poison")
	q.choke(t, 3)
	action := &DeadLetter{Deliveries: 3}
	call := act.Call{Key: "k1", Target: q.target()}
	var err error
	if call.Checkpoint, err = action.Checkpoint(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	message, err := q.stream.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	target, _ := decode(q.target())
	if _, err := q.js.PublishMsg(t.Context(), dead(target, message, letter{}), jetstream.WithMsgID(call.Key)); err != nil {
		t.Fatal(err)
	}
	if happened, err := action.Happened(t.Context(), call); err != nil || happened != act.HappenedNot {
		t.Errorf("half of it happened, and it says %s, %v", happened, err)
	}
	if _, err := action.Do(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if orders, dead := q.count(t, q.stream), q.count(t, q.dead); orders != 0 || dead != 1 {
		t.Errorf("%d orders and %d dead letters, want none and 1", orders, dead)
	}
	if happened, err := action.Happened(t.Context(), call); err != nil || happened != act.HappenedDone {
		t.Errorf("it happened, and it says %s, %v", happened, err)
	}
}

func TestADeadLetterTellsWhereItCameFrom(t *testing.T) {
	q := started(t)
	_, _ = injected(t, q)
	q.choke(t, 4)
	result, err := moved(t, q, "k1")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(result.Summary, "delivered 4 times") {
		t.Errorf("the summary is %q", result.Summary)
	}
	message, err := q.dead.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"Original-Stream": "ORDERS", "Original-Subject": "orders.new", "Original-Sequence": "1",
		"Deliveries": "4", "Kind": "order", originalID: "d-1"} {
		if got := message.Header.Get(name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	if string(message.Data) != "poison" || message.Subject != "dead.orders" {
		t.Errorf("%s %q", message.Subject, message.Data)
	}
}

func TestDeadLetterRefuses(t *testing.T) {
	q := started(t)
	refused := func(says string) {
		t.Helper()
		if err := (&DeadLetter{Deliveries: 3}).Check(t.Context(), act.Call{Target: q.target()}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	refused("chews on no message")
	q.publish(t, "1", "2")
	q.choke(t, 2)
	refused("was delivered 2 times, and 3 are needed")
	config := q.orders.CachedInfo().Config
	config.MaxAckPending = 10
	if _, err := q.stream.UpdateConsumer(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		q.next(t, func(jetstream.Msg) error { return nil })
	}
	refused("several messages wait")
	target := q.target()
	delete(target.Params, "dead_letter")
	if err := (&DeadLetter{Deliveries: 3}).Check(t.Context(), act.Call{Target: target}); err == nil || !strings.Contains(err.Error(), "write dead_letter") {
		t.Errorf("no subject: %v", err)
	}
	if (&DeadLetter{Deliveries: 1}).Validate() == nil {
		t.Error("a message that was delivered once is taken for poisoned")
	}
}

func TestSourceTellsHowFarTheConsumerHasCome(t *testing.T) {
	q := started(t)
	q.publish(t, "1", "2", "3")
	q.next(t, acknowledged)
	q.choke(t, 2)
	source := &SourceNats{Target{URL: q.url, Stream: "ORDERS", Consumer: "packer"}}
	samples, err := source.Collect(t.Context(), telemetry.SourceCall{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, sample := range samples {
		if sample.Labels["stream"] != "ORDERS" || sample.Labels["consumer"] != "packer" {
			t.Errorf("%s has the labels %v", sample.Name, sample.Labels)
		}
		got[sample.Name] = sample.Value
	}
	want := map[string]float64{"nats_stream_messages": 3, "nats_consumer_pending": 1, "nats_consumer_ack_pending": 1, "nats_consumer_attempts": 2,
		"nats_consumer_acknowledged": 1}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	if instance, err := source.Instance(telemetry.SourceCall{}); err != nil || "nats://"+instance != q.url {
		t.Errorf("instance %q, %v", instance, err)
	}
	source.Consumer = "nobody"
	if _, err := source.Collect(t.Context(), telemetry.SourceCall{}); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("a consumer that is not there: %v", err)
	}
}

func TestTargetsThatAreNotRight(t *testing.T) {
	for says, params := range map[string]jenner.Params{
		"url is missing":    {"stream": jenner.Raw("ORDERS")},
		"stream is missing": {"url": jenner.Raw("nats://a:1")},
		"is not set":        {"url": jenner.Raw("nats://a:1"), "stream": jenner.Raw("S"), "credentials_env": jenner.Raw("JENNER_NO_SUCH")},
		"cannot connect":    nowhere().Params,
		"strem":             {"strem": json.RawMessage(`"S"`)},
	} {
		err := with(t.Context(), jenner.Target{Kind: "nats", Name: "x", Params: params}, nil)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v, want %q", params, err, says)
		}
	}
	if err := with(t.Context(), jenner.Target{Kind: "file", Name: "x"}, nil); err == nil {
		t.Error("a file is taken for a queue")
	}
}

func BenchmarkFault(b *testing.B) {
	q := started(b)
	b.Run("poison", func(b *testing.B) {
		faulttest.Benchmark(b, catalog.Merge(Provider).MakeFault, jenner.FaultRecord{Fault: "nats.poison", Target: q.target(),
			Params: jenner.Params{"subject": jenner.Raw("orders.new"), "body": jenner.Raw("poison")}})
	})
}
