package telemetry

import (
	"context"
	"log/slog"
)

// quieter is a logger for the embedded database: what it calls information (each replay, each block it writes) is of
// interest only to who debugs Jenner.
func quieter(logger *slog.Logger) *slog.Logger {
	if logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(quietHandler{logger.Handler()})
}

type quietHandler struct{ slog.Handler }

func (h quietHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, quietLevel(level))
}

func (h quietHandler) Handle(ctx context.Context, record slog.Record) error {
	record.Level = quietLevel(record.Level)
	return h.Handler.Handle(ctx, record)
}

func (h quietHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quietHandler{h.Handler.WithAttrs(attrs)}
}

func (h quietHandler) WithGroup(name string) slog.Handler {
	return quietHandler{h.Handler.WithGroup(name)}
}

func quietLevel(level slog.Level) slog.Level {
	if level == slog.LevelInfo {
		return slog.LevelDebug
	}
	return level
}
