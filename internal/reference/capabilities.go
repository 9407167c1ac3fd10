package reference

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/telemetry"
)

const forms = "Durations are written as `300ms`, `10m` or `30d`, shares as `15%` or `0.15`, numbers as `0.7`, `120` or `70%`.\n\n"

func actions(c *catalog.Catalog, said *comments) string {
	intro := `# Actions

What a step of a runbook can do. A step names the **verb**, and the kind of its target picks the provider: ` +
		"`restart`" + ` on a target of kind process is ` + "`process.restart`" + `. The full name may be written too.

` + forms
	return intro + entries(c.Actions(), said, func(name string, action act.Action) []string {
		return append([]string{worksOn(c, name, func(kind string) error {
			found, err := c.Action(verb(name), kind)
			return meant(found.Name, name, err)
		})}, actionTraits(action)...)
	})
}

// actionTraits say what the optional halves of an action promise.
func actionTraits(action act.Action) []string {
	if _, reads := action.(act.Reader); reads {
		return []string{"Changes nothing."}
	}
	var traits []string
	if _, undoes := action.(act.Undoer); undoes {
		traits = append(traits, "Can be undone.")
	} else {
		traits = append(traits, "Has no undo of its own.")
	}
	if _, knows := action.(act.Resolver); knows {
		traits = append(traits, "Tells after a crash of Jenner whether it happened.")
	} else {
		traits = append(traits, "After a crash of Jenner nobody can tell whether it happened, so a human is told.")
	}
	return traits
}

func faults(c *catalog.Catalog, said *comments) string {
	intro := `# Faults

What an experiment can break. As with actions, the verb is enough where the kind of the target tells the rest.

` + forms
	return intro + entries(c.Faults(), said, func(name string, fault chaos.Fault) []string {
		traits := []string{worksOn(c, name, func(kind string) error {
			found, err := c.Fault(verb(name), kind)
			return meant(found.Name, name, err)
		})}
		if _, renews := fault.(chaos.Renewer); renews {
			traits = append(traits, "Held by a lease: it ends by itself when nobody renews it.")
		}
		if _, holds := fault.(chaos.Holder); holds {
			traits = append(traits, "Held by a process of its own: it ends with that process, and with its lease when nobody renews it.")
		}
		return traits
	})
}

func probes(c *catalog.Catalog, said *comments) string {
	intro := `# Probes

How a service is asked again and again. The key is written in the probe, with its settings below it:

` + "```yaml" + `
probes:
- {name: ready, http: {url: http://127.0.0.1:8081/readyz}, every: 500ms, timeout: 300ms}
` + "```" + `

What every probe has besides (` + "`every`, `timeout`, `slow`, `fails`, `of`, `alert`" + `) stands under [documents](documents.md#probe).

` + forms
	return intro + entries(c.Probes(), said, func(name string, probe telemetry.Probe) []string {
		traits := []string{"Written as `" + verb(name) + ":`."}
		if verb(name) == jenner.AliveProbe {
			traits = []string{"Every target of kind `" + strings.TrimSuffix(name, "."+verb(name)) + "` has it without being written, under the name `alive`."}
		}
		if _, watches := probe.(telemetry.Watcher); watches {
			traits = append(traits, "Hears of a change at once, without waiting for its next turn.")
		}
		return traits
	})
}

func sources(c *catalog.Catalog, said *comments) string {
	intro := `# Metrics sources

Where the numbers of what has no metrics page come from. The key is written in the service, with its settings below it:

` + "```yaml" + `
metrics:
- {scrape: http://127.0.0.1:8081/metrics, every: 1s}
- {postgres: {target: db}, every: 1s}
` + "```" + `

Each number gets the labels ` + "`service` and `instance`" + `. ` + "`up`" + ` is 1 while the source answers. Where it does not, it is 0 and all other
series of the source end at once: no number is then better than an old one.

` + forms
	return intro + entries(c.Sources(), said, func(name string, _ any) []string {
		return []string{"Written as `" + verb(name) + ":`."}
	})
}

func notifiers(c *catalog.Catalog, said *comments) string {
	intro := `# Notifiers

How people are told. A channel names one by its key, and a policy names the channel:

` + "```yaml" + `
kind: channel
name: on-call
webhook: {url: https://pager.example/hook}
` + "```" + "\n\n" + forms
	return intro + entries(c.Notifiers(), said, func(name string, _ any) []string {
		return []string{"Written as `" + verb(name) + ":`."}
	})
}

func targets(c *catalog.Catalog, said *comments) string {
	intro := `# Kinds of targets

What can be watched, changed and broken. The settings stand beside ` + "`kind` and `name`:" + `

` + "```yaml" + `
targets:
- {kind: process, name: checkout, start: ./shop checkout, pidfile: run/checkout.pid}
` + "```" + "\n\n" + forms
	return intro + entries(c.TargetKinds(), said, func(kind string, _ any) []string {
		var can []string
		for _, action := range c.Actions() {
			if found, err := c.Action(verb(action.Name), kind); err == nil && found.Name == action.Name && owned(c, kind, action.Name) {
				can = append(can, "`"+verb(action.Name)+"`")
			}
		}
		for _, fault := range c.Faults() {
			if found, err := c.Fault(verb(fault.Name), kind); err == nil && found.Name == fault.Name {
				can = append(can, "the fault `"+verb(fault.Name)+"`")
			}
		}
		if len(can) == 0 {
			return nil
		}
		return []string{"Actions and faults: " + strings.Join(can, ", ") + "."}
	})
}

// owned leaves out the actions that work on every target and on none.
func owned(c *catalog.Catalog, kind, action string) bool {
	_, err := c.Action(verb(action), "")
	return err != nil && kind != ""
}

// entries writes one section for each entry, with what traits says of it and its parameters.
func entries[T, U any](list []catalog.Entry[T], said *comments, traits func(name string, value U) []string) string {
	var out strings.Builder
	for _, entry := range list {
		value := any(entry.New())
		found := said.of(reflect.TypeOf(value))
		as, _ := value.(U)
		fmt.Fprintf(&out, "## %s\n\n%s %s\n\n", entry.Name, sentence(entry.Doc), cell(found.doc))
		if more := traits(entry.Name, as); len(more) > 0 {
			fmt.Fprintf(&out, "%s\n\n", strings.Join(more, " "))
		}
		t := &table{comments: said, heading: "###", params: true}
		t.fields(value)
		out.WriteString(t.out.String())
		fmt.Fprintf(&out, "Source: [`%s`](../../%s)\n\n", found.file, found.file)
	}
	return strings.TrimRight(out.String(), "\n") + "\n"
}

// sentence ends a text as a sentence ends.
func sentence(text string) string {
	if strings.HasSuffix(text, "?") || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

// worksOn says for which kinds of targets a verb means this entry.
func worksOn(c *catalog.Catalog, name string, find func(kind string) error) string {
	if find("") == nil {
		return "Needs no target."
	}
	var kinds []string
	for _, kind := range c.TargetKinds() {
		if find(kind.Name) == nil {
			kinds = append(kinds, "`"+kind.Name+"`")
		}
	}
	return "Works on targets of kind " + strings.Join(kinds, ", ") + "."
}

// meant is an error where a verb stands for another provider's entry.
func meant(found, name string, err error) error {
	if err == nil && found != name {
		return fmt.Errorf("%s is %s there", verb(name), found)
	}
	return err
}

func verb(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }
