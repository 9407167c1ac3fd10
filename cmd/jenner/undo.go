package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/chaos"
)

func undoCommand(set *settings) *cobra.Command {
	var all, asJSON bool
	var files []string
	cmd := &cobra.Command{
		Use:   "undo [FAULT-ID...] | undo --all",
		Short: "Take faults back, whoever injected them; without an argument, list those that are open",
		Long: `Every fault is written into an undo journal in the data directory before it is injected, and forgotten when it is proved
to be gone. Without an argument, lists the faults that are still in there: since when, until when their lease lasts, and
which process holds them. With --all, or the IDs of some, takes them back and proves that the state from before has come
back.

With --all it also looks where faults write down on the very objects what they changed, such as in a Kubernetes cluster, and
takes back those whose lease is over, whoever injected them and on whichever machine: on the targets that the last jenner
with this data directory knew, and on those of the files that --files names.

It works whether or not a jenner runs, needs neither its files nor its store, and may be called again and again: undoing
twice is as undoing once. A drill whose fault is taken back proves nothing any more.

Exit code 0 where nothing is left; 1 where something could not be taken back, or did not come back as it was (residue). Then
the fault stays in the journal, and the next undo, or the next start of a jenner, tries again.`,
		Example:           "  jenner undo --data /var/lib/jenner\n  jenner undo --all --data /var/lib/jenner",
		ValidArgsFunction: set.completeFaults,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all && len(args) > 0 {
				return usage("write either --all or the IDs of faults")
			}
			if !all && len(files) > 0 {
				return usage("--files goes with --all")
			}
			undoer, err := app.NewUndoer(set.data, providers)
			if err != nil {
				return err
			}
			open, err := undoer.Open()
			if !all && len(args) == 0 {
				return errors.Join(err, listFaults(cmd.OutOrStdout(), open, time.Now(), asJSON))
			}
			if !all {
				if open, err = named(open, args, err, cmd.ErrOrStderr()); err != nil {
					return err
				}
			}
			done := undoEach(cmd.Context(), undoer, open, cmd.ErrOrStderr())
			if all {
				done.sweep(cmd.Context(), undoer, files, cmd.ErrOrStderr())
			}
			told := done.tell(cmd.OutOrStdout(), asJSON)
			if err == nil {
				return told
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "jenner: not the whole journal can be read: %v\n", err)
			return exitCode(exitNo)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "take back every fault")
	cmd.Flags().StringSliceVar(&files, "files", nil, "with --all, look also on the targets of these files, or folders of them")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// shownFault is one open fault in the JSON output. What and where it is stays empty while it is a secret.
type shownFault struct {
	ID         string           `json:"id"`
	By         string           `json:"by"` // the drill or the game day
	Secret     bool             `json:"secret,omitempty"`
	Fault      string           `json:"fault,omitempty"`
	Service    string           `json:"service,omitempty"`
	Target     jenner.TargetRef `json:"target,omitzero"`
	InjectedAt time.Time        `json:"injected_at"`
	Until      time.Time        `json:"until"`            // the lease
	Holder     int              `json:"holder,omitempty"` // pid of the process that holds it
	Alive      bool             `json:"alive,omitempty"`  // and it lives
}

func toShow(fault app.OpenFault) shownFault {
	s := shownFault{ID: fault.ID, By: fault.Drill, Secret: fault.Secret, InjectedAt: fault.InjectedAt, Until: fault.Until,
		Holder: fault.Holder, Alive: fault.Alive}
	if !fault.Secret {
		s.Fault, s.Service, s.Target = fault.Fault, fault.Service.Name, fault.Target.Ref()
	}
	return s
}

// about is what a person is told of a fault, which is little while it is a secret.
func (s shownFault) about() string {
	if s.Secret {
		return "a secret of game day " + s.By
	}
	return s.Fault + " on " + s.Target.String() + " of " + s.Service
}

func listFaults(out io.Writer, open []app.OpenFault, now time.Time, asJSON bool) error {
	list := []shownFault{}
	for _, fault := range open {
		list = append(list, toShow(fault))
	}
	if asJSON {
		return json.NewEncoder(out).Encode(list)
	}
	if len(list) == 0 {
		fmt.Fprintln(out, "no fault is open")
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tFAULT\tAGE\tLEASE\tHELD BY\tINJECTED BY")
	for _, fault := range list {
		lease := "over since " + roughly(now.Sub(fault.Until))
		if now.Before(fault.Until) {
			lease = "for " + roughly(fault.Until.Sub(now))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", fault.ID, fault.about(), roughly(now.Sub(fault.InjectedAt)), lease, fault.holder(), fault.By)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "\n`jenner undo --all` takes them back")
	return err
}

func (s shownFault) holder() string {
	switch {
	case s.Alive:
		return fmt.Sprintf("pid %d", s.Holder)
	case s.Holder > 0:
		return fmt.Sprintf("pid %d, which is gone", s.Holder)
	}
	return "-"
}

// roughly rounds for people.
func roughly(d time.Duration) string {
	unit := 100 * time.Millisecond
	if d >= 10*time.Second {
		unit = time.Second
	}
	return jenner.Duration(d.Round(unit)).String()
}

// named are the open faults with those IDs. One that is not open is nothing to undo, which is told: it may be gone, and it
// may be a mistake of writing. A journal that cannot be read as a whole may hold it all the same.
func named(open []app.OpenFault, ids []string, unread error, warn io.Writer) ([]app.OpenFault, error) {
	var found []app.OpenFault
	for _, id := range ids {
		at := slices.IndexFunc(open, func(fault app.OpenFault) bool { return fault.ID == id })
		switch {
		case at >= 0:
			found = append(found, open[at])
		case unread != nil:
			return nil, unread
		default:
			fmt.Fprintf(warn, "fault %s is not open; `jenner undo` lists those that are\n", id)
		}
	}
	return found, nil
}

// undone is what came of an undo, in the JSON output.
type undone struct {
	Undone   []shownFault  `json:"undone"`
	Left     []leftFault   `json:"left"`
	Swept    []chaos.Swept `json:"swept,omitempty"`    // found on the targets, and taken back
	Unlooked string        `json:"unlooked,omitempty"` // why not all places could be looked at
}

// sweep takes back what is over of the faults that are written down where they are.
func (u *undone) sweep(ctx context.Context, undoer *app.Undoer, files []string, progress io.Writer) {
	ended := make(chan error, 1)
	go func() {
		var err error
		u.Swept, err = undoer.Sweep(ctx, files)
		ended <- err
	}()
	if err := untilEnded(ended, "looking for faults on the targets", progress); err != nil {
		u.Unlooked = err.Error()
	}
}

// leftFault is one that could not be taken back.
type leftFault struct {
	shownFault
	Error string `json:"error"`
}

// slowUndo is how long an undo may take before people are told that it goes on.
const slowUndo = 2 * time.Second

// undoEach takes back one fault after the other and goes on after an error.
func undoEach(ctx context.Context, undoer *app.Undoer, open []app.OpenFault, progress io.Writer) undone {
	result := undone{Undone: []shownFault{}, Left: []leftFault{}}
	for i, fault := range open {
		show := toShow(fault)
		ended := make(chan error, 1)
		go func() { ended <- undoer.Undo(ctx, fault.ID) }()
		if err := untilEnded(ended, fmt.Sprintf("%d of %d: taking back %s", i+1, len(open), show.about()), progress); err != nil {
			result.Left = append(result.Left, leftFault{show, err.Error()})
			continue
		}
		result.Undone = append(result.Undone, show)
	}
	return result
}

// untilEnded waits, and says every slowUndo that it still does.
func untilEnded(ended <-chan error, what string, progress io.Writer) error {
	ticker := time.NewTicker(slowUndo)
	defer ticker.Stop()
	start := time.Now()
	for {
		select {
		case err := <-ended:
			return err
		case <-ticker.C:
			fmt.Fprintf(progress, "%s, for %s\n", what, roughly(time.Since(start)))
		}
	}
}

func (u undone) tell(out io.Writer, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(out).Encode(u); err != nil {
			return err
		}
	} else {
		for _, fault := range u.Undone {
			fmt.Fprintf(out, "%s is gone: %s\n", fault.ID, fault.about())
		}
		for _, fault := range u.Left {
			fmt.Fprintf(out, "%s IS LEFT: %s: %s\n", fault.ID, fault.about(), fault.Error)
		}
		for _, fault := range u.Swept {
			fmt.Fprintf(out, "%s is gone: %s on %s, which %s had left\n", fault.ID, fault.Fault, fault.On, fault.By)
			if fault.Kept != "" {
				fmt.Fprintf(out, "  somebody has changed %s since, which stays as it is\n", fault.Kept)
			}
		}
		if u.Unlooked != "" {
			fmt.Fprintf(out, "not everywhere could be looked: %s\n", u.Unlooked)
		} else if len(u.Undone)+len(u.Left)+len(u.Swept) == 0 {
			fmt.Fprintln(out, "there is nothing to undo")
		}
		if len(u.Left) > 0 {
			fmt.Fprintln(out, "What is left stays in the journal. Look at the target, put right what the message names, and undo again.")
		}
	}
	if len(u.Left) > 0 || u.Unlooked != "" {
		return exitCode(exitNo)
	}
	return nil
}

// completeFaults completes the IDs of open faults.
func (s *settings) completeFaults(_ *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	undoer, err := app.NewUndoer(s.data, providers)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	open, _ := undoer.Open() // a shell that waits is no place for errors
	ids := namesOf(open, func(fault app.OpenFault) string { return fault.ID + "\t" + toShow(fault).about() })
	return offered(ids, args, typed), cobra.ShellCompDirectiveNoFileComp
}
