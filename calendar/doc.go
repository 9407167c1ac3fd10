// Package calendar reads iCalendar files and URLs (RFC 5545) and tells which planned events are on: deploys, campaigns,
// maintenance, freezes.
//
// It is for reading what people plan in the calendar program that they have. It is not for saying what a planned event
// means for a decision (package decide), and it never writes a calendar.
//
// An event says what it does in any of three ways, since not every calendar program can write all of them. Who says it
// in two ways must say the same in both.
//
//	X-JENNER-EFFECT:lower 30%             freeze, approve or lower; lower may have a share
//	X-JENNER-SERVICES:checkout,payments   these in place of those that the calendar is about
//	CATEGORIES:jenner-freeze              jenner-freeze, jenner-approve or jenner-lower
//	DESCRIPTION:jenner: lower 30% checkout, payments
//
// The line of the description stands alone, begins with `jenner:` and has the effect, the share and the services, of which
// the effect may be the only word. What an event does not say, its calendar says, and what that does not say is the effect
// approve, and 20% for lower. An unknown effect makes the whole calendar unreadable: a planned freeze must not get lost
// over a spelling mistake.
//
// What the standard leaves open, or programs do differently, is settled here:
//
//   - A whole day, and a time without a zone, is in the zone that X-WR-TIMEZONE names; else in the one that the calendar
//     defines (VTIMEZONE), where it defines exactly one; else in UTC.
//   - A zone is known by its IANA name (also behind a prefix such as /mozilla.org/20050126_1/), by its Windows name, or
//     by the calendar's own definition; anything else is an error. Names with a slash and Windows names win over a
//     definition of the same name, since programs often write only this year's rule into it.
//   - A time that the clock skips (spring) is the time as if it had not been moved yet; one that it shows twice (autumn)
//     is the first of the two.
//   - A day without an end lasts one day. A time without an end, or one that ends as it begins, is at no time and so
//     never on; where such an event says itself what it does to decisions, that is an error.
//   - DTEND gives each repetition the same length in seconds; DURATION counts days by the clock, so that P1D over a change
//     of the clock ends at the same time of the next day.
//   - DTSTART is always a repetition, the first, also where the rule would leave it out.
//   - A cancelled event is not on. A tentative one and a free one (TRANSP) are, for they say nothing about the services.
//   - Rules that repeat more often than hourly are refused, and so are calendars that would take too much work (see Parse).
package calendar
