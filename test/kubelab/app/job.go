package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// job is a task that ends: with success, or with exit code 7 as often as it is told.
func job(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("job", flag.ContinueOnError)
	fails := flags.Int("fail-times", 0, "how often it fails before it succeeds; -1 always")
	state := flags.String("state", "/work/attempts", "file that counts the attempts; on a volume that outlives the container")
	takes := flags.Duration("takes", 0, "how long it takes")
	hangs := flags.Bool("hang", false, "never end, not even when told to")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	if *hangs {
		log.Print("told to hang")
		select {}
	}
	select {
	case <-ctx.Done():
		return exitFailed
	case <-time.After(*takes):
	}
	attempt := 1
	if *fails > 0 {
		var err error
		if attempt, err = next(*state); err != nil {
			log.Print(err)
			return exitUsage
		}
	}
	if *fails < 0 || attempt <= *fails {
		log.Printf("attempt %d is told to fail", attempt)
		return exitFailed
	}
	log.Printf("attempt %d is done", attempt)
	return 0
}

// next counts attempts in a file.
func next(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return 0, err
	}
	before, _ := strconv.Atoi(strings.TrimSpace(string(text))) // an empty file counts as none
	return before + 1, os.WriteFile(path, fmt.Append(nil, before+1), 0o644)
}

// load asks a server again and again, as its users would, and counts the answers.
func load(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	url := flags.String("url", "", "server, such as http://shop.default.svc:8080")
	rate := flags.Float64("rate", 10, "requests a second; every fifth is an order")
	listen := flags.String("listen", ":8080", "address for /metrics, /readyz and /livez")
	if err := flags.Parse(args); err != nil || *url == "" || *rate <= 0 {
		log.Print("load needs --url, and a --rate above 0")
		return exitUsage
	}
	a := &app{metrics: newMetrics("load"), work: newWork("", 0), hung: make(chan struct{})}
	server := &http.Server{Addr: *listen, Handler: a.handler(make(chan int, 1)), ReadHeaderTimeout: 5 * time.Second}
	go server.ListenAndServe()
	defer server.Close()
	// A connection for each request, so that each is balanced anew.
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(time.Duration(float64(time.Second) / *rate))
	defer tick.Stop()
	var under sync.WaitGroup
	defer under.Wait()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return 0
		case <-tick.C:
		}
		under.Go(func() {
			began := time.Now()
			a.metrics.count(ask(client, *url, i%5 == 4), time.Since(began))
		})
	}
}

// ask returns the answer's code; 503 where there was none.
func ask(client *http.Client, url string, order bool) int {
	request := client.Get
	if order {
		request = func(url string) (*http.Response, error) { return client.Post(url+"/orders", "", nil) }
	}
	response, err := request(url)
	if err != nil {
		return http.StatusServiceUnavailable
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// burn takes processor time, memory and disk, for a neighbour that is too loud.
func burn(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("burn", flag.ContinueOnError)
	cores := flags.Int("cores", 1, "processors to keep busy")
	mb := flags.Int("mb", 0, "memory to hold, in MB")
	disk := flags.String("disk", "", "file to write")
	diskMB := flags.Int("disk-mb", 100, "size of the file, in MB")
	lasts := flags.Duration("for", time.Minute, "how long")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	if *disk != "" {
		if err := os.WriteFile(*disk, make([]byte, *diskMB<<20), 0o644); err != nil {
			log.Print(err)
			return exitUsage
		}
	}
	held := make([]byte, *mb<<20)
	for i := 0; i < len(held); i += 4096 {
		held[i] = 1
	}
	told := ctx
	ctx, cancel := context.WithTimeout(ctx, *lasts)
	defer cancel()
	var busy sync.WaitGroup
	for range *cores {
		busy.Go(func() {
			for ctx.Err() == nil {
			}
		})
	}
	<-ctx.Done()
	busy.Wait()
	_ = held[len(held)/2:]
	if told.Err() != nil {
		return exitFailed // it was ended before its time
	}
	return 0
}
