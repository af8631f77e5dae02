//go:build unix

package main

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPipeWithoutWriter: a verb that waits for a pipe's writer is stopped by one Ctrl-C; where
// a pipe can't be what is meant, it is refused at once.
func TestPipeWithoutWriter(t *testing.T) {
	t.Setenv("FOCALGRID_CACHE", t.TempDir())
	t.Chdir(t.TempDir())
	for _, dir := range []string{"d", "d/annotations", "d/train", "d/val"} {
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, pipe := range []string{"p", "d/synthetic.json"} {
		if err := syscall.Mkfifo(pipe, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"gt.json": `{"images":[],"annotations":[],"categories":[]}`, "d/annotations/instances_train.json": "{}", "d/annotations/instances_val.json": "{}"} {
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for args, want := range map[string]int{
		"sweep p":                        exitInterrupted,
		"table p":                        exitInterrupted,
		"model p":                        exitInterrupted,
		"pretrain p":                     exitInterrupted,
		"data stats p":                   exitInterrupted,
		"eval --gt p --dt p":             exitInterrupted,
		"eval --gt gt.json --dt p":       exitInterrupted,
		"db import p":                    exitInterrupted,
		"sweep smoke --data d --dry-run": exitUsage,
		"sweep smoke --db p":             exitUsage,
		"sweep smoke --set pretrain.type=file --set pretrain.file=p --dry-run": exitUsage,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan int, 1)
		var said string
		go func() {
			code, _, stderr := runHere(ctx, strings.Fields(args)...)
			said = stderr
			ended <- code
		}()
		if want == exitInterrupted {
			time.Sleep(20 * time.Millisecond) // it is reading, most likely; it must end in any case
			cancel()
		}
		select {
		case code := <-ended:
			if code != want {
				t.Errorf("runner %s: exit code %d, want %d; stderr: %s", args, code, want, said)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("runner %s: still waits for the pipe", args)
		}
		cancel()
	}
}
