// Package proc reads what Linux reports of this process and its machine in files of lines
// "key: value", such as /proc/self/status. On other systems it reports nothing.
package proc

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// Field returns the first value of a key in such a file, or "".
func Field(file, key string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if k, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Memory returns the main memory of the process in bytes, or 0 if it is not known.
func Memory() int64 { return statusBytes("VmRSS") }

// PeakMemory returns the most main memory that the process had since ResetPeak, in bytes, or 0 if
// it is not known.
func PeakMemory() int64 { return statusBytes("VmHWM") }

// ResetPeak makes PeakMemory count from now. Where that is impossible, the peak stays the peak of
// the whole process.
func ResetPeak() {
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // see proc(5)
}

func statusBytes(key string) int64 {
	kib, err := strconv.ParseInt(strings.TrimSuffix(Field("/proc/self/status", key), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
