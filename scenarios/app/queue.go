package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func init() {
	programs["publisher"] = publisher
	programs["packer"] = packer
}

// order is what is in the queue.
type order struct {
	Number int `json:"number"`
}

// openQueue connects and makes what is not there yet: the orders, their one consumer, which is given one message at a
// time, and the dead letters.
func openQueue(ctx context.Context, url string) (jetstream.JetStream, jetstream.Consumer, func(), error) {
	conn, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(200*time.Millisecond))
	if err != nil {
		return nil, nil, nil, err
	}
	js, err := jetstream.New(conn)
	if err == nil {
		_, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"},
			Retention: jetstream.WorkQueuePolicy})
	}
	if err == nil {
		_, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "DEAD", Subjects: []string{"dead.>"}})
	}
	var consumer jetstream.Consumer
	if err == nil {
		consumer, err = js.CreateOrUpdateConsumer(ctx, "ORDERS", jetstream.ConsumerConfig{Durable: "packer",
			AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 1, AckWait: 500 * time.Millisecond})
	}
	if err != nil {
		conn.Close()
		return nil, nil, nil, err
	}
	return js, consumer, conn.Close, nil
}

// publisher URL ADDRESS: puts an order into the queue every 50 ms and tells their number on /metrics.
func publisher(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("write URL ADDRESS")
	}
	js, _, hangUp, err := openQueue(ctx, args[0])
	if err != nil {
		return err
	}
	defer hangUp()
	var published atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# TYPE orders_published_total counter\norders_published_total %d\n", published.Load())
	})
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	go func() {
		for ctx.Err() == nil {
			body, _ := json.Marshal(order{Number: int(published.Load()) + 1})
			if _, err := js.Publish(ctx, "orders.new", body); err == nil {
				published.Add(1)
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return serve(ctx, args[1], mux)
}

// packer URL ADDRESS: packs one order after the other. It does not survive a message that it cannot read.
func packer(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("write URL ADDRESS")
	}
	_, consumer, hangUp, err := openQueue(ctx, args[0])
	if err != nil {
		return err
	}
	defer hangUp()
	var packed atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# TYPE orders_packed_total counter\norders_packed_total %d\n", packed.Load())
	})
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	go pack(ctx, consumer, &packed)
	return serve(ctx, args[1], mux)
}

func pack(ctx context.Context, consumer jetstream.Consumer, packed *atomic.Int64) {
	for ctx.Err() == nil {
		message, err := consumer.Next(jetstream.FetchMaxWait(time.Second))
		if err != nil {
			continue
		}
		var order order
		if err := json.Unmarshal(message.Data(), &order); err != nil {
			panic(fmt.Sprintf("an order that cannot be read: %v", err))
		}
		if err := message.DoubleAck(ctx); err == nil {
			packed.Add(1)
		}
	}
}
