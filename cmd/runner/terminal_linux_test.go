package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A pseudo is a terminal of 80 columns that nobody sits at.
type pseudo struct {
	keys, tty *os.File

	mu   sync.Mutex
	seen bytes.Buffer
	done chan struct{}
}

func newPseudo(t *testing.T) *pseudo {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { keys.Close() })
	fd := int(keys.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 80}); err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &pseudo{keys: keys, tty: tty, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		io.Copy(p, keys) // until the last writer closes
	}()
	return p
}

func (p *pseudo) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.Write(b)
}

func (p *pseudo) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.String()
}

// await waits until the text is seen.
func (p *pseudo) await(t *testing.T, text string) {
	t.Helper()
	for begun := time.Now(); !strings.Contains(p.text(), text); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatalf("%q is not seen in a minute: %q", text, p.text())
		}
	}
}

// TestTerminal: on a terminal there are bars, the table after each seed, and lines that
// end at words; the echo of a Ctrl-C leaves nothing behind.
func TestTerminal(t *testing.T) {
	t.Setenv("FOCALGRID_CACHE", t.TempDir())
	t.Chdir(t.TempDir())
	args := strings.Fields("sweep smoke --only loss.gamma=2 --threads 1 --set=data.images.train=12 --set=data.images.tune=2 --set=data.images.val=6 --set=train.batch=2 --set=optim.warmup=1 --set=model.fpn=8 --set=pretrain.type=none")

	p := newPseudo(t)
	if code := run(t.Context(), append(args, "--seeds", "0,1,2", "--set=train.iters=3"), p.tty, p.tty); code != exitOK {
		t.Fatalf("exit code %d: %s", code, p.text())
	}
	p.tty.Close()
	<-p.done
	seen := p.text()
	if n := strings.Count(seen, "AP × 100"); n != 3 {
		t.Errorf("%d tables, want one a seed", n)
	}
	if !strings.Contains(seen, "trial 1 of 3") || !strings.Contains(seen, "\x1b[") {
		t.Error("no bars are drawn")
	}
	_, plan, _ := strings.Cut(seen, "3 trials, 3 to do")
	plan, _, _ = strings.Cut(plan, "a second.")
	for _, line := range strings.Split("3 trials, 3 to do"+plan, "\r\n") {
		if len(line) > 80 || plan == "" {
			t.Errorf("a line of the plan is not folded: %q", line)
		}
	}

	p = newPseudo(t)
	ctx, stop := context.WithCancel(t.Context())
	code := make(chan int)
	go func() { code <- run(ctx, append(args, "--set=train.iters=100000"), p.tty, p.tty) }()
	p.await(t, "/100000  loss")
	if _, err := p.keys.Write([]byte{3}); err != nil { // echoed; the signal is the context's end
		t.Fatal(err)
	}
	p.await(t, "^C")
	stop()
	if c := <-code; c != exitInterrupted {
		t.Errorf("interrupted: exit code %d", c)
	}
	p.tty.Close()
	<-p.done
	if _, after, _ := strings.Cut(p.text(), "^C"); !strings.HasPrefix(after, "\r\x1b[") {
		t.Errorf("after a Ctrl-C the bars are drawn from where its echo ends: %q", after[:min(len(after), 200)])
	}
}
