package record

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ExitKilled is the exit of an attempt that was found dead: its process is gone,
// or has sent no heartbeat for too long. The other exits are a trial's statuses.
const ExitKilled = "killed"

// Errors of holding a trial.
var (
	// ErrHeld is returned by BeginTrial while another attempt holds the trial.
	ErrHeld = errors.New("trial is held by another process")
	// ErrLost is returned when an attempt that no longer holds its trial tries
	// to write: another one took over, or has ended it.
	ErrLost = errors.New("trial is no longer held by this attempt")
)

// Attempt describes one try at a trial. While Exit is empty the attempt holds the trial: its
// writes carry Number, and are refused once another attempt has a higher one.
type Attempt struct {
	Number      int    // from 1; in BeginTrial the number that it must get, 0: the next
	Owner       string // names the process, and no other of any machine at any time
	Host        string
	PID         int
	StartStep   int    // steps taken over from a checkpoint
	EndStep     int    // steps done when last heard of
	Beats       int    // heartbeats; a live attempt's number grows
	Started     string // RFC 3339
	Ended       string // RFC 3339
	WallSeconds float64
	PeakBytes   int64  // of memory; 0: not known
	Exit        string // a trial's status, or ExitKilled; empty: it is at work
	Error       string // of one that failed
	Environment string // JSON object: what it ran with
}

// Progress reports how far an attempt is.
type Progress struct {
	Step        int // steps done
	WallSeconds float64
	PeakBytes   int64
}

// Check returns an error if an attempt cannot be begun as it is.
func (a Attempt) Check() error {
	switch {
	case a.Owner == "":
		return errors.New("the attempt's owner is empty")
	case a.Started == "":
		return errors.New("the attempt's start time is empty")
	case !json.Valid([]byte(a.Environment)):
		return errors.New("the attempt's environment is not JSON")
	case a.StartStep < 0:
		return fmt.Errorf("the attempt starts at step %d", a.StartStep)
	}
	return nil
}
