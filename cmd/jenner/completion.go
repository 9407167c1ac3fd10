package main

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// completer completes one argument or flag in the shell.
type completer = func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective)

// complete completes names out of the files: those of --config, or those that the jenner of the data directory was last
// started with. most is how many arguments there are at most; 0: any number. A shell that waits for names is no place for
// errors: where nothing can be read, nothing is offered.
func (s *settings) complete(most int, names func(*jenner.Documents) []string) completer {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		configs, _ := cmd.Flags().GetStringSlice("config") // not every command has it
		found := names(filesFor(cmd.Context(), s.data, configs))
		if len(found) == 0 && len(configs) > 0 && !cmd.Flags().Changed("config") {
			found = names(filesFor(cmd.Context(), s.data, nil))
		}
		return offered(found, args, typed), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlags completes the flags that name something in the files.
func (s *settings) completeFlags(cmd *cobra.Command) {
	for flag, names := range map[string]func(*jenner.Documents) []string{"service": servicesOf, "policy": policiesOf, "runbook": runbooksOf} {
		if cmd.Flags().Lookup(flag) != nil {
			_ = cmd.RegisterFlagCompletionFunc(flag, s.complete(0, names)) // fails only where there is no such flag
		}
	}
}

// completePaused completes the services that are paused.
func (s *settings) completePaused(_ *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	paused := namesOf(app.NewHolds(s.data, time.Now).Pauses(), func(hold jenner.Hold) string { return hold.Scope + "\tpaused by " + hold.By })
	return offered(paused, args, typed), cobra.ShellCompDirectiveNoFileComp
}

// completeIncidents completes incidents with what they are about: the open ones, or all of the last ones.
func (s *settings) completeIncidents(most int, openOnly, files bool) completer {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		directive := cobra.ShellCompDirectiveNoFileComp
		if files {
			directive = cobra.ShellCompDirectiveDefault
		}
		if most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return offered(incidentsIn(cmd.Context(), s.data, openOnly), args, typed), directive
	}
}

// manyOffered is how many incidents a shell is offered at most.
const manyOffered = 50

func incidentsIn(ctx context.Context, data string, openOnly bool) []string {
	store, err := sqlite.Open(data, sqlite.Options{ReadOnly: true})
	if err != nil {
		return nil
	}
	defer store.Close()
	records, err := store.List(ctx, loop.IncidentLine, sqlite.ListFilter{OpenOnly: openOnly, Limit: manyOffered})
	if err != nil {
		return nil
	}
	var found []string
	for _, record := range records {
		about := record.Subject + ", " + string(record.Phase)
		if shown, err := readIncident(record); err == nil && shown.Incident.Request() != nil && !record.Ended {
			about = record.Subject + ", asks about " + shown.Incident.Request().Runbook
		}
		found = append(found, record.ID+"\t"+about)
	}
	return found
}

// offered leaves out what stands on the line already, and what does not begin as what was typed.
func offered(all, args []string, typed string) []cobra.Completion {
	there := map[string]bool{}
	for _, arg := range args {
		there[arg] = true
	}
	var found []cobra.Completion
	for _, one := range all {
		if name, _, _ := strings.Cut(one, "\t"); !there[name] && strings.HasPrefix(name, typed) {
			found = append(found, one)
		}
	}
	return found
}

// filesFor are the files as far as they can be read; without any, documents without anything.
func filesFor(ctx context.Context, data string, configs []string) *jenner.Documents {
	if len(configs) == 0 {
		store, err := sqlite.Open(data, sqlite.Options{ReadOnly: true})
		if err != nil {
			return &jenner.Documents{}
		}
		defer store.Close()
		if configs, err = app.ConfigOf(ctx, store); err != nil {
			return &jenner.Documents{}
		}
	}
	docs, err := app.Read(configs, providers, slog.New(slog.DiscardHandler))
	if err != nil {
		return &jenner.Documents{}
	}
	return docs
}

func namesOf[T any](all []T, name func(T) string) []string {
	names := make([]string, 0, len(all))
	for _, one := range all {
		names = append(names, name(one))
	}
	return names
}

func servicesOf(docs *jenner.Documents) []string {
	return namesOf(docs.Services, func(s jenner.Service) string { return s.Name })
}

func policiesOf(docs *jenner.Documents) []string {
	return namesOf(docs.Policies, func(p jenner.Policy) string { return p.Name })
}

func runbooksOf(docs *jenner.Documents) []string {
	return namesOf(docs.Runbooks, func(r jenner.Runbook) string { return r.Name })
}
