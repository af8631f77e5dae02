package gomlx

import (
	"errors"
	"strings"
	"testing"
)

// VirtualPlugin returns a plugin for CPUs, which makes as many devices as are asked for, or skips the test.
func VirtualPlugin(t *testing.T) string {
	t.Helper()
	path, err := FindPlugin("")
	if err == nil && !strings.Contains(strings.ToLower(path), "cpu") {
		err = errors.New(path + " is a plugin for other devices than CPUs")
	}
	if err != nil {
		t.Skipf("virtual devices need a PJRT plugin for CPUs: %v", err)
	}
	return path
}
