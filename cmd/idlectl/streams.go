package main

import (
	"context"
	"io"
	"sync"
)

// input is standard input that ends with an interrupt: to read from a terminal heeds no context by itself. It reads
// nothing before it is read.
type input struct {
	*io.PipeReader
	begin func()
}

func newInput(ctx context.Context, from io.Reader) *input {
	r, w := io.Pipe()
	return &input{r, sync.OnceFunc(func() {
		// Nobody can wait for this one: what waits for somebody to type ends with the process.
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

// output is standard output that remembers what could not be written: tables do not tell.
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

// Fd lets it be a terminal where what is behind it is one.
func (o *output) Fd() uintptr {
	if f, ok := o.Writer.(interface{ Fd() uintptr }); ok {
		return f.Fd()
	}
	return ^uintptr(0)
}
