package report_test

import (
	"encoding/xml"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/report"
)

var drawing = regexp.MustCompile(`(?s)<svg class="figure".*?</svg>`)

// drawn are the elements of the figures of a page: name and attributes, text as the attribute text.
func drawn(t *testing.T, page []byte) (figures [][]map[string]string) {
	t.Helper()
	for _, svg := range drawing.FindAll(page, -1) {
		var figure []map[string]string
		decoder := xml.NewDecoder(strings.NewReader(string(svg)))
		for {
			token, err := decoder.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("a figure is no XML: %v\n%s", err, svg)
			}
			switch token := token.(type) {
			case xml.StartElement:
				element := map[string]string{"": token.Name.Local}
				for _, attribute := range token.Attr {
					element[attribute.Name.Local] = attribute.Value
				}
				figure = append(figure, element)
			case xml.CharData:
				figure[len(figure)-1]["text"] += string(token)
			}
		}
		figures = append(figures, figure)
	}
	return figures
}

var coordinate = regexp.MustCompile(`-?[0-9.]+`)

// TestEverythingIsWithinTheFigure: whatever the numbers are, each line, dot and label lies within the drawing, and every mark
// that was within the time is there.
func TestEverythingIsWithinTheFigure(t *testing.T) {
	round := full().Drills[0].Rounds[0]
	for name, values := range map[string][]float64{
		"nothing": {}, "one point": {3}, "all the same": {0.25, 0.25, 0.25}, "zeros": {0, 0}, "below zero": {-5, -1, -3}, "both sides": {-1e-9, 2e9},
		"huge": {1e300, -1e300}, "tiny": {1e-300, 2e-300}, "no numbers": {math.NaN(), math.Inf(1), math.Inf(-1)}, "some are none": {1, math.NaN(), 2, math.Inf(1)},
	} {
		series := report.Series{Name: name}
		for i, value := range values {
			series.Points = append(series.Points, report.Point{At: round.InjectedAt.Add(time.Duration(i) * time.Second), Value: value})
		}
		round.Panels = []report.Panel{{Title: name, Series: []report.Series{series}}, {Title: name, Unit: "s", Series: []report.Series{series}, Below: &border}}
		all := full()
		all.Drills[0].Rounds = []report.Round{round}
		page, err := all.HTML()
		if err != nil {
			t.Fatal(err)
		}
		figures := drawn(t, page)
		if len(figures) != 2 {
			t.Fatalf("%s: %d figures, want the treatment's and the control arm's", name, len(figures))
		}
		for _, figure := range figures {
			within(t, name, figure)
		}
		var marks []string
		for _, element := range figures[0] {
			if element[""] == "g" {
				marks = append(marks, strings.TrimPrefix(element["class"], "mark "))
			}
		}
		if got := strings.Join(marks, " "); got != "fault bite detection action recovery undo" {
			t.Errorf("%s: the marks are %s", name, got)
		}
	}
}

var border = 0.25

func within(t *testing.T, name string, figure []map[string]string) {
	t.Helper()
	box := strings.Fields(figure[0]["viewBox"])
	width, _ := strconv.ParseFloat(box[2], 64)
	height, _ := strconv.ParseFloat(box[3], 64)
	check := func(element map[string]string, key string, most float64) {
		text, written := element[key]
		value, err := strconv.ParseFloat(text, 64)
		if written && (err != nil || !(value >= 0 && value <= most)) {
			t.Errorf("%s: %s of a %s is %q, outside of %g", name, key, element[""], text, most)
		}
	}
	for _, element := range figure[1:] {
		for _, key := range []string{"x", "x1", "x2", "cx"} {
			check(element, key, width)
		}
		for _, key := range []string{"y", "y1", "y2", "cy"} {
			check(element, key, height)
		}
		if element[""] != "path" {
			continue
		}
		numbers := coordinate.FindAllString(strings.ReplaceAll(element["d"], "h0", ""), -1)
		for i, text := range numbers {
			value, err := strconv.ParseFloat(text, 64)
			if most := []float64{width, height}[i%2]; err != nil || !(value >= 0 && value <= most) {
				t.Errorf("%s: the line goes to %q", name, text)
			}
		}
	}
}

// TestALineIsBrokenWhereDataIsMissing: a gap is no straight line.
func TestALineIsBrokenWhereDataIsMissing(t *testing.T) {
	all := full()
	round := all.Drills[0].Rounds[0]
	var points []report.Point
	for _, second := range []float64{10.5, 10.6, 10.7, 12, 12.1, 12.2} {
		points = append(points, report.Point{At: at(second), Value: second})
	}
	round.Panels = []report.Panel{{Title: "x", Series: []report.Series{{Points: points}}}}
	round.Control, all.Drills[0].Rounds = nil, []report.Round{round}
	page, err := all.HTML()
	if err != nil {
		t.Fatal(err)
	}
	for _, element := range drawn(t, page)[0] {
		if element[""] == "path" && (strings.Count(element["d"], "M") != 2 || strings.Count(element["d"], "L") != 4) {
			t.Errorf("the line is %s", element["d"])
		}
	}
}

// TestTheGameDay: over, it tells the secrets; before, nothing that is in the text, the page or the JSON gives them away.
func TestTheGameDay(t *testing.T) {
	strike := jenner.GamedayStrike{ID: "g-1-1", Fault: "process.kill", Service: "checkout", Target: jenner.TargetRef{Kind: "process", Name: "checkout"}, Secret: true,
		InjectedAt: at(10), RemovedAt: at(40), UndoneAt: at(41), SickAt: at(11), WellAt: at(45)}
	open := jenner.GamedayStrike{ID: "g-1-2", Fault: "process.hang", Service: "stock", Target: jenner.TargetRef{Kind: "process", Name: "stock"}, InjectedAt: at(20)}
	run := jenner.GamedayRun{ID: "g-1", StartedAt: at(0), Struck: []jenner.GamedayStrike{strike, open},
		Gameday: jenner.Gameday{Name: "spring", Goals: jenner.GamedayGoals{AcknowledgeWithin: jenner.Duration(time.Minute)},
			Faults: []jenner.GamedayFault{{Fault: "kill", Target: "checkout", Secret: true}, {Fault: "hang", Target: "stock"}}},
		Words: []jenner.Word{{At: at(30), Person: "ann", Kind: jenner.WordAck, Text: "orders fail"}}}
	timeline := []jenner.Entry{entry(30, "on", "ack", "ann: orders fail", nil), entry(0, "on", "begin", "it begins", nil)}
	before := report.NewGameday(run, timeline, nil)
	raw, err := before.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"text": before.Text(), "JSON": string(raw)} {
		if strings.Contains(text, "checkout") || strings.Contains(text, "kill") {
			t.Errorf("before the end the %s gives the secret away:\n%s", what, text)
		}
		if !strings.Contains(text, "process.hang") || !strings.Contains(text, "orders fail") {
			t.Errorf("before the end the %s does not say what may be known:\n%s", what, text)
		}
	}
	run.EndedAt = at(60)
	after := report.NewGameday(run, timeline, []report.Incident{{Incident: jenner.Incident{ID: "i-1", Service: "checkout", OpenedAt: at(11)}, Phase: "resolved"}})
	after.At, after.Version = at(61), "dev"
	after.Panels = full().Drills[0].Rounds[0].Panels
	text := after.Text()
	for _, line := range []string{"1 of 2 faults were found; 1 goals were missed", "Fault 1: process.kill on process/checkout of checkout, which was a secret",
		"held          30.0 s, then somebody removed it", "acknowledged  after 20.0 s by ann", "well          again after 35.0 s",
		"Jenner        noticed it after 1.00 s (i-1, cause not known) and did nothing", "NOT FOUND", "GOAL MISSED   nobody acknowledged it"} {
		if !strings.Contains(text, line) {
			t.Errorf("the scorecard does not say %q:\n%s", line, text)
		}
	}
	if begin, ack := strings.Index(text, "begin"), strings.Index(text, "ack  "); begin > ack {
		t.Errorf("the timeline is not in the order of time:\n%s", text)
	}
	page, err := after.HTML()
	if err != nil {
		t.Fatal(err)
	}
	if found := elsewhere.FindString(string(page)) + scripted.FindString(string(page)); found != "" {
		t.Errorf("the page asks elsewhere: %s", found)
	}
	figure := drawn(t, page)[0]
	within(t, "game day", figure)
	names := ""
	for _, element := range figure {
		names += element["text"] + "\n"
	}
	for _, name := range []string{"fault 1 +10.0 s", "fault 1 gone +40.0 s", "ack by ann +30.0 s", "fault 2 +20.0 s"} {
		if !strings.Contains(names, name) {
			t.Errorf("the figure does not name %q:\n%s", name, names)
		}
	}
}
