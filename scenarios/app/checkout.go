package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

func init() { programs["checkout"] = checkout }

// shopfront is a service with a database behind it: each order is a row.
type shopfront struct {
	pool    *pgxpool.Pool
	flags   string
	ok, bad atomic.Int64
	shed    atomic.Int64
	starts  int
	takes   time.Duration
}

// checkout --database URL --listen ADDRESS [--pidfile FILE] [--flags FILE] [--pool N] [--takes D]: takes orders at POST
// /orders, and browses at GET /, which is what it gives up first where the file of flags says {"shed": true}.
func checkout(ctx context.Context, args []string) error {
	set := flag.NewFlagSet("checkout", flag.ContinueOnError)
	database := set.String("database", "", "URL of the database")
	listen := set.String("listen", "", "host:port")
	pidfile := set.String("pidfile", "", "file for the process id")
	s := &shopfront{}
	set.StringVar(&s.flags, "flags", "", "file of flags")
	size := set.Int("pool", 10, "connections at most")
	set.DurationVar(&s.takes, "takes", 5*time.Millisecond, "how long the database works on an order")
	if err := set.Parse(args); err != nil {
		return err
	}
	if err := s.countStart(*pidfile + ".starts"); err != nil {
		return err
	}
	if *pidfile != "" {
		if err := os.WriteFile(*pidfile, []byte(fmt.Sprintln(os.Getpid())), 0o644); err != nil {
			return err
		}
	}
	config, err := pgxpool.ParseConfig(*database)
	if err != nil {
		return err
	}
	config.MaxConns = int32(*size)
	config.ConnConfig.RuntimeParams["application_name"] = "checkout"
	config.ConnConfig.ConnectTimeout = time.Second
	config.MaxConnIdleTime, config.HealthCheckPeriod = 2*time.Second, 500*time.Millisecond
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return err
	}
	defer s.pool.Close()
	go func() {
		if err := s.prepare(ctx); err != nil {
			fmt.Printf("the table is not made: %v\n", err)
		}
	}()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", s.order)
	mux.HandleFunc("POST /missing", s.missing)
	mux.HandleFunc("GET /browse", s.browse)
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("GET /metrics", s.metrics)
	return serve(ctx, *listen, mux)
}

// countStart counts in a file how often it was started.
func (s *shopfront) countStart(path string) error {
	raw, err := os.ReadFile(path)
	if err == nil {
		_, err = fmt.Sscan(string(raw), &s.starts)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s.starts++
	return os.WriteFile(path, []byte(fmt.Sprintln(s.starts)), 0o644)
}

func (s *shopfront) prepare(ctx context.Context) error {
	for {
		_, err := s.pool.Exec(ctx, "create table if not exists orders (id bigint generated always as identity primary key, number bigint, item text not null, at timestamptz default now())")
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// within is how long a request waits for a connection and for the database.
const within = 800 * time.Millisecond

func (s *shopfront) order(w http.ResponseWriter, request *http.Request) {
	ctx, cancel := context.WithTimeout(request.Context(), within)
	defer cancel()
	number, err := strconv.Atoi(cmp.Or(request.URL.Query().Get("number"), "0"))
	if err == nil {
		_, err = s.pool.Exec(ctx, "with work as (select pg_sleep($1)) insert into orders (number, item) select $2, 'mug' from work",
			s.takes.Seconds(), number)
	}
	s.answer(w, err)
}

// missing is asked with the numbers of orders that were confirmed, and says how many of them are not in the database.
func (s *shopfront) missing(w http.ResponseWriter, request *http.Request) {
	ctx, cancel := context.WithTimeout(request.Context(), within)
	defer cancel()
	var numbers []int64
	var missing int
	err := json.NewDecoder(request.Body).Decode(&numbers)
	if err == nil {
		err = s.pool.QueryRow(ctx, "select count(*) from unnest($1::bigint[]) as asked where not exists (select from orders where number = asked)",
			numbers).Scan(&missing)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, missing)
}

// browse is what can be given up.
func (s *shopfront) browse(w http.ResponseWriter, request *http.Request) {
	if s.sheds() {
		s.shed.Add(1)
		w.Header().Set("Retry-After", "5")
		http.Error(w, "come back later", http.StatusTooManyRequests)
		return
	}
	ctx, cancel := context.WithTimeout(request.Context(), within)
	defer cancel()
	_, err := s.pool.Exec(ctx, "select pg_sleep($1)", 4*s.takes.Seconds())
	s.answer(w, err)
}

func (s *shopfront) sheds() bool {
	var flags struct {
		Shed bool `json:"shed"`
	}
	raw, err := os.ReadFile(s.flags)
	return err == nil && json.Unmarshal(raw, &flags) == nil && flags.Shed
}

func (s *shopfront) ready(w http.ResponseWriter, request *http.Request) {
	ctx, cancel := context.WithTimeout(request.Context(), within)
	defer cancel()
	if err := s.pool.Ping(ctx); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

func (s *shopfront) answer(w http.ResponseWriter, err error) {
	if err == nil {
		s.ok.Add(1)
		return
	}
	s.bad.Add(1)
	status := http.StatusInternalServerError
	if errors.Is(err, context.DeadlineExceeded) {
		status = http.StatusServiceUnavailable
	}
	http.Error(w, err.Error(), status)
}

func (s *shopfront) metrics(w http.ResponseWriter, _ *http.Request) {
	stat := s.pool.Stat()
	fmt.Fprintf(w, "# TYPE db_pool_in_use gauge\ndb_pool_in_use %d\n", stat.AcquiredConns())
	fmt.Fprintf(w, "# TYPE db_pool_max gauge\ndb_pool_max %d\n", stat.MaxConns())
	fmt.Fprintf(w, "# TYPE starts_total counter\nstarts_total %d\n", s.starts)
	fmt.Fprintf(w, "# TYPE db_pool_waits_total counter\ndb_pool_waits_total %d\n", stat.EmptyAcquireCount())
	fmt.Fprintf(w, "# TYPE http_requests_total counter\nhttp_requests_total{code=\"200\"} %d\nhttp_requests_total{code=\"500\"} %d\nhttp_requests_total{code=\"429\"} %d\n",
		s.ok.Load(), s.bad.Load(), s.shed.Load())
}
