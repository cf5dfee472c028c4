package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bobuhiro11/gokvm/iodev"
	"github.com/bobuhiro11/gokvm/machine"
)

func TestStartAgain(t *testing.T) {
	fault := fmt.Errorf("cpu 0: %w: at 0xfff0", machine.ErrTripleFault)

	for name, c := range map[string]struct {
		end    error
		ran    time.Duration
		before int
		again  bool
		faults int
		says   string
	}{
		"a reset":                     {iodev.ErrReset, time.Second, 0, true, 0, "resets"},
		"a reset ends a row":          {fmt.Errorf("by port: %w", iodev.ErrReset), time.Second, 3, true, 0, "resets"},
		"the first fault":             {fault, time.Second, 0, true, 1, "at 0xfff0; the machine resets"},
		"the last but one":            {fault, time.Second, maxFaults - 2, true, maxFaults - 1, "stays off"},
		"the last":                    {fault, time.Second, maxFaults - 1, false, maxFaults, "does not start again"},
		"a fault after a long run":    {fault, longRun, maxFaults - 1, true, 1, "the machine resets"},
		"a fault after a shorter one": {fault, longRun - 1, maxFaults - 1, false, maxFaults, "does not start again"},
		"something else":              {errSilent, time.Second, 2, false, 0, errSilent.Error()},
	} {
		again, faults, message := startAgain(c.end, c.ran, c.before)
		if again != c.again || faults != c.faults || !strings.Contains(message.Error(), c.says) {
			t.Errorf("%s: %t, %d, %v", name, again, faults, message)
		}

		if !errors.Is(c.end, iodev.ErrReset) && !errors.Is(message, c.end) {
			t.Errorf("%s: the reason is lost: %v", name, message)
		}
	}
}

// However long it goes on, a firmware that always crashes is started a limited number of times.
func TestFaultsEnd(t *testing.T) {
	starts, faults, again := 0, 0, true

	for again {
		if starts++; starts > 100 {
			t.Fatal("it goes on for ever")
		}

		again, faults, _ = startAgain(machine.ErrTripleFault, time.Second, faults)
	}

	if starts != maxFaults {
		t.Error(starts)
	}
}

func TestFaultsBefore(t *testing.T) {
	for value, expected := range map[string]int{"": 0, "2": 2, "-1": 0, "many": 0} {
		t.Setenv(faultsVariable, value)

		if faults := faultsBefore(); faults != expected {
			t.Errorf("%q: %d", value, faults)
		}
	}
}
