package jenner

import "context"

// Question says about whom PromQL is asked, which decides what is asked: a Prometheus server, or the numbers that Jenner
// collects itself. The zero value is about no service.
type Question struct {
	Service string // the name of the service that the question is about
	Own     bool   // only the numbers that Jenner collects itself, whatever the service says
}

type questionKey struct{}

// Asking gives a context in which Telemetry.Query asks that question. It travels in the context and not beside it, since
// whatever stands between who asks and who answers has no use for it.
func Asking(ctx context.Context, question Question) context.Context {
	return context.WithValue(ctx, questionKey{}, question)
}

// Asked is the question of a context; false where nobody said.
func Asked(ctx context.Context) (Question, bool) {
	question, said := ctx.Value(questionKey{}).(Question)
	return question, said
}
