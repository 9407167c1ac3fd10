package report

import (
	"cmp"
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// figure is panels one below the other on one axis of time, with the marks running through all of them.
type figure struct {
	title    string // for those who cannot see it
	from, to time.Time
	zero     time.Time // what the axis counts from
	zeroName string    // `the fault`
	marks    []Mark
	panels   []Panel
}

// The measures of a figure, in its own units; the page scales it to its width.
const (
	figureWidth  = 960.0
	plotLeft     = 64.0
	plotRight    = figureWidth - 14
	markRow      = 15.0
	panelTitle   = 24.0
	panelHeight  = 92.0
	panelGap     = 12.0
	axisHeight   = 40.0
	maxSeries    = 6
	markLabelMax = 34
)

// svg draws the figure.
func (f figure) svg() template.HTML {
	top := 6 + markRow*float64(len(f.marks)) + 4
	height := top + float64(len(f.panels))*(panelTitle+panelHeight+panelGap) + axisHeight
	x := scale{0, f.to.Sub(f.from).Seconds(), plotLeft, plotRight}
	var out strings.Builder
	fmt.Fprintf(&out, `<svg class="figure" viewBox="0 0 %g %g" role="img" aria-label="%s">`, figureWidth, height, html.EscapeString(f.title))
	at := top
	for _, panel := range f.panels {
		f.panel(&out, panel, x, at+panelTitle)
		at += panelTitle + panelHeight + panelGap
	}
	f.axis(&out, x, top, at-panelGap)
	f.drawMarks(&out, x, at-panelGap)
	for i, panel := range f.panels { // last, so that no line runs through a name
		f.heading(&out, panel, top+panelTitle+float64(i)*(panelTitle+panelHeight+panelGap))
	}
	out.WriteString("</svg>")
	return template.HTML(out.String()) // every text in it is escaped
}

func (f figure) seconds(at time.Time) float64 { return at.Sub(f.from).Seconds() }

// axis draws the axis of time below all panels, with faint lines through them.
func (f figure) axis(out *strings.Builder, x scale, top, bottom float64) {
	zero := f.seconds(f.zero)
	moved := scale{x.min - zero, x.max - zero, x.from, x.to}
	ticks := moved.ticks(9)
	step := 1.0
	if len(ticks) > 1 {
		step = ticks[1] - ticks[0]
	}
	for _, tick := range ticks {
		px := moved.at(tick)
		fmt.Fprintf(out, `<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, px, px, top+panelTitle, bottom)
		label := number(tick, step)
		if math.Abs(moved.max) >= 120 || math.Abs(moved.min) >= 120 {
			label = clock(tick)
		}
		fmt.Fprintf(out, `<text class="tick" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, px, bottom+16, label)
	}
	unit := "seconds after "
	if math.Abs(moved.max) >= 120 || math.Abs(moved.min) >= 120 {
		unit = "minutes and seconds after "
	}
	fmt.Fprintf(out, `<text class="axis" x="%.1f" y="%.1f" text-anchor="end">%s%s</text>`, plotRight, bottom+33, unit, html.EscapeString(f.zeroName))
}

// clock writes seconds as minutes and seconds.
func clock(seconds float64) string {
	sign := ""
	if seconds < 0 {
		sign, seconds = "−", -seconds
	}
	whole := int(math.Round(seconds))
	return fmt.Sprintf("%s%d:%02d", sign, whole/60, whole%60)
}

// drawMarks gives each mark a row of its own for its name, so that names never lie on each other, and a line down.
func (f figure) drawMarks(out *strings.Builder, x scale, bottom float64) {
	for i, mark := range f.marks {
		px := x.at(min(max(f.seconds(mark.At), x.min), x.max))
		y := 6 + markRow*float64(i)
		name := cmp.Or(mark.Name, string(mark.Kind)) + " " + offset(mark.At.Sub(f.zero))
		anchor, tx := "start", px+9
		if px > (plotLeft+plotRight)*0.72 {
			anchor, tx = "end", px-9
		}
		fmt.Fprintf(out, `<g class="mark %s"><title>%s</title><line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/><circle cx="%.1f" cy="%.1f" r="4"/>`+
			`<text x="%.1f" y="%.1f" text-anchor="%s">%s</text></g>`, mark.Kind, html.EscapeString(name+": "+mark.Text), px, px, y+5, bottom, px, y+5,
			tx, y+9, anchor, html.EscapeString(name))
	}
}

// panel draws one panel whose plot begins at y.
func (f figure) panel(out *strings.Builder, panel Panel, x scale, y float64) {
	factor, _ := panel.unit()
	low, high := panel.limits()
	low, high = widened(low*factor, high*factor)
	ys := scale{low, high, y + panelHeight, y}
	fmt.Fprintf(out, `<rect class="plot" x="%g" y="%.1f" width="%g" height="%g"/>`, plotLeft, y, plotRight-plotLeft, panelHeight)
	for _, span := range panel.Failed {
		from, to := x.at(max(f.seconds(span.From), x.min)), x.at(min(f.seconds(span.To), x.max))
		if to > from {
			fmt.Fprintf(out, `<rect class="failed" x="%.1f" y="%.1f" width="%.1f" height="%g"><title>failed</title></rect>`, from, y,
				max(to-from, 1), panelHeight)
		}
	}
	ticks := ys.ticks(3)
	for _, tick := range ticks {
		py := ys.at(tick)
		fmt.Fprintf(out, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/>`, plotLeft, plotRight, py, py)
		fmt.Fprintf(out, `<text class="tick" x="%g" y="%.1f" text-anchor="end">%s</text>`, plotLeft-6, py+4, number(tick, ys.stepOf(ticks)))
	}
	for _, bound := range []*float64{panel.Below, panel.Above} {
		if bound != nil {
			py := ys.at(*bound * factor)
			fmt.Fprintf(out, `<line class="bound" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/>`, plotLeft, plotRight, py, py)
		}
	}
	for i, series := range panel.Series[:min(len(panel.Series), maxSeries)] {
		fmt.Fprintf(out, `<path class="line line%d" d="%s"><title>%s</title></path>`, i, f.path(series, x, ys, factor), html.EscapeString(series.Name))
	}
}

func (s scale) stepOf(ticks []float64) float64 {
	if len(ticks) < 2 {
		return 1
	}
	return ticks[1] - ticks[0]
}

// heading names the panel, its unit, and its lines where it has several.
func (f figure) heading(out *strings.Builder, panel Panel, y float64) {
	_, unit := panel.unit()
	title := panel.Title
	if unit != "" {
		title += ", " + unit
	}
	fmt.Fprintf(out, `<text class="title" x="%g" y="%.1f">%s`, plotLeft, y-8, html.EscapeString(title))
	for i, series := range panel.Series {
		switch {
		case len(panel.Series) == 1:
		case i == maxSeries:
			fmt.Fprintf(out, `<tspan class="more" dx="10">and %d more</tspan>`, len(panel.Series)-maxSeries)
		case i < maxSeries:
			fmt.Fprintf(out, `<tspan class="key%d" dx="10">● </tspan><tspan class="more">%s</tspan>`, i, html.EscapeString(clipped(series.Name)))
		}
	}
	if len(panel.Series) == 0 {
		out.WriteString(`<tspan class="more" dx="10">no data</tspan>`)
	}
	out.WriteString("</text>")
}

func clipped(text string) string {
	if runes := []rune(text); len(runes) > markLabelMax {
		return string(runes[:markLabelMax-1]) + "…"
	}
	return text
}

// path is the line of a series. Where data is missing it is broken.
func (f figure) path(series Series, x, ys scale, factor float64) string {
	var d strings.Builder
	gap := 2.5 * usualStep(series.Points)
	pen := "M"
	var last float64
	for _, point := range series.Points {
		at := f.seconds(point.At)
		if at < x.min || at > x.max || math.IsInf(point.Value, 0) || math.IsNaN(point.Value) {
			continue
		}
		if d.Len() > 0 && at-last > gap {
			pen = "M"
		}
		d.WriteString(pen + strconv.FormatFloat(x.at(at), 'f', 1, 64) + " " + strconv.FormatFloat(ys.at(point.Value*factor), 'f', 1, 64))
		if pen == "M" {
			d.WriteString("h0") // so that a point alone is seen as a dot
		}
		pen, last = "L", at
	}
	return d.String()
}

// usualStep is the smallest distance between two points, in seconds.
func usualStep(points []Point) float64 {
	step := math.Inf(1)
	for i := 1; i < len(points); i++ {
		step = min(step, points[i].At.Sub(points[i-1].At).Seconds())
	}
	return step
}

// unit is what a panel's numbers are multiplied with, and what they are then. Seconds below one are milliseconds.
func (p Panel) unit() (factor float64, name string) {
	if p.Unit != "s" {
		return 1, p.Unit
	}
	if _, high := p.limits(); high < 1 {
		return 1000, "ms"
	}
	return 1, "s"
}

// limits are the least and the largest number that the panel shows, bounds included.
func (p Panel) limits() (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	take := func(value float64) {
		if !math.IsInf(value, 0) && !math.IsNaN(value) {
			low, high = min(low, value), max(high, value)
		}
	}
	for _, series := range p.Series {
		for _, point := range series.Points {
			take(point.Value)
		}
	}
	for _, bound := range []*float64{p.Below, p.Above} {
		if bound != nil {
			take(*bound)
		}
	}
	if low > high {
		return 0, 1
	}
	return low, high
}
