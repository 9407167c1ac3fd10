package shop

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
)

// maxBody is far above what any request or answer of the shop needs.
const maxBody = 4 << 10

// failure is an error with the status it is answered with and, where a dependency caused it, that dependency.
type failure struct {
	code       int
	dependency string
	err        error
}

func (f *failure) Error() string {
	if f.dependency == "" {
		return f.err.Error()
	}
	return f.dependency + ": " + f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// refused means that the caller asked for something impossible.
func refused(err error) error { return &failure{code: http.StatusBadRequest, err: err} }

// failureBody is how a failure looks on the wire.
type failureBody struct {
	ID         string `json:"id,omitempty"`
	Error      string `json:"error"`
	Dependency string `json:"dependency,omitempty"`
}

// handlePost answers POST path with what do makes of the decoded body. Whatever do returns, one answer goes out:
// 200, the code of its failure, or 500.
func handlePost[In interface{ orderID() string }, Out any](p *process, path string, do func(context.Context, In) (Out, error)) {
	p.mux.HandleFunc("POST "+path, p.metrics.around(http.MethodPost, path, func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in); err != nil {
			p.fail(w, "", refused(err))
			return
		}
		out, err := do(r.Context(), in)
		if err != nil {
			p.fail(w, in.orderID(), err)
			return
		}
		writeJSON(w, http.StatusOK, out)
	}))
}

func (p *process) fail(w http.ResponseWriter, id string, err error) {
	f := &failure{code: http.StatusInternalServerError, err: err}
	errors.As(err, &f)
	if f.code >= http.StatusInternalServerError {
		p.log.Warn(f.Error(), "order", id, "code", f.code)
	}
	writeJSON(w, f.code, failureBody{ID: id, Error: f.Error(), Dependency: f.dependency})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v) // fails only when the caller has gone, who then needs no answer
}
