// Command jenner watches systems, heals what it can prove to heal, and calls a human for the rest.
//
// It is for the command line: each subcommand has one file. It is not for what they do, which stands in the packages
// that they call.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner/examples/shop"
)

func main() {
	// The demo's shop is this very program under another name, so that the demo needs nothing but the one binary.
	if filepath.Base(os.Args[0]) == "shop" {
		os.Exit(shop.Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(run(os.Args[1:]))
}

// exitCode is an error that has been told already and only sets the exit code.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// The exit codes.
const (
	exitOK    = 0
	exitNo    = 1 // it ran, and the answer is no; or it failed
	exitUsage = 2 // it was asked the wrong way
)

// errUsage marks a wrong way of asking.
var errUsage = errors.New("usage")

func run(args []string) int {
	ctx, stop := interruptible()
	defer stop()
	root := rootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var code exitCode
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintf(os.Stderr, "jenner: %v\n", err)
	if errors.Is(err, errUsage) || asksWrongly(err) {
		return exitUsage
	}
	return exitNo
}

// asksWrongly recognises what the command line library itself refuses; its errors have no type to tell them by.
func asksWrongly(err error) bool {
	for _, start := range []string{"unknown command ", "required flag(s) ", "accepts "} {
		if strings.HasPrefix(err.Error(), start) {
			return true
		}
	}
	return false
}

// interruptible ends the context at the first Ctrl-C, so that everything is put in order, and the program at the second.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		got := <-signals
		fmt.Fprintf(os.Stderr, "\njenner: %v: putting things in order; once more ends at once\n", got)
		cancel(errInterrupted)
		<-signals
		os.Exit(130)
	}()
	return ctx, func() { signal.Stop(signals); cancel(nil) }
}

var errInterrupted = errors.New("interrupted")

// settings are the flags that every subcommand has.
type settings struct {
	data    string
	verbose bool
}

func rootCommand() *cobra.Command {
	set := &settings{}
	root := &cobra.Command{
		Use:   "jenner",
		Short: "Heal systems, and prove it",
		Long: `Jenner watches services, notices failures, finds the cause and how sure it is, decides behind guards whether it
may act, runs a runbook one guarded step at a time, verifies that the service recovered, undoes what did not help, and
calls a human with everything it learned. It also breaks things on purpose, to prove each runbook before it is trusted.

Start here:
  jenner demo              breaks a real shop before your eyes and heals it; needs nothing, leaves nothing
  jenner check DIR         finds every mistake in the files that describe your services
  jenner drill FILE        breaks one of them on purpose and says whether Jenner healed it
  jenner coverage          shows which runbooks are proven against which faults
  jenner gameday           lets people practise on faults that come at set times
  jenner undo --all        takes back every fault, whoever injected it
  jenner serve DIR         watches and heals until it is stopped
  jenner stop              stops all action at once, until jenner resume
  jenner why INCIDENT      says why something was done, or why not`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&set.data, "data", defaultData(), "the folder that holds all state")
	root.PersistentFlags().BoolVarP(&set.verbose, "verbose", "v", false, "say more")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help%w", err, cmd.CommandPath(), silent{errUsage})
	})
	root.AddCommand(demoCommand(), serveCommand(set), checkCommand(), drillCommand(set), incidentsCommand(set),
		whyCommand(set), approveCommand(set), rejectCommand(set), stopCommand(set), pauseCommand(set), resumeCommand(set),
		undoCommand(set), maturityCommand(set), coverageCommand(set), gamedayCommand(set), runCommand(set), replayCommand(set), auditCommand(set), schemaCommand(),
		rbacCommand(), manifestsCommand(), whoseCommand(), versionCommand(),
		referenceCommand(),
		proxyCommand(), reaperCommand(set), holdCommand(set), insideCommand())
	return root
}

// silent is an error that can be asked for and is not shown.
type silent struct{ error }

func (silent) Error() string   { return "" }
func (s silent) Unwrap() error { return s.error }

// usage is an error about how the program was asked.
func usage(format string, args ...any) error {
	return fmt.Errorf("%w%w", fmt.Errorf(format, args...), silent{errUsage})
}

// exactly wants that many arguments, and says which.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return usage("%s wants %d arguments %v and got %d; see %s --help", cmd.CommandPath(), len(names), names, len(args),
				cmd.CommandPath())
		}
		return nil
	}
}

// atLeastOne wants one argument or more.
func atLeastOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage("%s wants at least one %s; see %s --help", cmd.CommandPath(), name, cmd.CommandPath())
		}
		return nil
	}
}

// defaultData is $XDG_STATE_HOME/jenner, or ~/.local/state/jenner.
func defaultData() string {
	if state := os.Getenv("XDG_STATE_HOME"); state != "" {
		return filepath.Join(state, "jenner")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "jenner-data"
	}
	return filepath.Join(home, ".local", "state", "jenner")
}

func (s *settings) logger(quietest slog.Level) *slog.Logger { return s.loggerTo(os.Stderr, quietest) }

// loggerTo is the logger of who writes to the terminal himself.
func (s *settings) loggerTo(terminal io.Writer, quietest slog.Level) *slog.Logger {
	level := quietest
	if s.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(terminal, &slog.HandlerOptions{Level: level}))
}
