package main

import (
	"context"
	"io"
	"sync"
)

// input is standard input that ends with an interrupt, because reading from a terminal cannot be cancelled by a context. It reads nothing
// in advance.
type input struct {
	*io.PipeReader
	begin func()
}

func newInput(ctx context.Context, from io.Reader) *input {
	r, w := io.Pipe()
	return &input{r, sync.OnceFunc(func() {
		// Nobody waits for this goroutine: while it waits for somebody to type, it ends with the process only.
		go func() {
			_, err := io.Copy(w, from)
			_ = w.CloseWithError(err) // never fails
		}()
		context.AfterFunc(ctx, func() { _ = w.CloseWithError(ctx.Err()) })
	})}
}

func (in *input) Read(p []byte) (int, error) {
	in.begin()
	return in.PipeReader.Read(p)
}

// output is standard output that remembers write errors, which tables do not report.
type output struct {
	io.Writer
	failed error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil && o.failed == nil {
		o.failed = err
	}
	return n, err
}

// Fd returns the file descriptor, so that a terminal is recognised.
func (o *output) Fd() uintptr {
	if f, ok := o.Writer.(interface{ Fd() uintptr }); ok {
		return f.Fd()
	}
	return ^uintptr(0)
}
