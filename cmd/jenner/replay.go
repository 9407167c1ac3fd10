package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/store/sqlite"
)

func replayCommand(set *settings) *cobra.Command {
	var configs []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "replay INCIDENT|FILE...",
		Short: "Run past incidents through today's files and say what would happen",
		Long: `Takes what was seen of an incident (its alerts, the probes and numbers that the diagnosis looked at), runs it through
the files as they are now, with what had been done and proved until then, and says what would be diagnosed, what every
guard would say and what each step would do. Nothing is changed, and nothing is asked of the live world but whether the
steps are possible. What today's files look at and nobody looked at then is missing evidence.

FILE is what jenner incidents ID --json printed (for several, one after the other), or a list of alerts as JSON:
  [{"service": "checkout", "name": "ready-failing", "kind": "probe", "starts_at": "2026-11-22T03:00:00Z"}]

Exit code 1 where, for an incident that was recorded, something else than then would be decided.`,
		Example: "  jenner replay i-1122-034501-9f03aa --config examples/shop/jenner",
		Args:    atLeastOne("incident or file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := replaying{out: cmd.OutOrStdout(), asJSON: asJSON}
			store, err := sqlite.Open(set.data, sqlite.Options{ReadOnly: true})
			if err == nil {
				defer store.Close()
				r.store = store
			}
			r.docs, err = r.documents(cmd.Context(), configs, set.logger(slog.LevelError))
			if err != nil {
				return err
			}
			return r.all(cmd.Context(), args)
		},
	}
	cmd.Flags().StringSliceVar(&configs, "config", nil, "folder with the files; the one that jenner serve was last started with where not said")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// replaying is one call of the command.
type replaying struct {
	store  *sqlite.Store // nil: there is no data directory, so nothing was done before
	docs   *jenner.Documents
	out    io.Writer
	asJSON bool
}

func (r *replaying) documents(ctx context.Context, configs []string, logger *slog.Logger) (*jenner.Documents, error) {
	if r.store == nil && len(configs) == 0 {
		return nil, usage("there is no data directory that tells where the files are; name the folder: --config DIR")
	}
	return documentsOf(ctx, r.store, configs, logger)
}

// past is one incident to be replayed.
type past struct {
	id, service string
	scene       jenner.Scene
	then        *jenner.Incident // nil: only alerts are known
}

// replayed is what the command says about one incident.
type replayed struct {
	Then string        `json:"then,omitempty"` // what was decided first when it happened
	Now  loop.Replayed `json:"now"`
	Same bool          `json:"same"`
}

func (r *replaying) all(ctx context.Context, args []string) error {
	differs := false
	results := []replayed{}
	for _, arg := range args {
		pasts, err := r.find(ctx, arg)
		if err != nil {
			return err
		}
		for _, one := range pasts {
			result, err := r.one(ctx, one)
			if err != nil {
				return fmt.Errorf("%s: %w", one.id, err)
			}
			differs = differs || !result.Same
			results = append(results, result)
			if !r.asJSON {
				if err := r.tell(ctx, one, result); err != nil {
					return err
				}
			}
		}
	}
	if r.asJSON {
		if err := json.NewEncoder(r.out).Encode(results); err != nil {
			return err
		}
	}
	if differs {
		return exitCode(exitNo)
	}
	return nil
}

// find gives the incidents that an argument means: one in the store, or those in a file.
func (r *replaying) find(ctx context.Context, arg string) ([]past, error) {
	raw, err := os.ReadFile(arg)
	if err == nil {
		return fromFile(arg, raw)
	}
	if !errors.Is(err, os.ErrNotExist) || r.store == nil {
		return nil, fmt.Errorf("there is no file %s, and no data directory with an incident of that name: %w", arg, err)
	}
	record, err := r.store.Load(ctx, loop.IncidentLine, arg)
	if errors.Is(err, jenner.ErrNotFound) {
		return nil, fmt.Errorf("there is neither an incident nor a file %q; `jenner incidents` lists the incidents", arg)
	}
	if err != nil {
		return nil, err
	}
	shown, err := readIncident(record)
	if err != nil {
		return nil, err
	}
	if shown.Timeline, err = r.store.Timeline(ctx, loop.IncidentLine, arg); err != nil {
		return nil, err
	}
	one, err := fromShown(shown)
	return []past{one}, err
}

// fromShown takes what was seen last before anything was done: from then on Jenner's own actions were seen as well.
func fromShown(shown shownIncident) (past, error) {
	incident := shown.Incident
	// Where it was never diagnosed, or by an older version, there are only the alerts.
	one := past{id: incident.ID, service: incident.Service, then: &incident, scene: sceneOf(incident.Alerts, incident.OpenedAt)}
	for _, entry := range shown.Timeline {
		if entry.Kind == "run" {
			break
		}
		if entry.Kind == jenner.EntryScene {
			one.scene = jenner.Scene{}
			if err := json.Unmarshal(entry.Data, &one.scene); err != nil {
				return one, err
			}
		}
	}
	return one, nil
}

func sceneOf(alerts []jenner.Alert, at time.Time) jenner.Scene {
	scene := jenner.Scene{At: at}
	for _, alert := range alerts {
		alert.Status = jenner.Firing
		if alert.SeenAt.IsZero() || alert.SeenAt.After(at) {
			alert.SeenAt = at
		}
		scene.Firing = append(scene.Firing, alert)
	}
	return scene
}

func fromFile(path string, raw []byte) ([]past, error) {
	var alerts []jenner.Alert
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		if err := json.Unmarshal(raw, &alerts); err != nil {
			return nil, fmt.Errorf("%s is not a list of alerts: %w", path, err)
		}
		return fromAlerts(path, alerts)
	}
	var pasts []past
	decoder := json.NewDecoder(bytes.NewReader(raw))
	for {
		var shown shownIncident
		err := decoder.Decode(&shown)
		if errors.Is(err, io.EOF) && len(pasts) > 0 {
			return pasts, nil
		}
		if err == nil && shown.Incident.ID == "" {
			err = errors.New("it has no incident with an id")
		}
		if err != nil {
			return nil, fmt.Errorf("%s is neither what `jenner incidents ID --json` prints nor a list of alerts: %w", path, err)
		}
		one, err := fromShown(shown)
		if err != nil {
			return nil, fmt.Errorf("%s: incident %s: %w", path, shown.Incident.ID, err)
		}
		pasts = append(pasts, one)
	}
}

// fromAlerts makes one incident of each service that has an alert in a list.
func fromAlerts(path string, alerts []jenner.Alert) ([]past, error) {
	var pasts []past
	for i, alert := range alerts {
		if alert.Service == "" || alert.Name == "" {
			return nil, fmt.Errorf("%s: alert %d needs a service and a name", path, i+1)
		}
		if alert.Fingerprint == "" {
			alerts[i].Fingerprint = jenner.Fingerprint(alert.Service, alert.Name, alert.Target.String())
		}
	}
	at := time.Time{}
	for _, alert := range alerts {
		for _, moment := range []time.Time{alert.StartsAt, alert.SeenAt} {
			if moment.After(at) {
				at = moment
			}
		}
	}
	if at.IsZero() {
		at = time.Now()
	}
	seen := map[string]bool{}
	for i, alert := range alerts {
		if !seen[alert.Service] {
			seen[alert.Service] = true
			pasts = append(pasts, past{id: fmt.Sprintf("%s#%d", path, i+1), service: alert.Service, scene: sceneOf(alerts, at)})
		}
	}
	return pasts, nil
}

func (r *replaying) one(ctx context.Context, one past) (replayed, error) {
	replay := loop.Replay{Docs: r.docs, Stepper: app.Rehearsal(r.docs, providers)}
	if r.store != nil {
		replay.Memory = r.store
	}
	now, err := replay.Run(ctx, one.id, one.service, one.scene)
	if err != nil {
		return replayed{}, err
	}
	result := replayed{Now: now, Same: true}
	if one.then != nil {
		result.Then = decidedThen(*one.then, one.scene)
		result.Same = result.Then == decided(now)
	}
	return result, nil
}

// decidedThen is what was decided when the scene was seen, in the words of decided.
func decidedThen(incident jenner.Incident, scene jenner.Scene) string {
	for _, decision := range incident.Decisions {
		if !decision.At.Before(scene.At) {
			return inWords(decision)
		}
	}
	return "nothing: " + incident.Outcome
}

func decided(now loop.Replayed) string {
	if now.Nothing != "" {
		return "nothing: " + now.Nothing
	}
	return inWords(now.Decision)
}

func inWords(decision jenner.Decision) string {
	text := fmt.Sprintf("%s %s on %s of %s", decision.Outcome, decision.Runbook, decision.Target, decision.Service)
	if stopper := decision.Stopper(); stopper.Guard != "" {
		text += " (guard " + stopper.Guard + ")"
	}
	return text
}

func (r *replaying) tell(ctx context.Context, one past, result replayed) error {
	fmt.Fprintf(r.out, "%s  %s  as seen at %s\n", one.id, one.service, one.scene.At.Local().Format(time.DateTime))
	if one.then != nil {
		fmt.Fprintf(r.out, "then: %s\n", result.Then)
	}
	fmt.Fprintf(r.out, "now:  %s\n", decided(result.Now))
	if cause, known := result.Now.Incident.Diagnosis.Best(); known {
		fmt.Fprintf(r.out, "\ncause %s on %s, confidence %.2f = %s\n", cause.Cause, cause.Service, float64(cause.Confidence), cause.Formula)
		for _, evidence := range cause.Evidence {
			fmt.Fprintf(r.out, "  %-11s %s: %s\n", evidence.Finding, evidence.What, evidence.Saw)
		}
	}
	if len(result.Now.Decision.Guards) > 0 {
		fmt.Fprintln(r.out)
		for _, guard := range result.Now.Decision.Guards {
			fmt.Fprintf(r.out, "  %s %-11s %-9s %s\n", mark(guard.Outcome), guard.Guard, guard.Outcome, guard.Reason)
		}
		fmt.Fprintln(r.out)
		if err := rehearse(ctx, r.docs, result.Now.Decision.Runbook, result.Now.Decision.Service, result.Now.Decision.Target, r.out); err != nil && !isNo(err) {
			return err
		}
	}
	fmt.Fprintln(r.out)
	return nil
}

// isNo tells whether an error only says that something is not possible now.
func isNo(err error) bool {
	var code exitCode
	return errors.As(err, &code)
}
