package jenner

import "time"

// Schedule is when an experiment is run by itself.
type Schedule struct {
	Cron     string   `json:"cron"`               // minute, hour, day of month, month, day of week, as crontab(5) has them, or @daily
	Timezone string   `json:"timezone,omitempty"` // in which Cron counts, such as Europe/Berlin; UTC where not said
	Window   Duration `json:"window,omitempty"`   // how long after its time a drill may still begin; 1h where not said
}

// DefaultScheduleWindow is how long after its time a drill may still begin.
const DefaultScheduleWindow = time.Hour

// Requires is what must be so before a drill begins. What cannot be known refuses it.
type Requires struct {
	ErrorBudget Share `json:"error_budget,omitempty"` // so much of the error budget of every SLO of the service must be left
}
