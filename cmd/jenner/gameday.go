package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/report"
	"github.com/jenner-heal/jenner/store/sqlite"
)

var gamedayForms = forms[report.Gameday]{".html": report.Gameday.HTML, ".json": report.Gameday.JSON}

func gamedayCommand(set *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gameday",
		Short: "Practise: faults come at set times, and people find and remove them",
		Long: `A game day is a document of kind gameday: faults with their times, some of them secret, and who practises. One person
runs it, and the others find out what is wrong. What they do they say from any terminal, with the same --data:

  jenner gameday run FILE           injects the faults at their times and takes them back (one terminal; it stays there)
  jenner gameday ack [TEXT]         there is trouble, and it is mine
  jenner gameday comment TEXT       for the timeline
  jenner gameday resolve [TEXT]     it is over
  jenner gameday show               the timeline; once it is over, the scorecard with the secrets

Jenner watches and tells meanwhile, but does nothing, unless the document says heal: true.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(gamedayRunCommand(set), sayCommand(set, jenner.WordAck), sayCommand(set, jenner.WordComment),
		sayCommand(set, jenner.WordResolve), gamedayShowCommand(set))
	return cmd
}

// sayings are what the commands with which people speak are called and say of themselves.
var sayings = map[jenner.WordKind]struct{ use, short, long, example string }{
	jenner.WordAck: {"ack [TEXT]", "Say that you have seen trouble and that it is yours",
		`Writes down, with your name and the time, that you take care of what is wrong. With --service it is about the oldest fault
of that service that nobody acknowledged before; without, about the oldest of all. A service that nothing is wrong with is
written down as well, and counts as gone astray.`, "  jenner gameday ack --service checkout 'orders fail, I look at it'"},
	jenner.WordComment: {"comment TEXT", "Add a line to the timeline",
		`Writes down what you see or do. A comment that names the service or the target of a fault counts as having found it.`,
		"  jenner gameday comment 'checkout cannot reach its database'"},
	jenner.WordResolve: {"resolve [TEXT]", "Say that the trouble is over",
		`Writes down, with your name and the time, that what was wrong is put right. --service as with jenner gameday ack. The
scorecard tells whether the fault was really gone by then.`, "  jenner gameday resolve --service checkout 'restarted it'"},
}

func sayCommand(set *settings, kind jenner.WordKind) *cobra.Command {
	var service string
	var asJSON bool
	saying := sayings[kind]
	cmd := &cobra.Command{
		Use:               saying.use,
		Short:             saying.short,
		Long:              saying.long + "\n\nIt works from any terminal while the game day is on.",
		Example:           saying.example,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if kind == jenner.WordComment && len(args) == 0 {
				return usage("jenner gameday comment wants the text of the comment")
			}
			word := jenner.Word{At: time.Now(), Person: person(), Kind: kind, Service: service, Text: strings.Join(args, " ")}
			return sayWord(cmd.Context(), set.data, word, asJSON, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&service, "service", "", "the service that it is about")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	set.completeFlags(cmd)
	return cmd
}

func sayWord(ctx context.Context, data string, word jenner.Word, asJSON bool, out io.Writer) error {
	run, err := presentGameday(ctx, data)
	if err != nil {
		return err
	}
	if known := servicesOf(filesFor(ctx, data, nil)); word.Service != "" && len(known) > 0 && !slices.Contains(known, word.Service) {
		return usage("there is no service %q in the files%s", word.Service, strict.Hint(word.Service, known))
	}
	if people := run.Gameday.People; len(people) > 0 && !takesPart(people, word.Person, filesFor(ctx, data, nil)) {
		return fmt.Errorf("%s is not among those who practise: %s", word.Person, strings.Join(people, ", "))
	}
	store, err := sqlite.Open(data, sqlite.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	if run, err = loop.Say(ctx, store, run.ID, word); err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(out).Encode(word)
	}
	_, err = fmt.Fprintf(out, "%s %s by %s, %s into game day %s\n", word.At.Local().Format(time.TimeOnly), word.Kind, word.Person,
		roughly(word.At.Sub(run.StartedAt)), run.Gameday.Name)
	return err
}

// takesPart tells whether a person is named, or is a member of a team that is.
func takesPart(people []string, person string, docs *jenner.Documents) bool {
	for _, name := range people {
		if name == person {
			return true
		}
		for _, team := range docs.Teams {
			if team.Name == name && slices.Contains(team.Members, person) {
				return true
			}
		}
	}
	return false
}

// presentGameday is the game day that is on. It makes nothing: a data directory that a wrong --data names does not come
// about by asking.
func presentGameday(ctx context.Context, data string) (jenner.GamedayRun, error) {
	store, err := sqlite.Open(data, sqlite.Options{ReadOnly: true})
	if err != nil {
		return jenner.GamedayRun{}, err
	}
	defer store.Close()
	records, err := store.List(ctx, loop.GamedayLine, sqlite.ListFilter{OpenOnly: true, Limit: 1})
	if err != nil {
		return jenner.GamedayRun{}, err
	}
	if len(records) == 0 {
		return jenner.GamedayRun{}, errors.New("no game day is on in this data directory; `jenner gameday show` shows the last one")
	}
	return loop.GamedayOf(records[0])
}

func gamedayShowCommand(set *settings) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show [ID]",
		Short: "Show the game day that is on, or the scorecard of one that is over",
		Long: `Shows the timeline of a game day; the one that is on, or the last one, where no ID is written. Once it is over, the
scorecard is there too: for each fault whether it was found, when it was acknowledged and resolved, when the service was
well again, and what Jenner itself noticed and did. What is secret is not shown before.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: set.completeGamedays,
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := sqlite.Open(set.data, sqlite.Options{ReadOnly: true})
			if err != nil {
				return err
			}
			defer store.Close()
			id := ""
			if len(args) == 1 {
				id = args[0]
			}
			shown, err := gamedayIn(cmd.Context(), store, id)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(shown)
			}
			_, err = io.WriteString(cmd.OutOrStdout(), shown.Text())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// gamedayIn reads a game day with its timeline and the incidents of its time; the newest where no id is given.
func gamedayIn(ctx context.Context, store *sqlite.Store, id string) (report.Gameday, error) {
	var record jenner.Record
	var err error
	if id == "" {
		var all []jenner.Record
		if all, err = store.List(ctx, loop.GamedayLine, sqlite.ListFilter{Limit: 1}); err == nil && len(all) == 0 {
			return report.Gameday{}, errors.New("there was no game day in this data directory yet")
		} else if err == nil {
			record = all[0]
		}
	} else {
		record, err = store.Load(ctx, loop.GamedayLine, id)
		if errors.Is(err, jenner.ErrNotFound) {
			return report.Gameday{}, fmt.Errorf("there is no game day %q", id)
		}
	}
	if err != nil {
		return report.Gameday{}, err
	}
	run, err := loop.GamedayOf(record)
	if err != nil {
		return report.Gameday{}, err
	}
	timeline, err := store.Timeline(ctx, loop.GamedayLine, record.ID)
	if err != nil {
		return report.Gameday{}, err
	}
	incidents, err := incidentsOfGameday(ctx, store, run)
	if err != nil {
		return report.Gameday{}, err
	}
	shown := report.NewGameday(run, timeline, incidents)
	shown.At, shown.Version = time.Now(), version
	return shown, nil
}

// incidentsOfGameday are all incidents that were opened while it was on, the first one first.
func incidentsOfGameday(ctx context.Context, store *sqlite.Store, run jenner.GamedayRun) ([]report.Incident, error) {
	records, err := store.List(ctx, loop.IncidentLine, sqlite.ListFilter{Since: run.StartedAt})
	if err != nil {
		return nil, err
	}
	var found []report.Incident
	for _, record := range records {
		one := report.Incident{Phase: record.Phase}
		if err := json.Unmarshal(record.State, &one.Incident); err != nil {
			return nil, fmt.Errorf("incident %s cannot be read: %w", record.ID, err)
		}
		if !run.EndedAt.IsZero() && one.Incident.OpenedAt.After(run.EndedAt) {
			continue
		}
		if one.Timeline, err = store.Timeline(ctx, loop.IncidentLine, record.ID); err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	slices.SortFunc(found, func(a, b report.Incident) int { return a.Incident.OpenedAt.Compare(b.Incident.OpenedAt) })
	return found, nil
}

// completeGamedays completes the IDs of game days.
func (s *settings) completeGamedays(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	store, err := sqlite.Open(s.data, sqlite.Options{ReadOnly: true})
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer store.Close()
	records, _ := store.List(cmd.Context(), loop.GamedayLine, sqlite.ListFilter{Limit: manyOffered}) // a shell that waits is no place for errors
	ids := namesOf(records, func(record jenner.Record) string { return record.ID + "\t" + record.Subject })
	return offered(ids, args, typed), cobra.ShellCompDirectiveNoFileComp
}

// namedGameday is the game day of that name; the only one where no name is given.
func namedGameday(days []jenner.Gameday, name string, files []string) (jenner.Gameday, error) {
	names := namesOf(days, func(day jenner.Gameday) string { return day.Name })
	switch {
	case len(days) == 0:
		return jenner.Gameday{}, usage("there is no game day in %v", files)
	case name == "" && len(days) > 1:
		return jenner.Gameday{}, usage("there are %d game days in %v; say which: --name %s", len(days), files, strings.Join(names, ", --name "))
	}
	at := slices.Index(names, cmp.Or(name, names[0]))
	if at < 0 {
		return jenner.Gameday{}, usage("there is no game day %q%s", name, strict.Hint(name, names))
	}
	return days[at], nil
}

// quietLogger is for what a game day's terminal must not tell.
func quietLogger(set *settings, show *drillView, reveal bool) *slog.Logger {
	if !reveal && !set.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return set.loggerTo(show, slog.LevelError)
}
