package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestSilence(t *testing.T) {
	stopped := make(chan error, 1)
	w := &watchdog{limit: time.Millisecond, stop: func(reason error) { stopped <- reason }}

	w.start()

	if reason := <-stopped; !errors.Is(reason, errSilent) || !strings.HasSuffix(reason.Error(), "for 1ms") {
		t.Error(reason)
	}
}

func TestOutput(t *testing.T) {
	console := &strings.Builder{}
	w := &watchdog{console: console, limit: 50 * time.Millisecond, stop: func(reason error) { t.Error(reason) }}

	w.start()
	fmt.Fprint(w, "UEFI")
	fmt.Fprint(w, " Shell")
	time.Sleep(2 * w.limit)

	if console.String() != "UEFI Shell" {
		t.Error(console)
	}
}
