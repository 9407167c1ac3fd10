package alarm

import (
	"context"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("alert_storm", "Raise many false alarms at once", func() chaos.Fault { return &FaultAlertStorm{Alarms: 500} })
}

// FaultAlertStorm serves a page with many alarms, all of which are there at once and stay.
type FaultAlertStorm struct {
	page
	// Alarms is how many there are, 1 to 20000; 500 where not said.
	Alarms int `json:"alarms,omitempty"`
}

const maxAlarms = 20000

// Validate checks the number.
func (f *FaultAlertStorm) Validate() error {
	if f.Alarms < 1 || f.Alarms > maxAlarms {
		return fmt.Errorf("alarms is %d; write 1 to %d", f.Alarms, maxAlarms)
	}
	return nil
}

// Hold serves the page.
func (f *FaultAlertStorm) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	return f.serve(ctx, call, tell, 0, func(time.Duration) (int, bool) { return f.Alarms, true })
}

// Bite sees that somebody has read the page.
func (f *FaultAlertStorm) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	last, err := report(call)
	if err != nil || last.Most == 0 {
		return chaos.Witness{}, err
	}
	return chaos.Witness{Bit: true, Saw: fmt.Sprintf("%d false alarms were read", last.Most)}, nil
}
