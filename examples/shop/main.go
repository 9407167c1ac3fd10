package shop

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Exit codes of Main.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// role is one kind of process. Its name is also the word on the command line.
type role struct {
	name  string
	port  int
	about string
	// declare adds the role's own flags and returns what builds it once they are parsed and the listener is open.
	declare func(fs *flag.FlagSet) func(p *process) error
}

// roles in the order in which an order passes them.
func roles() []role {
	return []role{
		{"gateway", gatewayPort, "where customers send orders: POST /orders", declareGateway},
		{"checkout", checkoutPort, "turns an order into a quote, a reservation and a payment", declareCheckout},
		{"partner", partnerPort, "a third party that quotes the shipping price", declarePartner},
		{"inventory", inventoryPort, "reserves the goods", declareInventory},
		{"payments", paymentsPort, "posts payments to the ledger through a bounded pool", declarePayments},
		{"ledger", ledgerPort, "writes each order id down once", declareLedger},
		{"load", loadPort, "sends orders at a fixed rate and counts what became of each: GET /stats", declareLoad},
	}
}

// Main runs the shop's command line, without the program's name, and returns the exit code: 0 after a clean stop or
// help, 1 when the role could not run, 2 when the command line is wrong. A role runs until SIGTERM or SIGINT.
func Main(args []string, stdout, stderr io.Writer) int {
	return run(context.Background(), args, stdout, stderr)
}

// run is Main with one more way to stop: the end of ctx.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, overview())
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, overview())
		return exitOK
	}
	for _, r := range roles() {
		if r.name == args[0] {
			return runRole(ctx, r, args[1:], stdout, stderr)
		}
	}
	fmt.Fprintf(stderr, "shop: unknown role %q; the roles are %s; `shop --help` explains them\n", args[0], roleNames())
	return exitUsage
}

func runRole(ctx context.Context, r role, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet(r.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	o := declareOptions(fs)
	build := r.declare(fs)
	err := fs.Parse(args)
	if err == nil && fs.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, roleHelp(r, fs))
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "shop: %s: %v; `shop %s --help` lists the flags\n", r.name, err, r.name)
		return exitUsage
	}
	if err := newProcess(r, o, stdout, stderr).run(ctx, build); err != nil {
		fmt.Fprintf(stderr, "shop: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// options are the flags that every role has.
type options struct {
	host         hostFlag
	pidfile      string
	startupDelay bounded[time.Duration]
}

func declareOptions(fs *flag.FlagSet) *options {
	o := &options{host: "127.0.0.1", startupDelay: bounded[time.Duration]{max: time.Hour, parse: time.ParseDuration}}
	fs.Var(&o.host, "host", "loopback `ADDRESS` that the whole shop listens on and is called at")
	fs.StringVar(&o.pidfile, "pidfile", "", "`FILE` for the process id: written when the port is open, removed at a clean exit")
	fs.Var(&o.startupDelay, "startup-delay", "wait this `DURATION` before opening the port, as a slow starter would")
	return o
}

// hostFlag is an address of the loopback interface; a shop without authentication belongs nowhere else.
type hostFlag string

func (h *hostFlag) String() string { return string(*h) }

func (h *hostFlag) Set(s string) error {
	if ip := net.ParseIP(s); ip == nil || !ip.IsLoopback() {
		return errors.New("not a loopback address such as 127.0.0.1")
	}
	*h = hostFlag(s)
	return nil
}

// bounded is a flag whose value lies in [min, max].
type bounded[T int | float64 | time.Duration] struct {
	value, min, max T
	parse           func(string) (T, error)
}

func (b *bounded[T]) String() string { return fmt.Sprint(b.value) }

func (b *bounded[T]) Set(s string) error {
	v, err := b.parse(s)
	if err != nil {
		return err
	}
	if !(v >= b.min && v <= b.max) { // the negation also refuses NaN
		return fmt.Errorf("must be from %v to %v", b.min, b.max)
	}
	b.value = v
	return nil
}

func roleNames() string {
	var names []string
	for _, r := range roles() {
		names = append(names, r.name)
	}
	return strings.Join(names, ", ")
}
