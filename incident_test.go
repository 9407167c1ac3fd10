package jenner

import "testing"

func TestTheWorstOfTheAlertsSaysHowPeopleAreTold(t *testing.T) {
	page, ticket := Alert{Severity: SeverityPage}, Alert{Severity: SeverityTicket}
	for _, c := range []struct {
		name   string
		alerts []Alert
		want   Severity
	}{
		{"no alert", nil, SeverityPage},
		{"a ticket", []Alert{ticket, ticket}, SeverityTicket},
		{"a ticket first", []Alert{ticket, page}, SeverityPage},
		{"a page first", []Alert{page, ticket}, SeverityPage},
		{"one that does not say", []Alert{ticket, {}}, SeverityPage},
	} {
		if got := (&Incident{Alerts: c.alerts}).Severity(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
